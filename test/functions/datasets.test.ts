// A file of prices: uploaded once in parts, stored by its content, read by jobs of its project alone.
import { createHash, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import type { DatasetView } from '../../jobs/datasets.ts'
import { sweepRetention } from '../../jobs/retention.ts'
import type { JobView } from '../../jobs/view.ts'
import { around } from '../support/around.ts'
import { parquetFile } from '../support/parquet.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const sample = readFileSync(join(import.meta.dirname, '../../containers/samples/indices.parquet'))
const csv = 'date,symbol,close\n2020-01-02,A,10.5\n2020-01-03,A,11\n2020-01-06,A,10\n'
const part_bytes = 16 * 1024 ** 2
const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex')

const about = (content: string | Uint8Array, more: object = {}) => ({
  name: 'prices',
  format: 'csv',
  bytes: Buffer.byteLength(content),
  sha256: sha256(content),
  adjustment: 'total',
  ...more,
})

interface Answer {
  status: number
  body: DatasetView & { code?: string; errors?: { path: string }[]; detail?: string }
}
async function ask(
  world: World,
  method: string,
  path: string,
  body?: unknown,
  key = world.key,
): Promise<Answer> {
  const answer = await world.request(method, `/v1/datasets${path}`, { key, ...(body ? { body } : {}) })
  return { status: answer.status, body: (answer.status === 204 ? {} : await answer.json()) as Answer['body'] }
}

async function putPart(world: World, id: string, number: number, content: string | Uint8Array) {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return world.app.request(`/v1/datasets/${id}/parts/${number}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${world.key}`, 'content-type': 'application/octet-stream' },
    body: new Blob([bytes as Uint8Array<ArrayBuffer>]),
  })
}

async function upload(world: World, content: string | Uint8Array, more: object = {}): Promise<DatasetView> {
  const { body } = await ask(world, 'POST', '', about(content, more))
  for (let number = 0; number < (body.upload?.parts ?? 0); number++) {
    const bytes = Buffer.from(content).subarray(number * part_bytes, (number + 1) * part_bytes)
    expect((await putPart(world, body.id, number, bytes)).status).toBe(200)
  }
  const done = await ask(world, 'POST', `/${body.id}/complete`)
  expect([done.status, done.body]).toMatchObject([200, { state: 'ready' }])
  return done.body
}

describe('an upload', () => {
  test('of Parquet says what is in it', async () => {
    await using world = await openTestWorld()
    const ready = await upload(world, sample, { format: 'parquet', name: 'indices' })
    expect(ready).toMatchObject({
      name: 'indices',
      rows: 10_062,
      columns: ['date', 'symbol', 'open', 'high', 'low', 'close', 'volume'],
      upload: null,
    })
    expect([ready.first?.slice(0, 10), ready.last?.slice(0, 10)]).toEqual(['1999-01-04', '2018-12-31'])
    const { body } = await ask(world, 'GET', `/${ready.id}`)
    expect(body).toEqual(ready)
    const list = (await (await world.request('GET', '/v1/datasets')).json()) as { items: DatasetView[] }
    expect(list.items).toEqual([ready])
  })

  test('of CSV says its columns and range, whatever its order', async () => {
    await using world = await openTestWorld()
    const told = { columns: ['date', 'symbol', 'close'], first: '2020-01-02', last: '2020-01-06', rows: null }
    expect(await upload(world, csv)).toMatchObject(told)
    const [header, ...rows] = csv.trim().split('\n')
    const reversed = [header, ...rows.toReversed()].join('\n')
    expect(await upload(world, reversed, { name: 'reversed' })).toMatchObject(told)
  })

  test('goes on where it was broken off, and a part that is sent again replaces the first', async () => {
    await using world = await openTestWorld()
    const content = `${csv}${'2020-01-07,A,10\n'.repeat(1_100_000)}`
    const first = await ask(world, 'POST', '', about(content))
    expect(first).toMatchObject({
      status: 201,
      body: { state: 'uploading', upload: { parts: 2, received: [] } },
    })
    const { id } = first.body
    const tail = Buffer.from(content).subarray(part_bytes)
    expect((await putPart(world, id, 1, randomBytes(tail.length))).status).toBe(200)
    expect((await putPart(world, id, 1, tail)).status).toBe(200)
    const early = await ask(world, 'POST', `/${id}/complete`)
    expect([early.status, early.body.detail]).toEqual([422, '1 of 2 parts are missing.'])
    const again = await ask(world, 'POST', '', about(content))
    expect(again).toMatchObject({ status: 200, body: { id, upload: { received: [1] } } })
    expect((await putPart(world, id, 0, Buffer.from(content).subarray(0, part_bytes))).status).toBe(200)
    expect((await ask(world, 'POST', `/${id}/complete`)).body).toMatchObject({
      state: 'ready',
      last: '2020-01-07',
    })
    expect((await ask(world, 'POST', `/${id}/complete`)).status).toBe(200)
    expect(await world.deps.db.selectFrom('dataset_parts').selectAll().execute()).toEqual([])
  })

  test.for([
    ['damaged bytes', csv.replace('10.5', '10.6'), {}, 422, 'checksum_mismatch'],
    ['no Parquet', csv, { format: 'parquet' }, 422, 'invalid_request'],
    ['no column close', csv.replace('close', 'price'), {}, 422, 'invalid_request'],
  ] as const)(
    'of %s is refused when it is completed, and may be sent again',
    async ([, sent, more, status, code]) => {
      await using world = await openTestWorld()
      const damaged = code === 'checksum_mismatch'
      const { body } = await ask(world, 'POST', '', about(damaged ? csv : sent, more))
      await putPart(world, body.id, 0, sent)
      const refused = await ask(world, 'POST', `/${body.id}/complete`)
      expect([refused.status, refused.body.code]).toEqual([status, code])
      expect((await ask(world, 'GET', `/${body.id}`)).body).toMatchObject({ state: 'uploading' })
      if (!damaged) return
      await putPart(world, body.id, 0, csv)
      expect((await ask(world, 'POST', `/${body.id}/complete`)).status).toBe(200)
    },
  )

  test('of several parts begins anew where they together are not what was named', async () => {
    await using world = await openTestWorld()
    const content = Buffer.from(`${csv}${'2020-01-07,A,10\n'.repeat(1_100_000)}`)
    const { id } = (await ask(world, 'POST', '', about(content))).body
    await putPart(world, id, 0, randomBytes(part_bytes))
    await putPart(world, id, 1, content.subarray(part_bytes))
    expect(await ask(world, 'POST', `/${id}/complete`)).toMatchObject({
      status: 422,
      body: { code: 'checksum_mismatch', detail: expect.stringMatching(/Send all parts again/) as string },
    })
    const again = await ask(world, 'POST', '', about(content))
    expect(again).toMatchObject({ status: 200, body: { id, upload: { parts: 2, received: [] } } })
    await upload(world, content)
  })

  test('that two servers complete at once is ready for both', async () => {
    await using world = await openTestWorld()
    const { id } = (await ask(world, 'POST', '', about(csv))).body
    await putPart(world, id, 0, csv)
    const complete = (app: World['app']) =>
      app.request(`/v1/datasets/${id}/complete`, {
        method: 'POST',
        headers: { authorization: `Bearer ${world.key}` },
      })
    // The other has read which parts there are, and opens them when this one has removed them.
    let isFirst = true
    const other = createApp({
      ...world.deps,
      store: {
        ...world.deps.store,
        async get(...given) {
          if (isFirst) expect((await complete(world.app)).status).toBe(200)
          isFirst = false
          return world.deps.store.get(...given)
        },
      },
    })
    const answer = await complete(other)
    expect([answer.status, await answer.json()]).toMatchObject([200, { id, state: 'ready' }])
  })

  test('whose part comes while it is deleted is refused, and one that comes twice leaves one object', async () => {
    await using world = await openTestWorld()
    const { put, delete: remove } = world.deps.store
    const left = new Set<string>()
    world.deps.store.put = async (key, ...given) => {
      left.add(key)
      return put(key, ...given)
    }
    world.deps.store.delete = async (key) => {
      left.delete(key)
      return remove(key)
    }
    const { id } = (await ask(world, 'POST', '', about(csv))).body
    const twice = await Promise.all([putPart(world, id, 0, csv), putPart(world, id, 0, csv)])
    expect(twice.map(({ status }) => status)).toEqual([200, 200])
    expect(left.size).toBe(1)
    world.deps.store.put = async (key, ...given) => {
      left.add(key)
      await ask(world, 'DELETE', `/${id}`)
      return put(key, ...given)
    }
    expect((await putPart(world, id, 0, csv)).status).toBe(409)
    expect(left.size).toBe(0)
  })

  test.for([
    ['a name with NUL', 'date,close,a\0b\n2020-01-02,1,1\n', 'csv', /NUL/],
    ['a date with NUL', 'date,close\n2020\0,1\n', 'csv', null],
    [
      'thousands of columns',
      parquetFile([
        { name: 'date', type: 'text', values: ['2020-01-02'] },
        { name: 'close', type: 'double', values: [1] },
        ...Array.from({ length: 2_000 }, (_, n) => ({
          name: `${n}`.padStart(50, 'x'),
          type: 'double' as const,
          values: [1],
        })),
      ]),
      'parquet',
      /the names of its 2002 columns/,
    ],
    [
      'more rows than there are numbers',
      parquetFile(
        [
          { name: 'date', type: 'text', values: ['2020-01-02'] },
          { name: 'close', type: 'double', values: [1] },
        ],
        { group_rows: 2 ** 62 },
      ),
      'parquet',
      /number of rows/,
    ],
  ] as const)('of %s is refused or kept, and is no failure', async ([, content, format, refused]) => {
    await using world = await openTestWorld()
    const { body } = await ask(world, 'POST', '', about(content, { format }))
    await putPart(world, body.id, 0, content)
    const done = await ask(world, 'POST', `/${body.id}/complete`)
    if (refused === null) expect([done.status, done.body]).toMatchObject([200, { state: 'ready' }])
    else expect([done.status, done.body.detail]).toEqual([422, expect.stringMatching(refused)])
  })

  test('has parts of the right size and number alone', async () => {
    await using world = await openTestWorld()
    const { body } = await ask(world, 'POST', '', about(csv))
    expect((await putPart(world, body.id, 0, csv.slice(1))).status).toBe(422)
    expect((await putPart(world, body.id, 0, `${csv}x`)).status).toBe(413)
    expect((await putPart(world, body.id, 1, csv)).status).toBe(404)
    expect((await putPart(world, 'ds_nothing', 0, csv)).status).toBe(404)
    const unkeyed = await world.app.request(`/v1/datasets/${body.id}/parts/0`, { method: 'PUT', body: csv })
    expect(unkeyed.status).toBe(401)
  })

  test.for([
    [{ bytes: 0 }, 'bytes'],
    [{ bytes: 65 * 1024 ** 3 }, 'bytes'],
    [{ sha256: 'A'.repeat(64) }, 'sha256'],
    [{ format: 'xlsx' }, 'format'],
    [{ adjustment: undefined }, 'adjustment'],
    [{ colour: 'red' }, 'colour'],
  ] as const)('with %j is refused by the field', async ([more, path]) => {
    await using world = await openTestWorld()
    const { status, body } = await ask(world, 'POST', '', about(csv, more))
    expect(status).toBe(422)
    expect(body.errors?.[0]?.path).toBe(path)
  })
})

describe('content', () => {
  test('that the project has is not uploaded again, whatever it is called', async () => {
    await using world = await openTestWorld()
    const first = await upload(world, csv)
    const again = await ask(world, 'POST', '', about(csv))
    expect(again).toMatchObject({ status: 200, body: { id: first.id, state: 'ready' } })
    const other = await ask(world, 'POST', '', about(csv, { name: 'other', adjustment: 'none' }))
    expect(other).toMatchObject({ status: 201, body: { state: 'ready', adjustment: 'none', upload: null } })
    const second = await world.secondProject()
    const elsewhere = await ask(world, 'POST', '', about(csv), second.key)
    expect(elsewhere).toMatchObject({ status: 201, body: { state: 'uploading' } })
    expect((await ask(world, 'GET', `/${first.id}`, undefined, second.key)).status).toBe(404)
  })

  test('that comes twice at once is one dataset', async () => {
    await using world = await openTestWorld()
    const eight = <Made>(make: () => Promise<Made>) => Promise.all(Array.from({ length: 8 }, make))
    // Each has a connection of its own from then on.
    await eight(() => world.deps.db.transaction().execute((tx) => sql`select pg_sleep(0.01)`.execute(tx)))
    const made = await eight(() => ask(world, 'POST', '', about(csv)))
    expect(new Set(made.map(({ body }) => body.id)).size).toBe(1)
    expect(made.filter(({ status }) => status === 201)).toHaveLength(1)
  })

  test('goes when the last dataset and the last job that needs it have gone', async () => {
    await using world = await openTestWorld()
    const first = await upload(world, csv)
    const other = (await ask(world, 'POST', '', about(csv, { name: 'other' }))).body
    const { object_key } = await world.deps.db
      .selectFrom('datasets')
      .select('object_key')
      .where('id', '=', first.id)
      .executeTakeFirstOrThrow()
    const isThere = async () => {
      await sweepRetention(world.deps)
      return (await world.deps.store.get(object_key ?? '')) !== null
    }
    const job = await submit(world, other.id)
    expect((await ask(world, 'DELETE', `/${first.id}`)).status).toBe(204)
    expect(await isThere()).toBe(true)
    expect((await ask(world, 'DELETE', `/${other.id}`)).status).toBe(204)
    expect((await ask(world, 'GET', `/${other.id}`)).status).toBe(404)
    expect(await isThere()).toBe(true)
    await world.request('POST', `/v1/jobs/${job.id}/cancel`)
    await world.settle(2)
    expect(await isThere()).toBe(true)
    world.advance(600)
    expect(await isThere()).toBe(false)
  })

  test('is there for a job that was accepted while its dataset was deleted', async () => {
    await using world = await openTestWorld()
    const { id } = await upload(world, csv)
    const db = around(world.deps.db, /write new jobs/, async (run) => {
      expect((await ask(world, 'DELETE', `/${id}`)).status).toBe(204)
      await sweepRetention(world.deps)
      return run()
    })
    const app = createApp({ ...world.deps, db })
    const headers = { authorization: `Bearer ${world.key}`, 'content-type': 'application/json' }
    const body = JSON.stringify({ ...specOf(id), cache: false })
    expect((await app.request('/v1/jobs', { method: 'POST', headers, body })).status).toBe(201)
    world.advance(600)
    await sweepRetention(world.deps)
    const { object_key } = await world.deps.db
      .selectFrom('datasets')
      .select('object_key')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    expect(object_key).not.toBeNull()
    expect(await world.deps.store.get(object_key ?? '')).not.toBeNull()
  })

  test('of an upload that nobody goes on with goes after a week', async () => {
    await using world = await openTestWorld()
    const { body } = await ask(world, 'POST', '', about(csv))
    await putPart(world, body.id, 0, csv)
    world.advance(8 * 86_400)
    await sweepRetention(world.deps)
    expect((await ask(world, 'GET', `/${body.id}`)).body.upload?.received).toEqual([])
  })
})

const specOf = (dataset: string, more: object = {}) =>
  backtest({ params: { ...backtest().params, data: { dataset, symbols: ['A'] }, ...more } })

async function submit(world: World, dataset: string): Promise<JobView> {
  const answer = await world.request('POST', '/v1/jobs', { body: specOf(dataset) })
  expect(answer.status).toBe(201)
  return (await answer.json()) as JobView
}

describe('a job', () => {
  test('reads its dataset by its runner, from any byte on, also when it was deleted meanwhile', async () => {
    await using world = await openTestWorld()
    const { id, sha256: hash } = await upload(world, csv, { timezone: 'America/New_York' })
    await submit(world, id)
    await world.settle(3)
    await ask(world, 'DELETE', `/${id}`)
    const [attempt, machine] = [...world.model.machines][0] ?? []
    const key = machine?.token ?? ''
    const get = (path: string, headers = {}) =>
      world.request('GET', `/v1/attempts/${attempt}${path}`, { key, headers })
    const spec = (await (await get('/spec')).json()) as Record<string, unknown>
    const url = `/v1/attempts/${attempt}/dataset`
    expect(spec).toMatchObject({
      params: {
        data: {
          files: [{ url, sha256: hash }],
          adjustment: 'total',
          timezone: 'America/New_York',
          symbols: ['A'],
        },
      },
      inputs: [{ name: 'data-0.csv', url, sha256: hash }],
    })
    expect(await (await get('/dataset')).text()).toBe(csv)
    const rest = await get('/dataset', { range: 'bytes=10-' })
    expect([rest.status, await rest.text()]).toEqual([206, csv.slice(10)])
    expect(rest.headers.get('content-range')).toBe(`bytes 10-${csv.length - 1}/${csv.length}`)
    expect((await get('/dataset', { range: `bytes=${csv.length}-` })).status).toBe(416)
    expect((await world.request('GET', url)).status).toBe(401)
  })

  test.for([
    [
      'another project’s',
      async (world: World) => {
        const second = await world.secondProject()
        return (await ask(world, 'POST', '', about(csv), second.key)).body.id
      },
    ],
    ['one that is not ready', async (world: World) => (await ask(world, 'POST', '', about(csv))).body.id],
    [
      'a deleted one',
      async (world: World) => {
        const { id } = await upload(world, csv)
        await ask(world, 'DELETE', `/${id}`)
        return id
      },
    ],
    ['none at all', () => Promise.resolve(`ds_${'0'.repeat(26)}`)],
  ] as const)('with %s is refused by the field', async ([, idOf]) => {
    await using world = await openTestWorld()
    const body = specOf(await idOf(world))
    const answer = await world.request('POST', '/v1/jobs', { body })
    expect(answer.status).toBe(422)
    expect(await answer.json()).toMatchObject({ errors: [{ path: 'params.data.dataset' }] })
  })

  test('that would fill at the open of a file without one is refused', async () => {
    await using world = await openTestWorld()
    const { id } = await upload(world, csv)
    const body = specOf(id, { execution: { fill: 'next_open' } })
    const answer = await world.request('POST', '/v1/jobs', { body })
    expect(await answer.json()).toMatchObject({ status: 422, errors: [{ path: 'params.execution.fill' }] })
  })

  test('is estimated by the rows of its dataset', async () => {
    await using world = await openTestWorld()
    const { id } = await upload(world, sample, { format: 'parquet' })
    const parameters = { fast: { range: [1, 1_000, 1] }, slow: { range: [1_001, 2_000, 1] }, stop_loss: 0.1 }
    const body = specOf(id, { parameters })
    const estimate = (await (await world.request('POST', '/v1/jobs/estimate', { body })).json()) as {
      shards: number
      offers: { basis: string; expected_duration_s: number }[]
    }
    // Ten billion bar-updates of eight cores.
    expect(estimate.offers[0]).toMatchObject({ basis: 'model' })
    expect(estimate.offers[0]?.expected_duration_s).toBeGreaterThan(12)
  })

  test('has the result of an equal one, whatever its dataset is called', async () => {
    await using world = await openTestWorld()
    world.deps.settings.program_version = () => 'one'
    const first = await upload(world, csv)
    const other = (await ask(world, 'POST', '', about(csv, { name: 'other' }))).body
    const unlike = (await ask(world, 'POST', '', about(csv, { name: 'unlike', adjustment: 'none' }))).body
    await submit(world, first.id)
    const follower = await submit(world, other.id)
    const alone = await submit(world, unlike.id)
    const explain = async ({ id }: JobView) =>
      (await (await world.request('GET', `/v1/jobs/${id}/explain`)).json()) as object
    expect(await explain(follower)).toMatchObject({ reason: { code: 'follows' } })
    expect(await explain(alone)).not.toMatchObject({ reason: { code: 'follows' } })
  })
})
