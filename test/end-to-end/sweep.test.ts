// A sweep that is cut, on this machine, by the real program: what its parts make together is what one run makes.
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { openDesk, realBacktest } from '../support/desk.ts'

const samples = resolve(import.meta.dirname, '../../containers/samples')
const prices = { url: pathToFileURL(join(samples, 'sp500-20.parquet')).href }

/** Of a file nobody knows the size, so that it is cut into as many parts as the job names. */
const sweep = (max_shards: number) => {
  const spec = realBacktest({ parallelism: { max_shards }, resources: { cpu: 1 } })
  const { dataset: _, ...data } = spec.params.data
  return {
    ...spec,
    params: { ...spec.params, data: { ...data, files: [prices], adjustment: 'total' } },
  }
}

test('a sweep in three parts has the files of one that ran as a whole, byte for byte', async () => {
  await using desk = await openDesk({ BERTH_LOCAL_DATA_DIRS: samples })
  const files = async ({ id }: JobView) => {
    const { items } = await desk.get<{ items: { name: string; sha256: string }[] }>(
      `/v1/jobs/${id}/artifacts`,
    )
    return new Map(
      items.filter(({ name }) => !name.startsWith('shards/')).map((item) => [item.name, item.sha256]),
    )
  }
  const text = async (path: string) => (await desk.request(path)).text()
  const run = async (max_shards: number) => {
    const { id, shards } = await desk.submit(sweep(max_shards))
    expect(shards.total).toBe(max_shards)
    const job = await desk.ended(id)
    expect(job, JSON.stringify(job.error)).toMatchObject({ state: 'succeeded', error: null, warnings: [] })
    return job
  }
  // First in parts: afterwards it is known how little time it takes.
  const cut = await run(3)
  const whole = await run(1)
  expect(new Set(cut.attempts.map(({ shard }) => shard))).toEqual(new Set([0, 1, 2, 3]))
  const [one, three] = [await files(whole), await files(cut)]
  expect([...three.keys()]).toEqual([...one.keys()])
  for (const [name, sha256] of one)
    if (!['result.json', 'tearsheet.html'].includes(name))
      expect([name, three.get(name)]).toEqual([name, sha256])
  expect(untimed(cut.result)).toEqual(untimed(whole.result))
  const page = ({ id }: JobView) => text(`/v1/jobs/${id}/artifacts/tearsheet.html`)
  expect(await page(cut)).toBe(await page(whole))
  const points = async ({ id }: JobView) =>
    (await desk.get<{ items: { point: number; shard: number }[] }>(`/v1/jobs/${id}/points?limit=500`)).items
  const [of_one, of_three] = [await points(whole), await points(cut)]
  expect(of_three.map(({ point }) => point)).toEqual(of_one.map(({ point }) => point))
  expect(new Set(of_three.map(({ shard }) => shard))).toEqual(new Set([0, 1, 2]))
})

/** What a result says of its making. */
function untimed(result: unknown) {
  const { timing: _, bar_updates_per_s: __, ...rest } = result as Record<string, unknown>
  return rest
}
