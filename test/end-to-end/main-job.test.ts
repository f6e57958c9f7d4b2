import { readFileSync, readdirSync } from 'node:fs'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { isPostgres } from '../support/database.ts'
import { type Desk, openDesk, realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'
import { startServer } from '../support/server.ts'

/** Long enough to be at work when something happens to it. */
function bigBacktest() {
  const big = realBacktest({ parallelism: { max_shards: 1 } })
  Object.assign(big.params, {
    data: { dataset: 'sample:sp500-20' },
    parameters: { fast: { range: [2, 300, 1] }, slow: { range: [3, 600, 1] } },
  })
  return big
}

describe.skipIf(isPostgres)('a real backtest over REST, on the embedded default', () => {
  let desk: Desk
  beforeAll(async () => {
    desk = await openDesk()
  })
  afterAll(async () => desk[Symbol.asyncDispose]())

  test('it is placed, launched, followed, finished, paid for, and its files are whole', async () => {
    const { id } = await desk.submit(realBacktest({ budget_usd: 0.05 }))
    const job = await desk.ended(id)
    expect(job).toMatchObject({
      state: 'succeeded',
      attempts: [{ provider: 'local', offer: 'cpu', device: 'cpu', exit_code: 0 }],
      cost: { final: true, basis: 'modelled' },
    })
    expect(job.cost.actual_usd).toBeGreaterThan(0)
    expect(job.result).toMatchObject({ points: 44, best: { objective: expect.any(Number) as number } })
    const { items } = await desk.get<{ items: { name: string; sha256: string }[] }>(
      `/v1/jobs/${id}/artifacts`,
    )
    expect(items.map(({ name }) => name).toSorted()).toEqual([
      'equity.parquet',
      'metrics.parquet',
      'points.parquet',
      'result.json',
      'tearsheet.html',
      'trades.parquet',
    ])
    for (const { name, sha256 } of items) {
      const bytes = await (await desk.request(`/v1/jobs/${id}/artifacts/${name}`)).arrayBuffer()
      expect([name, createHash('sha256').update(Buffer.from(bytes)).digest('hex')]).toEqual([name, sha256])
    }
    // The runner's token is in no file of its folder.
    const folder = join(desk.folder, 'local', job.attempts[0]?.id ?? '')
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (file.isFile())
        expect(readFileSync(join(file.parentPath, file.name), 'latin1')).not.toContain('brt_')
  })

  test('a second server on the same folder is refused, and says what to do', async () => {
    await expect(startServer(desk.folder, 0)).rejects.toThrow(/is in use by process \d+.*BERTH_DATA_DIR/s)
  })

  test('a cancel ends the program and its group', async () => {
    const { id } = await desk.submit(bigBacktest())
    await desk.until(async () => (await desk.log(id)).length > 0)
    expect(
      (await desk.request(`/v1/jobs/${id}/cancel`, { method: 'POST', headers: { 'content-type': '' } }))
        .status,
    ).toBe(202)
    expect(await desk.ended(id)).toMatchObject({ state: 'cancelled', outcome: 'cancelled', result: null })
    expect(desk.runners()).toEqual([])
  })

  test('a program that needs more memory than it asked for fails and says so', async () => {
    const { id } = await desk.submit(
      realBacktest({ resources: { memory_gib: 0.03 }, retry: { max_attempts: 1 } }),
    )
    expect(await desk.ended(id)).toMatchObject({
      state: 'failed',
      error: { code: 'out_of_memory', where: 'program' },
    })
  })

  test('a program that something kills fails, and says that it was killed', async () => {
    const { id } = await desk.submit({ ...bigBacktest(), retry: { max_attempts: 1 } })
    await desk.until(async () => (await desk.log(id)).length > 0)
    const { attempts } = await desk.get<JobView>(`/v1/jobs/${id}`)
    const file = join(desk.folder, 'local', attempts[0]?.id ?? '', 'program.json')
    process.kill((JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid, 'SIGKILL')
    expect(await desk.ended(id)).toMatchObject({ state: 'failed', error: { code: 'killed', exit_code: 137 } })
  })

  test('without Python the job fails and says what is missing', async () => {
    await using without = await openMigratedDesk({ BERTH_PYTHON: '/nonexistent/python' })
    const { id } = await without.submit(realBacktest())
    const job = await without.ended(id)
    expect(job).toMatchObject({ state: 'failed', error: { code: 'provider', where: 'provider' } })
    expect(job.error?.message).toContain('/nonexistent/python')
  })
})
