import { describe, expect, test } from 'vitest'
import { deliverDue, newFlight } from '../../jobs/webhooks.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function register(world: World, url: string, events = ['job.queued']): Promise<string> {
  const answer = await world.request('POST', '/v1/webhooks', { body: { url, events } })
  return ((await answer.json()) as { id: string }).id
}

async function submit(world: World, count: number): Promise<void> {
  world.deps.settings.max_queued = 10_000
  const jobs = Array.from({ length: count }, () => backtest())
  expect((await world.request('POST', '/v1/jobs/batch', { body: { jobs } })).status).toBe(200)
}

/** A sender as a server runs it: it goes on while some receivers take their time. */
function startSender(world: World, deadline_s: number) {
  const flight = newFlight()
  const hanging: { until: Date; fail: (error: Error) => void }[] = []
  return {
    hang(): Promise<Response> {
      const { promise, reject } = Promise.withResolvers<Response>()
      const until = new Date(world.deps.clock.now().getTime() + deadline_s * 1_000)
      hanging.push({ until, fail: reject })
      return promise
    },
    /** All that can happen at this moment. */
    async rounds(): Promise<void> {
      const now = world.deps.clock.now()
      for (const each of hanging.splice(0)) {
        if (each.until <= now) each.fail(new Error(`no complete answer within ${deadline_s} s`))
        else hanging.push(each)
      }
      for (let tried = 1; tried > 0;) {
        tried = (await deliverDue(world.deps, flight)).tried
        while (flight.sending > hanging.length || flight.results.length > 0 || flight.recording)
          await (flight.recording ?? new Promise((resolve) => setImmediate(resolve)))
      }
    },
    waiting: () => hanging.length,
  }
}

describe('of a hundred endpoints', () => {
  const names = Array.from({ length: 100 }, (_, n) => `https://${n}.example.com/`)
  const hangs = (url: string) => names.indexOf(url) < 10
  const fails = (url: string) => names.indexOf(url) >= 10 && names.indexOf(url) < 20

  /** Seconds from the event to the delivery, of every message to the eighty that are well. */
  async function lags(are_ill: boolean): Promise<number[]> {
    await using world = await openTestWorld()
    const sender = startSender(world, 15)
    world.receive((url) => {
      if (are_ill && hangs(url)) return sender.hang()
      return new Response('', { status: are_ill && fails(url) ? 500 : 200 })
    })
    for (const url of names) await register(world, url)
    // More messages to those that hang than may be in flight in all.
    for (let second = 0; second < 30; second++) {
      if (second % 5 === 0 && second < 15) await submit(world, 20)
      await sender.rounds()
      expect(sender.waiting()).toBeLessThanOrEqual(20)
      world.advance(1)
    }
    const rows = await world.deps.db
      .selectFrom('deliveries')
      .innerJoin('webhooks', 'webhooks.id', 'deliveries.webhook_id')
      .select(['webhooks.url', 'deliveries.created_at', 'deliveries.ended_at', 'deliveries.state'])
      .execute()
    expect(rows).toHaveLength(6_000)
    const well = rows.filter(({ url }) => !hangs(url) && !fails(url))
    expect(new Set(well.map(({ state }) => state))).toEqual(new Set(['delivered']))
    return well
      .map(({ created_at, ended_at }) => ((ended_at?.getTime() ?? 0) - created_at.getTime()) / 1_000)
      .toSorted((a, b) => a - b)
  }

  test('ten that hang and ten that answer 500 do not delay the others', async () => {
    const [all_well, some_ill] = [await lags(false), await lags(true)]
    expect(all_well).toHaveLength(80 * 60)
    expect(some_ill).toEqual(all_well)
  }, 240_000)
})

test('what waits for a receiver that is down is not tried one by one, and goes when it is well again', async () => {
  await using world = await openTestWorld()
  await register(world, 'https://down.example.com/')
  world.receive(() => new Response('', { status: 503 }))
  await submit(world, 300)
  let tried = 0
  for (let minute = 0; minute < 120; minute++) {
    tried += await world.deliver()
    world.advance(60)
  }
  // Doubling pauses up to 15 minutes: 5 to find it, some in the first minutes, then 4 an hour.
  expect(tried).toBeLessThan(30)
  expect(tried).toBeGreaterThan(12)
  world.receive(() => new Response('', { status: 200 }))
  world.advance(1_100)
  await world.deliver()
  world.advance(86_400)
  await world.deliver()
  const rows = await world.deps.db.selectFrom('deliveries').select('state').execute()
  expect(rows.filter(({ state }) => state === 'delivered')).toHaveLength(300)
})

test('what could not be tried for four days is given up, and can be asked for again', async () => {
  await using world = await openTestWorld()
  // A job's own webhook: nothing is disabled.
  world.deps.settings.max_queued = 10_000
  const jobs = Array.from({ length: 30 }, () =>
    backtest({ webhook: { url: 'https://down.example.com/', events: ['job.queued'] } }),
  )
  await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
  world.receive(() => Promise.reject(new Error('connection refused')))
  const pending = async () =>
    world.deps.db.selectFrom('deliveries').select(['id']).where('state', '=', 'pending').execute()
  for (let hour = 0; hour < 24 * 9 && (await pending()).length > 0; hour++) {
    await world.deliver()
    world.advance(3_600)
  }
  const rows = await world.deps.db.selectFrom('deliveries').select(['id', 'state', 'attempts']).execute()
  expect(new Set(rows.map(({ state }) => state))).toEqual(new Set(['exhausted']))
  const untried = rows.find(({ attempts }) => attempts === 0)
  world.receive(() => new Response('', { status: 200 }))
  const { id } = untried ?? rows[0] ?? { id: '' }
  expect((await world.request('POST', `/v1/deliveries/${id}/redeliver`)).status).toBe(202)
  expect(await world.deliver()).toBe(1)
})

test('jobs that call one origin share a receiver, those of another project do not', async () => {
  await using world = await openTestWorld()
  const second = await world.secondProject()
  const jobs = ['https://a.example.com/1', 'https://a.example.com/2?x=y', 'https://b.example.com/'].map(
    (url) => backtest({ webhook: { url, events: ['job.queued'] } }),
  )
  await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
  await world.request('POST', '/v1/jobs/batch', { body: { jobs: [jobs[0]] }, key: second.key })
  await world.deliver()
  const receivers = await world.deps.db.selectFrom('receivers').select(['project_id']).execute()
  expect(receivers.map(({ project_id }) => project_id).toSorted()).toEqual(
    [world.project_id, world.project_id, second.id].toSorted(),
  )
})

test('a receiver that asks for time is left alone, with all that waits for it', async () => {
  await using world = await openTestWorld()
  await register(world, 'https://busy.example.com/')
  const date = new Date(world.deps.clock.now().getTime() + 600_000).toUTCString()
  world.receive(() => new Response('', { status: 429, headers: { 'retry-after': date } }))
  await submit(world, 10)
  await world.deliver()
  const tried = world.sent.length
  expect(tried).toBeLessThanOrEqual(2)
  world.receive(() => new Response('', { status: 200 }))
  world.advance(599)
  expect(await world.deliver()).toBe(0)
  world.advance(122)
  expect(await world.deliver()).toBeGreaterThan(0)
})
