// Prices of one's own, from a file to a result, by the real program.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { DatasetView } from '../../jobs/datasets.ts'
import { openDesk, realBacktest } from '../support/desk.ts'

const file = readFileSync(join(import.meta.dirname, '../../containers/samples/indices.parquet'))

test('a dataset is uploaded once and read by every job, each from this machine’s own copy', async () => {
  await using desk = await openDesk()
  const about = {
    name: 'indices',
    format: 'parquet',
    bytes: file.length,
    sha256: createHash('sha256').update(file).digest('hex'),
    adjustment: 'total',
  }
  const post = async (path: string, body: object) =>
    (await (await desk.request(path, { method: 'POST', body: JSON.stringify(body) })).json()) as DatasetView
  const { id } = await post('/v1/datasets', about)
  const headers = { 'content-type': 'application/octet-stream' }
  await desk.request(`/v1/datasets/${id}/parts/0`, { method: 'PUT', headers, body: file })
  expect(await post(`/v1/datasets/${id}/complete`, {})).toMatchObject({ state: 'ready', rows: 10_062 })
  const spec = (symbol: string) => {
    const { params } = realBacktest()
    return realBacktest({ params: { ...params, data: { dataset: id, symbols: [symbol] } } })
  }
  for (const symbol of ['SP500', 'NASDAQ']) {
    const job = await desk.ended((await desk.submit(spec(symbol))).id)
    expect(job, JSON.stringify(job.error)).toMatchObject({
      state: 'succeeded',
      result: { data: { symbols: [symbol], start: '1999-01-04', end: '2018-12-31' }, points: 44 },
    })
  }
  expect(readdirSync(join(desk.folder, 'local', 'inputs'))).toEqual([about.sha256])
})
