// Equal jobs have one result: it is given again, and waited for while it is made.
import { describe, expect, test } from 'vitest'
import { sweepRetention } from '../../jobs/retention.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function open() {
  const world = await openTestWorld()
  world.deps.settings.program_version = () => 'one'
  const [offer] = world.model.offers
  if (offer) Object.assign(offer, { slots: null })
  return world
}

async function submit(world: World, more: Record<string, unknown> = {}, key = world.key): Promise<JobView> {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(more), key })
  expect(answer.status).toBe(201)
  return (await answer.json()) as JobView
}
const read = async <Body>(world: World, path: string) =>
  (await (await world.request('GET', path)).json()) as Body
const jobOf = (world: World, id: string) => read<JobView>(world, `/v1/jobs/${id}`)
const launched = (world: World) => world.model.calls.filter(({ call }) => call === 'launch').length

const done = { type: 'finished', exit_code: 0, failure: null, result: { best: 7 } }

/** Answers for the runner of the machine that came last. */
async function begin(world: World) {
  await world.settle(3)
  const [id, machine] = [...world.model.machines].at(-1) ?? []
  if (!id || !machine) throw new Error('a machine runs')
  const { token: key } = machine
  const path = `/v1/attempts/${id}`
  const report = (body: object) => world.request('POST', `${path}/report`, { key, body })
  expect((await report({ type: 'started', instance: id })).status).toBe(200)
  await world.settle(2)
  return {
    async end(how: object = done) {
      const headers = { 'content-type': 'application/octet-stream' }
      const put = await world.request('PUT', `${path}/artifacts/points.parquet`, {
        key,
        body: 'rows',
        headers,
      })
      expect(put.status).toBe(200)
      expect((await report(how)).status).toBe(200)
      await world.settle(4)
    },
  }
}
const finish = async (world: World, how: object = done) => (await begin(world)).end(how)

describe('a result that is there', () => {
  test('is given at once, with artifacts and points, and costs nothing', async () => {
    await using world = await open()
    const first = await submit(world)
    const points = [{ point: 0, objective: 1, parameters: { fast: 10 }, metrics: {} }]
    await finish(world, { ...done, points })
    const again = await submit(world, { name: 'again', labels: { desk: 'two' } })
    expect(again).toMatchObject({
      state: 'succeeded',
      outcome: 'succeeded',
      cached_from: first.id,
      result: { best: 7 },
      name: 'again',
      shards: { total: 1, succeeded: 1 },
      cost: { actual_usd: 0, final: true },
    })
    expect(launched(world)).toBe(1)
    const { items } = await read<{ items: { name: string; url: string }[] }>(
      world,
      `/v1/jobs/${again.id}/artifacts`,
    )
    expect(items).toMatchObject([{ name: 'points.parquet' }])
    expect(items[0]?.url).toContain(again.id)
    const file = await world.request('GET', `/v1/jobs/${again.id}/artifacts/points.parquet`)
    expect(await file.text()).toBe('rows')
    expect(await read(world, `/v1/jobs/${again.id}/points`)).toMatchObject({ items: [{ point: 0 }] })
    const events = await read<{ items: { type: string }[] }>(world, `/v1/jobs/${again.id}/events`)
    expect(events.items.map(({ type }) => type)).toEqual(['job.queued', 'job.succeeded'])
    expect(await read(world, `/v1/jobs/${again.id}/explain`)).toMatchObject({ reason: { code: 'cached' } })
    // What is given is the first job's, however often it was given before.
    expect(await submit(world)).toMatchObject({ cached_from: first.id })
  })

  test('is told by webhook and named by an estimate', async () => {
    await using world = await open()
    const first = await submit(world)
    const estimate = async () =>
      (await (await world.request('POST', '/v1/jobs/estimate', { body: backtest() })).json()) as object
    expect(await estimate()).toMatchObject({ cached: null })
    await finish(world)
    expect(await estimate()).toMatchObject({ cached: first.id })
    const again = await submit(world, { webhook: { url: 'https://example.com/hook' } })
    await world.deliver()
    expect(world.sent.map(({ body }) => JSON.parse(body) as object)).toMatchObject([
      { type: 'job.succeeded', data: { job: { id: again.id, cached_from: first.id } } },
    ])
  })

  test.for([
    ['other params', {}, { params: { ...backtest().params, parameters: { fast: 11, slow: 50 } } }],
    ['another device', {}, { resources: { device: 'cuda' } }],
    ['cache: false', {}, { cache: false }],
    ['a file without a hash', fileOf({}), fileOf({})],
    ['a benchmark without a hash', comparedWith({}), comparedWith({})],
    ['another content', fileOf({ sha256: 'a'.repeat(64) }), fileOf({ sha256: 'b'.repeat(64) })],
  ] as const)('is not given for %s', async ([, one, two]) => {
    await using world = await open()
    await submit(world, one)
    await finish(world)
    expect(await submit(world, two)).toMatchObject({ state: 'queued', cached_from: null })
  })

  test('is given for one content under another address, and for a device that it was made on', async () => {
    await using world = await open()
    const sha256 = 'a'.repeat(64)
    await submit(world, fileOf({ sha256 }))
    await finish(world)
    const elsewhere = fileOf({ sha256, url: 'https://example.com/copy.parquet' })
    expect(await submit(world, elsewhere)).toMatchObject({ state: 'succeeded' })
    expect(await submit(world, { ...fileOf({ sha256 }), resources: { device: 'cpu' } })).toMatchObject({
      state: 'succeeded',
    })
  })

  test('is given for a benchmark of one content, and not for another benchmark', async () => {
    await using world = await open()
    await submit(world, comparedWith({ sha256: 'a'.repeat(64) }))
    await finish(world)
    expect(await submit(world, comparedWith({ sha256: 'a'.repeat(64) }))).toMatchObject({
      state: 'succeeded',
    })
    expect(await submit(world, comparedWith({ sha256: 'b'.repeat(64) }))).toMatchObject({ state: 'queued' })
    expect(await submit(world)).toMatchObject({ state: 'queued' })
  })

  test('is not given to another project, for another version of the program, or when it is too old', async () => {
    await using world = await open()
    await submit(world)
    await finish(world)
    const second = await world.secondProject()
    expect(await submit(world, {}, second.key)).toMatchObject({ state: 'queued' })
    world.deps.settings.program_version = () => 'two'
    expect(await submit(world)).toMatchObject({ state: 'queued' })
    world.deps.settings.program_version = () => 'one'
    world.advance(3_601)
    expect(await submit(world)).toMatchObject({ state: 'queued' })
  })

  test('is not kept of a job that was stopped or that failed', async () => {
    await using world = await open()
    const first = await submit(world)
    const { end } = await begin(world)
    await world.request('POST', `/v1/jobs/${first.id}/stop`)
    await world.settle(2)
    await end({ ...done, exit_code: 75 })
    expect(await jobOf(world, first.id)).toMatchObject({ state: 'succeeded', outcome: 'stopped' })
    await submit(world)
    await finish(world, { ...done, exit_code: 2, failure: 'invalid_params' })
    expect(await submit(world)).toMatchObject({ state: 'queued' })
  })

  test('stays of those that were used last, and of those that are young', async () => {
    await using world = await open()
    world.deps.settings.cache_max_entries = 3
    const of = (fast: number) => ({ params: { ...backtest().params, parameters: { fast, slow: 50 } } })
    for (const fast of [1, 2, 3]) {
      await submit(world, of(fast))
      await finish(world)
      world.advance(1)
    }
    expect(await submit(world, of(1))).toMatchObject({ state: 'succeeded' })
    await sweepRetention(world.deps)
    // Each result stands under two keys: of any device, and of its own.
    expect(await submit(world, of(2))).toMatchObject({ state: 'queued' })
    expect(await submit(world, of(3))).toMatchObject({ state: 'succeeded' })
  })
})

function fileOf(more: { url?: string; sha256?: string }) {
  const url = 'https://example.com/prices.parquet'
  const data = { files: [{ url, ...more }], adjustment: 'total' }
  return { params: { ...backtest().params, data } }
}

function comparedWith(more: { sha256?: string }) {
  return { params: { ...backtest().params, benchmark: { url: 'https://example.com/index.csv', ...more } } }
}

describe('a job that is equal to one at work', () => {
  test('waits for it, says so, and takes its result', async () => {
    await using world = await open()
    const leader = await submit(world)
    const follower = await submit(world, { priority: 'low' })
    await world.settle(3)
    expect(launched(world)).toBe(1)
    expect(await jobOf(world, follower.id)).toMatchObject({ state: 'queued', cached_from: null })
    const explained = await read(world, `/v1/jobs/${follower.id}/explain`)
    expect(explained).toMatchObject({ reason: { code: 'follows' }, follows: leader.id })
    await finish(world)
    expect(await jobOf(world, follower.id)).toMatchObject({
      state: 'succeeded',
      cached_from: leader.id,
      result: { best: 7 },
      cost: { actual_usd: 0 },
    })
    expect(launched(world)).toBe(1)
  })

  test('takes room in the queue', async () => {
    await using world = await open()
    world.deps.settings.max_queued = 1
    await submit(world)
    await world.settle(3)
    await submit(world)
    await world.settle(3)
    const body = backtest({ cache: false })
    const { status } = await world.request('POST', '/v1/jobs', { body })
    expect([launched(world), status]).toEqual([1, 429])
  })

  test('lends it its priority', async () => {
    await using world = await open()
    const [offer] = world.model.offers
    if (offer) Object.assign(offer, { slots: 1 })
    const of = (fast: number) => ({ params: { ...backtest().params, parameters: { fast, slow: 50 } } })
    await submit(world, of(1))
    await world.settle(3)
    await submit(world, of(2))
    await submit(world, { ...of(3), priority: 'low' })
    await submit(world, { ...of(3), priority: 'high' })
    await finish(world)
    for (let round = 0; round < 3; round++) {
      world.advance(2)
      await world.settle(2)
    }
    const [last] = [...world.model.machines.keys()].slice(-1)
    const spec = await world.deps.db
      .selectFrom('attempts')
      .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
      .select('jobs.spec')
      .where('attempts.id', '=', last ?? '')
      .executeTakeFirstOrThrow()
    expect(spec.spec.params).toMatchObject({ parameters: { fast: 3, slow: 50 } })
  })

  test.for(['cancel', 'fail'])('leads the others when it ends by %s', async (how) => {
    await using world = await open()
    const [one, two, three] = [await submit(world), await submit(world), await submit(world)]
    const { end } = await begin(world)
    if (how === 'cancel') {
      await world.request('POST', `/v1/jobs/${one.id}/cancel`)
      await world.settle(2)
      await end({ ...done, exit_code: 75 })
    } else await end({ ...done, exit_code: 2, failure: 'invalid_params' })
    await world.settle(3)
    expect(launched(world)).toBe(2)
    expect(await read(world, `/v1/jobs/${three.id}/explain`)).toMatchObject({ follows: two.id })
    await finish(world)
    expect(await jobOf(world, two.id)).toMatchObject({ state: 'succeeded', cached_from: null })
    expect(await jobOf(world, three.id)).toMatchObject({ state: 'succeeded', cached_from: two.id })
  })

  test('keeps its own bounds and obeys its own orders', async () => {
    await using world = await open()
    const leader = await submit(world)
    const short = await submit(world, { queue_timeout_s: 60 })
    const unwanted = await submit(world)
    await world.settle(3)
    await world.request('POST', `/v1/jobs/${unwanted.id}/cancel`)
    await world.settle(2)
    expect(await jobOf(world, unwanted.id)).toMatchObject({ state: 'cancelled' })
    world.advance(61)
    await world.settle(2)
    expect(await jobOf(world, short.id)).toMatchObject({ state: 'failed', error: { code: 'queue_timeout' } })
    expect(await jobOf(world, leader.id)).toMatchObject({ state: 'scheduled' })
  })

  test('follows within one batch too', async () => {
    await using world = await open()
    const body = { jobs: [backtest(), backtest(), backtest({ cache: false })] }
    const answer = await world.request('POST', '/v1/jobs/batch', { body })
    const { items } = (await answer.json()) as { items: { job: JobView }[] }
    await world.settle(3)
    expect(launched(world)).toBe(2)
    const explained = await read(world, `/v1/jobs/${items[1]?.job.id}/explain`)
    expect(explained).toMatchObject({ follows: items[0]?.job.id })
  })

  test('takes the result of a sweep in parts as a whole', async () => {
    await using world = await open()
    const slow = { range: [1_001, 2_000, 1] }
    const parameters = { fast: { range: [1, 1_000, 1] }, slow, stop_loss: { range: [0, 0.09, 0.01] } }
    const params = { ...backtest().params, data: { dataset: 'sample:sp500-20' }, parameters }
    const leader = await submit(world, { params, parallelism: { max_shards: 1 } })
    const follower = await submit(world, { params, parallelism: { max_shards: 3 } })
    expect(follower.shards).toMatchObject({ total: 3, waiting: 3 })
    await finish(world)
    expect(await jobOf(world, follower.id)).toMatchObject({
      state: 'succeeded',
      cached_from: leader.id,
      result: { best: 7 },
      shards: { total: 3, succeeded: 3 },
    })
    expect(launched(world)).toBe(1)
  })
})

describe('deleting a job', () => {
  const objects = async (world: World) => {
    const rows = await world.deps.db.selectFrom('artifacts').select('object_key').distinct().execute()
    return rows.map(({ object_key }) => object_key)
  }

  test('removes its artifacts a week later, unless another job was given them', async () => {
    await using world = await open()
    const first = await submit(world)
    await finish(world)
    const given = await submit(world)
    const [key] = await objects(world)
    expect((await world.request('DELETE', `/v1/jobs/${first.id}`)).status).toBe(204)
    // Nobody is given the result of a job that was deleted.
    expect(await submit(world)).toMatchObject({ state: 'queued' })
    world.advance(8 * 86_400)
    await sweepRetention(world.deps)
    const file = await world.request('GET', `/v1/jobs/${given.id}/artifacts/points.parquet`)
    expect([file.status, await file.text()]).toEqual([200, 'rows'])
    await world.request('DELETE', `/v1/jobs/${given.id}`)
    world.advance(8 * 86_400)
    await sweepRetention(world.deps)
    expect(await objects(world)).toEqual([])
    expect(await world.deps.store.get(key ?? '')).toBeNull()
  })

  test('leaves what another job has of the same content', async () => {
    await using world = await open()
    const first = await submit(world, { cache: false })
    await finish(world)
    const second = await submit(world, { cache: false })
    await finish(world)
    expect(await objects(world)).toHaveLength(1)
    await world.request('DELETE', `/v1/jobs/${first.id}`)
    world.advance(8 * 86_400)
    await sweepRetention(world.deps)
    const file = await world.request('GET', `/v1/jobs/${second.id}/artifacts/points.parquet`)
    expect([file.status, await file.text()]).toEqual([200, 'rows'])
  })
})
