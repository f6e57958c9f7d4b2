import { expect, test } from 'vitest'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** A job that is cancelled at once, so that exactly one message waits in the outbox. */
async function announced(world: World): Promise<void> {
  const body = backtest({ webhook: { url: 'https://example.com/hook' } })
  const { id } = (await (await world.request('POST', '/v1/jobs', { body })).json()) as { id: string }
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.pass()
}

const deliveries = (world: World) => world.deps.db.selectFrom('deliveries').selectAll().execute()
const attempts = (world: World) =>
  world.deps.db.selectFrom('delivery_attempts').selectAll().orderBy('number').execute()

test('a failed delivery is tried again with the same id and body, and every attempt is stored', async () => {
  await using world = await openTestWorld()
  await announced(world)
  let answers = 0
  world.receive(() => new Response('', { status: ++answers < 3 ? 500 : 200 }))
  await world.deliver()
  expect(await world.deliver()).toBe(0)
  // At most 5 s and a fifth, then 30 s and a fifth.
  world.advance(6.1)
  await world.deliver()
  world.advance(36.1)
  await world.deliver()
  expect(await deliveries(world)).toMatchObject([{ state: 'delivered', attempts: 3, next_attempt_at: null }])
  expect((await attempts(world)).map(({ number, status }) => [number, status])).toEqual([
    [1, 500],
    [2, 500],
    [3, 200],
  ])
  expect(new Set(world.sent.map(({ headers }) => headers.get('webhook-id'))).size).toBe(1)
  expect(new Set(world.sent.map(({ body }) => body)).size).toBe(1)
  expect(new Set(world.sent.map(({ headers }) => headers.get('webhook-timestamp'))).size).toBe(3)
})

test('a receiver that cannot be reached is tried for three days, then the message is exhausted', async () => {
  await using world = await openTestWorld()
  await announced(world)
  world.receive(() => Promise.reject(new Error('connection refused')))
  const start = world.deps.clock.now().getTime()
  let tried = 0
  for (let hour = 0; hour < 24 * 5; hour++) {
    tried += await world.deliver()
    world.advance(3_600)
  }
  expect(tried).toBe(11)
  const [delivery] = await deliveries(world)
  expect(delivery?.state).toBe('exhausted')
  expect((delivery?.ended_at?.getTime() ?? 0) - start).toBeGreaterThan(3 * 86_400_000)
  expect((await attempts(world)).at(-1)).toMatchObject({
    number: 11,
    status: null,
    error: 'connection refused',
  })
})

test('Retry-After is honoured, and 410 ends the message', async () => {
  await using world = await openTestWorld()
  await announced(world)
  world.receive(() => new Response('', { status: 503, headers: { 'retry-after': '1000' } }))
  await world.deliver()
  world.advance(999)
  expect(await world.deliver()).toBe(0)
  world.advance(202)
  world.receive(() => new Response('', { status: 410 }))
  expect(await world.deliver()).toBe(1)
  expect(await deliveries(world)).toMatchObject([{ state: 'exhausted', attempts: 2 }])
})

test('a redirect is a failure', async () => {
  await using world = await openTestWorld()
  await announced(world)
  world.receive(() => new Response('', { status: 302, headers: { location: 'http://169.254.169.254/' } }))
  await world.deliver()
  expect(await deliveries(world)).toMatchObject([{ state: 'pending', attempts: 1 }])
  expect(world.sent.length).toBe(1)
})

test('two senders at once send a message once', async () => {
  await using world = await openTestWorld()
  await announced(world)
  await Promise.all([world.deliver(), world.deliver(), world.deliver()])
  expect(world.sent.length).toBe(1)
})

test('a sender that died in the middle leaves its message to the next', async () => {
  await using world = await openTestWorld()
  await announced(world)
  const until = new Date(world.deps.clock.now().getTime() + 30_000)
  await world.deps.db.updateTable('deliveries').set({ claimed_until: until }).execute()
  expect(await world.deliver()).toBe(0)
  world.advance(31)
  expect(await world.deliver()).toBe(1)
})

test('the message is below 20 kB whatever the result', async () => {
  await using world = await openTestWorld()
  const body = backtest({ webhook: { url: 'https://example.com/hook' }, labels: { desk: 'alpha' } })
  await world.request('POST', '/v1/jobs', { body })
  await world.pass()
  const [attempt_id, machine] = [...world.model.machines][0] ?? []
  const say = (report: object) =>
    world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine?.token ?? '', body: report })
  await say({ type: 'started', instance: 'one' })
  await say({
    type: 'finished',
    exit_code: 0,
    failure: null,
    result: { rows: Array(5_000).fill('x'.repeat(100)) },
  })
  await world.pass()
  await world.deliver()
  expect(world.sent[0]?.body.length).toBeLessThan(20_000)
  expect(JSON.parse(world.sent[0]?.body ?? '')).toMatchObject({
    data: { job: { result: null, labels: { desk: 'alpha' } } },
  })
})
