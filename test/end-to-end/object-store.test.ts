// A whole Berth on a bucket: prices up, a job by a real runner, files down, all of them in the store.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DatasetView } from '../../jobs/datasets.ts'
import { newFolder } from '../infra/new-folder.ts'
import { realBacktest } from '../support/desk.ts'
import { openMigratedDesk } from '../support/migrated-desk.ts'
import { noS3Server, startS3Server } from '../support/s3-server.ts'
import { startServer } from '../support/server.ts'

const file = readFileSync(join(import.meta.dirname, '../../containers/samples/indices.parquet'))
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
test('a job reads its dataset from a bucket, and its files are read from there', async (context) => {
  if (noS3Server !== null) return context.skip(noS3Server)
  await using bucket = await startS3Server()
  await using desk = await openMigratedDesk(bucket.env)
  const post = async (path: string, body: object) =>
    (await (await desk.request(path, { method: 'POST', body: JSON.stringify(body) })).json()) as DatasetView
  const about = { name: 'indices', format: 'parquet', adjustment: 'total', bytes: file.length }
  const { id: dataset } = await post('/v1/datasets', { ...about, sha256: hashOf(file) })
  const headers = { 'content-type': 'application/octet-stream' }
  await desk.request(`/v1/datasets/${dataset}/parts/0`, { method: 'PUT', headers, body: file })
  expect(await post(`/v1/datasets/${dataset}/complete`, {})).toMatchObject({ state: 'ready', rows: 10_062 })

  const { params } = realBacktest()
  const spec = {
    params: { ...params, data: { dataset, symbols: ['SP500'] } },
    parallelism: { max_shards: 2 },
  }
  const { id } = await desk.submit(realBacktest(spec))
  const job = await desk.ended(id)
  expect(job, JSON.stringify(job.error)).toMatchObject({ state: 'succeeded', result: { points: 44 } })

  const { items } = await desk.get<{ items: { name: string; sha256: string }[] }>(`/v1/jobs/${id}/artifacts`)
  expect(items).toHaveLength(6)
  const sent = new Map<string, number>()
  for (const { name, sha256 } of items) {
    const path = `/v1/jobs/${id}/artifacts/${encodeURIComponent(name)}`
    const answer = await desk.request(path, { redirect: 'manual' })
    sent.set(name, answer.status)
    const location = answer.headers.get('location')
    // Without the key: what is signed is the address.
    const bytes = await (location === null ? answer : await fetch(location)).arrayBuffer()
    expect([name, hashOf(new Uint8Array(bytes))]).toEqual([name, sha256])
    const whole = await (await desk.request(path)).arrayBuffer()
    expect([name, hashOf(new Uint8Array(whole))]).toEqual([name, sha256])
  }
  expect(sent.get('result.json')).toBe(307)
  expect(sent.get('tearsheet.html')).toBe(200)
  expect(existsSync(join(desk.folder, 'objects'))).toBe(false)
  const there = await bucket.left('berth')
  expect(there.filter((key) => key.startsWith('unfinished') || key.startsWith('berth-start'))).toEqual([])
  expect(there.length).toBeGreaterThanOrEqual(6)
})

test('a server whose bucket cannot be used does not start, and says what is wrong', async (context) => {
  if (noS3Server !== null) return context.skip(noS3Server)
  await using bucket = await startS3Server()
  const wrong = { ...bucket.env, BERTH_OBJECT_STORE_SECRET: 'hunter2' }
  const said = await startServer(newFolder(), 0, wrong).then(
    () => 'it started',
    (error: unknown) => (error as Error).message,
  )
  expect(said).toMatch(
    /BERTH_OBJECT_STORE: the bucket berth-test .*SignatureDoesNotMatch.*set BERTH_OBJECT_STORE_SECRET/s,
  )
  expect(said).not.toContain('hunter2')
})
