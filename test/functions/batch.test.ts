// Many jobs in one request.
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

interface Item {
  index: number
  job?: JobView
  problem?: { status: number; code: string; detail: string; errors: { path: string }[]; request_id: string }
}

async function send(world: World, jobs: unknown, key?: string) {
  const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key }
  const answer = await world.request('POST', '/v1/jobs/batch', { body: { jobs }, headers })
  const body = (await answer.json()) as { items: Item[]; code?: string; errors?: { path: string }[] }
  return { status: answer.status, replayed: answer.headers.get('idempotent-replayed'), ...body }
}
const ids = (items: readonly Item[]) => items.map(({ job }) => job?.id)
const count = async (world: World) => (await world.deps.db.selectFrom('jobs').select('id').execute()).length

test('the valid jobs of a batch are stored, and what is wrong with the others is said in their place', async () => {
  await using world = await openTestWorld()
  const { status, items } = await send(world, [
    backtest({ name: 'first' }),
    backtest({ timeout_s: '60' }),
    backtest({ name: 'a\0b' }),
    backtest({ webhook: { url: 'https://forbidden.test/' } }),
    backtest({ strict: true, resources: { cpu: 1_000 } }),
    7,
    backtest({ name: 'last' }),
  ])
  expect(status).toBe(200)
  expect(items.map(({ index }) => index)).toEqual([0, 1, 2, 3, 4, 5, 6])
  expect(items.map(({ job }) => job?.name)).toEqual(['first', ...Array(5).fill(undefined), 'last'])
  const problems = items.flatMap(({ problem }) => problem ?? [])
  expect(problems.map(({ status, errors: [error] }) => [status, error?.path])).toEqual([
    [422, 'timeout_s'],
    [422, 'name'],
    [422, 'webhook.url'],
    [422, 'resources'],
    [422, ''],
  ])
  expect(await count(world)).toBe(2)
  await world.settle(3)
  expect(world.model.machines.size).toBe(2)
})

test('a thousand jobs are stored at once, in their order', async () => {
  await using world = await openTestWorld()
  world.deps.settings.max_queued = 1_000
  const names = Array.from({ length: 1_000 }, (_, n) => `job ${n}`)
  const webhook = { url: 'https://hooks.test/', events: ['job.queued'] }
  const { items } = await send(
    world,
    names.map((name) => backtest({ name, webhook, labels: { desk: 'alpha' } })),
  )
  expect(items.map(({ job }) => job?.name)).toEqual(names)
  const queued = await world.deps.db
    .selectFrom('shards')
    .select('job_id')
    .orderBy('queue_key')
    .orderBy('id')
    .execute()
  expect(queued.map(({ job_id }) => job_id)).toEqual(ids(items))
  const told = await world.deps.db.selectFrom('deliveries').select('job_id').execute()
  expect(told).toHaveLength(1_000)
  const events = await world.request('GET', `/v1/jobs/${items[999]?.job?.id}/events`)
  expect(await events.json()).toMatchObject({ items: [{ sequence: 1, type: 'job.queued' }] })
  expect(await send(world, names.map(() => backtest()).concat(backtest()))).toMatchObject({
    status: 422,
    errors: [{ path: 'jobs' }],
  })
})

test('a key covers the whole batch', async () => {
  await using world = await openTestWorld()
  const jobs = [backtest({ name: 'one' }), { kind: 'backtest' }, backtest({ name: 'two' })]
  const first = await send(world, jobs, 'k')
  expect(first.replayed).toBeNull()
  await world.settle(3)
  const again = await send(world, jobs, 'k')
  expect(again).toMatchObject({ status: 200, replayed: 'true' })
  expect(ids(again.items)).toEqual(ids(first.items))
  expect(again.items[0]?.job?.state).toBe('scheduled')
  expect(again.items[1]?.problem).toMatchObject({ code: 'invalid_request', errors: [{ path: 'params' }] })
  expect(await send(world, jobs.slice(0, 2), 'k')).toMatchObject({
    status: 422,
    code: 'idempotency_key_reused',
  })
  expect(await count(world)).toBe(2)
})

test('of a batch that is sent again a deleted job is gone, and the others are there', async () => {
  await using world = await openTestWorld()
  const jobs = [backtest({ name: 'one' }), backtest({ name: 'two' })]
  const [id] = ids((await send(world, jobs, 'k')).items)
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.pass()
  await world.request('DELETE', `/v1/jobs/${id}`)
  const { items } = await send(world, jobs, 'k')
  expect(items[0]?.problem).toMatchObject({ status: 410, code: 'gone' })
  expect(items[1]?.job?.name).toBe('two')
})

test('a batch that the queue has no room for is refused whole', async () => {
  await using world = await openTestWorld()
  expect(
    (
      await send(
        world,
        Array.from({ length: 40 }, () => backtest()),
      )
    ).status,
  ).toBe(200)
  const refused = await send(
    world,
    Array.from({ length: 11 }, () => backtest()),
  )
  expect(refused).toMatchObject({ status: 429, code: 'queue_full' })
  expect(await count(world)).toBe(40)
  expect(
    (
      await send(
        world,
        Array.from({ length: 10 }, () => backtest()),
      )
    ).status,
  ).toBe(200)
})

test.for([
  [{}, 'jobs'],
  [{ jobs: [] }, 'jobs'],
  [{ jobs: {} }, 'jobs'],
  [{ jobs: [backtest()], more: 1 }, 'more'],
] as const)('%j is no batch', async ([body, path]) => {
  await using world = await openTestWorld()
  const answer = await world.request('POST', '/v1/jobs/batch', { body })
  expect([answer.status, await answer.json()]).toMatchObject([422, { errors: [{ path }] }])
})

test('a batch may be larger than a job, and not endless', async () => {
  await using world = await openTestWorld()
  const note = 'x'.repeat(200)
  const labels = Object.fromEntries(Array.from({ length: 60 }, (_, n) => [`label-${n}`, note]))
  const jobs = Array.from({ length: 200 }, () => backtest({ labels, timeout_s: 0 }))
  expect((await send(world, jobs)).status).toBe(200)
  expect(
    await send(
      world,
      Array.from({ length: 900 }, () => jobs[0]),
    ),
  ).toMatchObject({ status: 413 })
  const deep = `{"jobs":[${'['.repeat(100_000)}${']'.repeat(100_000)}]}`
  const answer = await world.request('POST', '/v1/jobs/batch', { body: deep })
  expect([answer.status, await answer.text()]).toMatchObject([422, expect.stringContaining('nested deeper')])
})
