import { expect, test } from 'vitest'
import { createBreaker } from '../../jobs/breaker.ts'
import { createBucket } from '../../jobs/bucket.ts'
import { createHealth } from '../../jobs/health.ts'
import type { HealthView } from '../../jobs/health-view.ts'
import { probeAccounts, writeHealth } from '../../jobs/parking.ts'
import { watched } from '../../jobs/watched.ts'
import type { ProviderError, ProviderErrorCode } from '../../providers/errors.ts'
import type { Provider } from '../../providers/provider.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const soon = () => AbortSignal.timeout(60_000)

/** The model's account with its calls watched, as a server calls it. */
function watch(world: World): Provider {
  const provider = watched(world.model.provider, world.deps.health)
  Object.assign(world.deps, { providers: [provider] })
  return provider
}

async function healthOf(world: World): Promise<HealthView> {
  await writeHealth(world.deps)
  const answer = await world.request('GET', '/v1/provider-accounts')
  const { items } = (await answer.json()) as { items: { health: HealthView }[] }
  return items[0]?.health as HealthView
}

async function eventsOf(world: World) {
  const answer = await world.request('GET', '/v1/events')
  const { items } = (await answer.json()) as { items: { type: string; sequence: number; data: unknown }[] }
  return items.filter(({ type }) => type.startsWith('provider.'))
}

const inspect = (provider: Provider) =>
  provider.inspect([], soon()).then(
    () => 'ok',
    (error: ProviderError) => `${error.code}: ${error.detail}`,
  )
const fail = (world: World, times: number, code: ProviderErrorCode = 'unavailable') =>
  world.model.faults.inspect.push(...Array.from({ length: times }, () => code))

test('calls are counted by kind, result and time, and shown as all servers have seen them', async () => {
  await using world = await openTestWorld()
  const provider = watch(world)
  // Another server calls the same account.
  const health = createHealth({
    clock: world.deps.clock,
    pause: () => Promise.resolve(),
    tell: () => undefined,
  })
  const other = watched(
    {
      ...world.model.provider,
      inspect: () => {
        world.advance(0.4)
        return Promise.resolve([])
      },
    },
    health,
  )
  for (let n = 0; n < 15; n++) await inspect(provider)
  fail(world, 1, 'throttled')
  expect(await inspect(provider)).toBe('throttled: as told')
  for (let n = 0; n < 4; n++) await inspect(other)
  for await (const _ of provider.list(soon())) break
  await writeHealth({ ...world.deps, health })
  expect(await healthOf(world)).toMatchObject({
    state: 'healthy',
    calls: 21,
    success_rate: 0.9524,
    p50_ms: 20,
    p95_ms: 500,
    by_call: [
      { call: 'inspect', calls: 20, success_rate: 0.95, errors: { throttled: 1 } },
      { call: 'list', calls: 1, success_rate: 1, errors: {} },
    ],
    last_error: { call: 'inspect', code: 'throttled', detail: 'as told' },
  })
  // This server's own, for who scrapes.
  const scraped = await (await world.request('GET', '/metrics')).text()
  const labels = 'provider="model",account="main",call="inspect"'
  expect(scraped).toContain(`berth_provider_calls_total{${labels},result="ok"} 15\n`)
  expect(scraped).toContain(`berth_provider_calls_total{${labels},result="throttled"} 1\n`)
  expect(scraped).toContain(`berth_provider_call_seconds_count{${labels}} 16\n`)
  world.advance(4_000)
  await inspect(provider)
  expect(await healthOf(world)).toMatchObject({ calls: 1, success_rate: 1 })
  const rows = await world.deps.db.selectFrom('provider_calls').selectAll().execute()
  expect(rows).toHaveLength(1)
})

test('an account of which every fifth call goes unanswered is degraded, and has been since that began', async () => {
  await using world = await openTestWorld()
  const provider = watch(world)
  for (let n = 0; n < 10; n++) await inspect(provider)
  world.advance(300)
  const since = world.deps.clock.now().toISOString()
  for (let n = 0; n < 10; n++) {
    if (n % 5 === 0) fail(world, 1)
    await inspect(provider)
  }
  expect(await healthOf(world)).toMatchObject({ state: 'degraded', reason: 'unavailable', since })
})

test('five failures in a row open the breaker: nothing is asked or launched but for a probe with growing pauses', async () => {
  await using world = await openTestWorld()
  const provider = watch(world)
  fail(world, 100)
  for (let n = 0; n < 5; n++) expect(await inspect(provider)).toBe('unavailable: as told')
  expect(await inspect(provider)).toMatch(
    /^unavailable: not asked: it has not answered since 2026-03-02T09:00/,
  )
  expect(world.model.faults.inspect).toHaveLength(95)
  // Ten minutes of asking every second.
  for (let second = 0; second < 600; second++) {
    world.advance(1)
    await inspect(provider)
  }
  expect(95 - world.model.faults.inspect.length).toBe(23)
  expect(await healthOf(world)).toMatchObject({ state: 'open', reason: 'unavailable', detail: 'as told' })
  const { id } = (await (await world.request('POST', '/v1/jobs', { body: backtest() })).json()) as {
    id: string
  }
  await world.pass()
  expect(world.model.machines.size).toBe(0)
  const explained = (await (await world.request('GET', `/v1/jobs/${id}/explain`)).json()) as object
  expect(explained).toMatchObject({
    reason: { code: 'unavailable' },
    rejected: [{ reason: 'unavailable', text: 'its provider does not answer', count: 1 }],
  })
  world.model.faults.inspect.length = 0
  world.advance(30)
  expect(await inspect(provider)).toBe('ok')
  expect(await healthOf(world)).toMatchObject({ state: 'healthy', detail: 'it answers again' })
  await world.pass()
  expect(world.model.machines.size).toBe(1)
  expect((await eventsOf(world)).map(({ type }) => type)).toEqual([
    'provider.unhealthy',
    'provider.recovered',
  ])
})

test('there is one probe at a time, and any call that succeeds closes the breaker', () => {
  const breaker = createBreaker()
  for (let n = 0; n < 5; n++) breaker.failed(0, 'call')
  expect([breaker.admits(999), breaker.admits(1_000), breaker.admits(1_000)]).toEqual([null, 'probe', null])
  // One that was under way when it opened.
  expect(breaker.failed(1_000, 'call')).toBe(false)
  breaker.withdrawn('probe')
  expect(breaker.admits(1_001)).toBe('probe')
  expect(breaker.failed(1_100, 'probe')).toBe(true)
  expect(breaker.open()).toEqual({ since_ms: 0, probe_ms: 3_100 })
  expect(breaker.succeeded()).toBe(true)
  expect([breaker.open(), breaker.admits(1_200)]).toEqual([null, 'call'])
})

test('stops go on while reads are not answered, and reads while stops are not', async () => {
  await using world = await openTestWorld()
  const provider = watch(world)
  fail(world, 5)
  for (let n = 0; n < 5; n++) await inspect(provider)
  const ref = { attempt_id: 'att_x', handle: {}, request: null }
  await expect(provider.stop(ref, soon())).resolves.toBeUndefined()
  expect(await inspect(provider)).toContain('not asked')
})

test('a launch that was decided before the breaker opened was not made, and goes elsewhere at once', async () => {
  await using world = await openTestWorld()
  const second = { ...world.model.provider, account: 'second' }
  const [offer] = world.model.offers
  if (!offer) throw new Error('there is one')
  world.model.offers.push({ ...offer, account: 'second', usd_per_hour: 1 })
  const first = watch(world)
  Object.assign(world.deps, { providers: [first, second] })
  // All of this before anything of it is written.
  world.model.faults.launch.push(...Array.from({ length: 5 }, () => 'unavailable' as const))
  for (let n = 0; n < 5; n++)
    await first
      .launch({ attempt_id: `att_${n}`, offer } as never, { token: '' }, soon())
      .catch(() => undefined)
  const { id } = (await (await world.request('POST', '/v1/jobs', { body: backtest() })).json()) as {
    id: string
  }
  await world.pass()
  await writeHealth(world.deps)
  world.advance(1)
  await world.pass()
  const job = (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as {
    attempts: { account: string; outcome: string | null }[]
  }
  expect(job.attempts).toMatchObject([
    { account: 'main', outcome: 'no_capacity', state: 'ended' },
    { account: 'second', outcome: null },
  ])
})

test('calls keep to the documented rate, which replicas share', async () => {
  let now_ms = 0
  const waited: number[] = []
  const health = createHealth({
    clock: { now: () => new Date(now_ms) },
    pause: (ms) => {
      waited.push(ms)
      return Promise.resolve()
    },
    tell: () => undefined,
  })
  const account = { provider: 'model', account: 'main' }
  const call = async () => {
    const turn = await health.admit(account, 'launch', 2, soon())
    health.ended(turn, null)
  }
  for (let n = 0; n < 8; n++) await call()
  expect(waited).toEqual([500, 1_000, 1_500])
  now_ms = 60_000
  health.share(4)
  waited.length = 0
  for (let n = 0; n < 7; n++) await call()
  expect(waited).toEqual([2_000, 4_000])
  // A look is not waited for longer than two seconds: it is not made, and nothing follows.
  await expect(health.admit(account, 'inspect', 2, soon())).rejects.toMatchObject({
    code: 'throttled',
    detail: 'not asked: as many calls are made of it as its vendor allows',
  })
})

test('a bucket that was full for long lets no more through than a burst', () => {
  const bucket = createBucket()
  const turns = (at_ms: number) => Array.from({ length: 30 }, () => bucket.take(at_ms, 20, 10_000))
  expect(turns(0).filter((ms) => ms === 0)).toHaveLength(20)
  expect(turns(1_000_000).filter((ms) => ms === 0)).toHaveLength(20)
})

test('a clock that is set back holds up no call', () => {
  const bucket = createBucket()
  for (let call = 0; call < 5; call++) expect(bucket.take(7_200_000, 5, 60_000)).toBe(0)
  expect(bucket.take(3_600_000, 5, 60_000)).toBe(200)
  const breaker = createBreaker()
  for (let call = 0; call < 5; call++) breaker.failed(7_200_000, 'call')
  expect([breaker.admits(7_200_000), breaker.admits(3_600_000)]).toEqual([null, 'probe'])
})

test('what parks an account is told once, and a free check unparks it when it is in order again', async () => {
  await using world = await openTestWorld()
  const provider = watch(world)
  let inOrder = false
  let checks = 0
  world.model.provider.check = () => {
    checks++
    return Promise.resolve([{ name: 'credentials', ok: inOrder, detail: '' }])
  }
  world.model.faults.launch.push('unauthorized')
  await world.request('POST', '/v1/webhooks', { body: { url: 'https://desk.example/hook' } })
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  await world.pass()
  expect(await healthOf(world)).toMatchObject({
    state: 'parked',
    reason: 'unauthorized',
    detail: 'as told',
    since: '2026-03-02T09:00:00.000Z',
    next_try_at: '2026-03-02T09:00:30.000Z',
  })
  // Reads are refused, too: that is no news.
  fail(world, 3, 'unauthorized')
  for (let n = 0; n < 3; n++) await inspect(provider)
  await healthOf(world)
  for (let second = 0; second < 100; second += 5) {
    await probeAccounts(world.deps)
    world.advance(5)
  }
  // After 30 and 60 more seconds.
  expect(checks).toBe(2)
  inOrder = true
  world.advance(120)
  await probeAccounts(world.deps)
  // The calls of the last minutes still count.
  expect(await healthOf(world)).toMatchObject({ state: 'degraded' })
  world.advance(300)
  await inspect(provider)
  expect(await healthOf(world)).toMatchObject({ state: 'healthy', detail: 'its check succeeded' })
  await world.pass()
  expect(world.model.machines.size).toBe(1)
  const subject = { id: 'model/main', provider: 'model', account: 'main' }
  expect(await eventsOf(world)).toMatchObject([
    { type: 'provider.parked', sequence: 1, data: { subject: { ...subject, reason: 'unauthorized' } } },
    { type: 'provider.recovered', sequence: 2, data: { subject: { ...subject, reason: null } } },
  ])
  await world.deliver()
  const types = world.sent.map(({ body }) => (JSON.parse(body) as { type: string }).type)
  expect(types.filter((type) => type.startsWith('provider.'))).toEqual([
    'provider.parked',
    'provider.recovered',
  ])
})

test('a read that is refused parks the account, and no tenant hears of it', async () => {
  await using world = await openTestWorld()
  const { key } = await world.secondProject()
  const provider = watch(world)
  fail(world, 1, 'unauthorized')
  await inspect(provider)
  expect(await healthOf(world)).toMatchObject({ state: 'parked', reason: 'unauthorized' })
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  expect(world.model.machines.size).toBe(0)
  const feed = (await (await world.request('GET', '/v1/events', { key })).json()) as { items: unknown[] }
  expect(feed.items).toEqual([])
  expect(await eventsOf(world)).toHaveLength(1)
})

test('an account whose check sees nothing wrong is parked for longer each time that it refuses again', async () => {
  await using world = await openTestWorld()
  watch(world)
  world.model.faults.launch.push(...Array.from({ length: 50 }, () => 'balance' as const))
  await world.request('POST', '/v1/jobs', { body: backtest() })
  for (let second = 0; second < 3_600; second += 5) {
    await world.pass()
    await writeHealth(world.deps)
    await probeAccounts(world.deps)
    world.advance(5)
  }
  const events = await eventsOf(world)
  expect(events.length).toBeLessThan(16)
  expect(50 - world.model.faults.launch.length).toBeLessThan(10)
})

test('many launches that one lack of money refuses at once count as one refusal', async () => {
  await using world = await openTestWorld()
  watch(world)
  world.model.faults.launch.push('balance', 'balance')
  for (let n = 0; n < 2; n++) await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  const [memory] = await world.deps.db.selectFrom('capacity_memory').selectAll().execute()
  expect(memory).toMatchObject({ code: 'balance', failures: 1 })
})

test('a throttled launch goes elsewhere, and the account is asked again soon', async () => {
  await using world = await openTestWorld()
  watch(world)
  world.model.faults.launch.push('throttled')
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  await world.pass()
  const attempts = () =>
    world.deps.db.selectFrom('attempts').select(['state', 'outcome']).orderBy('id').execute()
  expect(await attempts()).toEqual([{ state: 'ended', outcome: 'no_capacity' }])
  world.advance(10)
  await world.pass()
  expect(await attempts()).toMatchObject([{ outcome: 'no_capacity' }, { outcome: null, state: 'starting' }])
  expect(await world.deps.db.selectFrom('capacity_memory').selectAll().execute()).toEqual([])
})

test('the parts that a watched account could not be asked for are told on', async () => {
  await using world = await openTestWorld()
  const told: string[] = []
  const provider = watched(
    {
      ...world.model.provider,
      offers(_, missing) {
        missing?.({ name: 'zone b', has: () => true, error: new Error('it hangs') })
        return Promise.resolve(world.model.offers)
      },
    },
    world.deps.health,
  )
  expect(await provider.offers(soon(), ({ name }) => void told.push(name))).toEqual(world.model.offers)
  expect(told).toEqual(['zone b'])
})
