import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import type { EventView } from '../../jobs/read.ts'
import type { JobView } from '../../jobs/view.ts'
import { ProviderError } from '../../providers/errors.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function submit(world: World, more: Record<string, unknown> = {}): Promise<string> {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(more) })
  expect(answer.status).toBe(201)
  return ((await answer.json()) as { id: string }).id
}

async function job(world: World, id: string) {
  return (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
}

/** Speaks as the runner of the newest machine. */
function runner(world: World) {
  const [attempt_id, machine] = [...world.model.machines].at(-1) ?? []
  const say = (body: unknown) =>
    world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine?.token ?? '', body })
  return {
    attempt_id: attempt_id ?? '',
    machine,
    say,
    start: (instance = 'one') => say({ type: 'started', instance, host: { gpus: [] } }),
    finish: (more: object = {}) =>
      say({
        type: 'finished',
        exit_code: 0,
        failure: null,
        result: { best: 1 },
        points: [],
        artifacts: [],
        ...more,
      }),
  }
}

test('a job is accepted, placed, launched, followed, finished, paid for and announced', async () => {
  await using world = await openTestWorld()
  const id = await submit(world, { webhook: { url: 'https://example.com/hook' }, labels: { desk: 'alpha' } })
  expect((await job(world, id)).state).toBe('queued')
  await world.pass()
  expect(await job(world, id)).toMatchObject({ state: 'scheduled', shards: { active: 1, waiting: 0 } })
  const speaker = runner(world)
  expect(await (await speaker.start()).json()).toEqual({ next_heartbeat_ms: 2000 })
  await world.pass()
  expect((await job(world, id)).state).toBe('running')
  await speaker.say({ type: 'heartbeat', progress: 0.4, phase: 'run' })
  expect(await job(world, id)).toMatchObject({ progress: 0.4, phase: 'run' })
  world.advance(100)
  expect((await speaker.finish()).status).toBe(200)
  await world.pass()
  const done = await job(world, id)
  expect(done).toMatchObject({ state: 'succeeded', outcome: 'succeeded', progress: 1, result: { best: 1 } })
  expect(done.cost).toMatchObject({ final: false, basis: 'modelled' })
  world.advance(2)
  await world.pass()
  world.advance(2)
  await world.pass()
  // 0.36 USD an hour is 100 micro-dollars a second, from the launch to the confirmed end 104 s later.
  expect((await job(world, id)).cost).toMatchObject({ actual_usd: 0.0104, final: true })
  const ledger = await world.deps.db.selectFrom('ledger').selectAll().execute()
  expect(ledger.map(({ usd_micros, entry }) => [entry, usd_micros])).toEqual([['settle', 10_400]])

  await world.deliver()
  expect(world.sent.length).toBe(1)
  const { secret } = (await (await world.request('GET', '/v1/webhooks/secret')).json()) as { secret: string }
  const [message] = world.sent
  const headers = Object.fromEntries(message?.headers ?? [])
  // The reference library compares with the wall clock, so the message is signed again at that time.
  const now = new Date()
  const signature = new Webhook(secret).sign(
    headers['webhook-id'] ?? '',
    new Date(world.deps.clock.now()),
    message?.body ?? '',
  )
  expect(headers['webhook-signature']).toBe(signature)
  const verified = new Webhook(secret).verify(message?.body ?? '', {
    ...headers,
    'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(headers['webhook-id'] ?? '', now, message?.body ?? ''),
  }) as { type: string; data: { job: Partial<JobView>; sequence: number } }
  expect(verified).toMatchObject({
    type: 'job.succeeded',
    data: { job: { id, state: 'succeeded' }, sequence: 4 },
  })
  expect(verified.data.job.params).toBeUndefined()

  const events = (await (await world.request('GET', `/v1/jobs/${id}/events`)).json()) as {
    items: EventView[]
  }
  expect(events.items.map((event) => [event.sequence, event.type])).toEqual([
    [1, 'job.queued'],
    [2, 'job.scheduled'],
    [3, 'job.running'],
    [4, 'job.succeeded'],
  ])
})

describe('a launch that was not answered', () => {
  test('and is cancelled costs what its machine ran, from the call on', async () => {
    await using world = await openTestWorld()
    world.model.faults.launch.push('unknown_outcome')
    const id = await submit(world)
    await world.pass()
    world.advance(40)
    await world.request('POST', `/v1/jobs/${id}/cancel`)
    for (let n = 0; n < 6; n++) {
      await world.pass()
      world.advance(5)
    }
    const { state, cost } = await job(world, id)
    expect([state, cost.final]).toEqual(['cancelled', true])
    // 40 s and the stop, 100 micro-dollars each.
    expect(cost.actual_usd).toBeGreaterThan(0.004)
  })

  test('costs what it took, where its runner was done before the call was given up', async () => {
    await using world = await openTestWorld()
    const { provider } = world.model
    const launch = provider.launch.bind(provider)
    provider.launch = async (...request) => {
      await launch(...request)
      const speaker = runner(world)
      await speaker.start()
      world.advance(30)
      await speaker.finish()
      await provider.stop({ attempt_id: speaker.attempt_id, handle: {}, request: null }, request[2])
      throw new ProviderError('unknown_outcome', { provider: 'model', detail: 'timed out' })
    }
    const id = await submit(world)
    for (let n = 0; n < 6; n++) {
      await world.pass()
      world.advance(1)
    }
    const { state, cost, attempts } = await job(world, id)
    expect([state, cost.final]).toEqual(['succeeded', true])
    expect(cost.actual_usd).toBeGreaterThanOrEqual(0.003)
    expect(attempts[0]?.started_at).not.toBeNull()
  })
})

describe('orders', () => {
  test('a cancel before the finish wins, and the late result is not the result', async () => {
    await using world = await openTestWorld()
    const id = await submit(world)
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    expect((await world.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(202)
    await speaker.finish()
    await world.pass()
    expect(await job(world, id)).toMatchObject({ state: 'cancelled', outcome: 'cancelled', result: null })
  })

  test('a finish before the cancel wins, and the cancel is refused', async () => {
    await using world = await openTestWorld()
    const id = await submit(world)
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    await speaker.finish()
    const refused = await world.request('POST', `/v1/jobs/${id}/cancel`)
    expect(refused.status).toBe(409)
    expect(await refused.json()).toMatchObject({ code: 'job_finished' })
    await world.pass()
    expect((await job(world, id)).state).toBe('succeeded')
  })

  test('a stop reaches the runner with its next answer, and a kept result succeeds with a warning', async () => {
    await using world = await openTestWorld()
    const id = await submit(world)
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    expect((await world.request('POST', `/v1/jobs/${id}/stop`)).status).toBe(202)
    expect((await world.request('POST', `/v1/jobs/${id}/stop`)).status).toBe(202)
    await world.pass()
    const answer = await speaker.say({ type: 'heartbeat', progress: 0.5 })
    expect(await answer.json()).toMatchObject({ stop: { reason: 'stopped', grace_ms: 30_000 } })
    await speaker.finish({ exit_code: 75 })
    await world.pass()
    expect(await job(world, id)).toMatchObject({
      state: 'succeeded',
      outcome: 'stopped',
      warnings: [{ code: 'stopped_early' }],
      result: { best: 1 },
    })
  })

  test('a runner that does not obey loses its token when the grace is over, and the machine is stopped', async () => {
    await using world = await openTestWorld()
    const id = await submit(world)
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    await world.request('POST', `/v1/jobs/${id}/cancel`)
    await world.pass()
    expect((await job(world, id)).state).toBe('cancelling')
    world.advance(151)
    await world.pass()
    expect((await job(world, id)).state).toBe('cancelled')
    expect((await speaker.say({ type: 'heartbeat' })).status).toBe(410)
    world.advance(2)
    await world.pass()
    expect(world.model.calls.at(-1)).toEqual({ call: 'stop', attempt_id: speaker.attempt_id })
  })

  test('a waiting job is cancelled at once', async () => {
    await using world = await openTestWorld()
    world.model.offers.length = 0
    const id = await submit(world)
    await world.pass()
    await world.request('POST', `/v1/jobs/${id}/cancel`)
    await world.pass()
    expect((await job(world, id)).state).toBe('cancelled')
    expect((await world.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(409)
  })
})

describe('launching', () => {
  test('a lost launch answer does not start a second machine', async () => {
    await using world = await openTestWorld()
    world.model.faults.launch.push('unknown_outcome')
    const id = await submit(world)
    await world.pass()
    world.advance(2)
    await world.pass()
    expect(world.model.machines.size).toBe(1)
    expect(world.model.calls.filter(({ call }) => call === 'launch').length).toBe(2)
    expect((await job(world, id)).attempts).toMatchObject([{ number: 1, state: 'starting' }])
  })

  test('several passes at once launch a job once', async () => {
    await using world = await openTestWorld()
    await submit(world)
    await Promise.all(['rep_a', 'rep_b', 'rep_c', 'rep_d'].map((replica) => world.pass(replica)))
    expect(world.model.calls).toHaveLength(1)
  })

  test('no more run than the offer has slots; the next starts when one has ended', async () => {
    await using world = await openTestWorld()
    const ids: string[] = []
    for (let n = 0; n < 3; n++) {
      ids.push(await submit(world))
      world.advance(0.001)
    }
    await world.settle(3)
    expect(world.model.machines.size).toBe(2)
    expect((await job(world, ids[2] ?? '')).state).toBe('queued')
    const [first] = world.model.machines
    const [attempt_id, machine] = first ?? []
    const say = (body: unknown) =>
      world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine?.token ?? '', body })
    await say({ type: 'started', instance: 'x' })
    await say({ type: 'finished', exit_code: 0, failure: null, result: {} })
    await world.pass()
    world.advance(2)
    await world.settle(2)
    world.advance(2)
    await world.settle(2)
    expect(world.model.machines.size).toBe(3)
  })

  test('a second runner of the same attempt is told that it is superseded', async () => {
    await using world = await openTestWorld()
    await submit(world)
    await world.pass()
    const speaker = runner(world)
    expect((await speaker.start('one')).status).toBe(200)
    expect((await speaker.start('one')).status).toBe(200)
    const second = await speaker.start('two')
    expect(second.status).toBe(409)
    expect(await second.json()).toMatchObject({ code: 'superseded' })
  })

  test('a provider that refuses ends the job with its reason when there is no other', async () => {
    await using world = await openTestWorld()
    world.model.faults.launch.push('rejected')
    const id = await submit(world)
    await world.settle(2)
    expect(await job(world, id)).toMatchObject({
      state: 'failed',
      outcome: 'rejected',
      error: { code: 'provider', where: 'provider', message: 'model: rejected: as told' },
    })
  })
})

describe('what silence means', () => {
  async function running(world: World) {
    const id = await submit(world)
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    return { id, speaker }
  }

  test('a provider that cannot be asked for an hour changes nothing', async () => {
    await using world = await openTestWorld()
    const { id } = await running(world)
    for (let minute = 0; minute < 60; minute++) {
      world.model.faults.inspect.push('unavailable')
      world.advance(60)
      await world.pass()
    }
    expect((await job(world, id)).state).toBe('running')
    expect(world.model.calls).toHaveLength(1)
  })

  test('gone once is not enough; gone twice, 30 s apart, is lost and tried again', async () => {
    await using world = await openTestWorld()
    const { id, speaker } = await running(world)
    if (speaker.machine) speaker.machine.seen = { state: 'gone', detail: null }
    world.advance(6)
    await world.pass()
    expect((await job(world, id)).state).toBe('running')
    world.advance(31)
    await world.pass()
    const retried = await job(world, id)
    expect(retried.state).toBe('queued')
    expect(retried.attempts).toMatchObject([{ outcome: 'lost' }])
    world.advance(300)
    await world.settle(3)
    expect((await job(world, id)).attempts).toMatchObject([{ number: 1 }, { number: 2, outcome: null }])
  })

  test('an exit without a report waits for it, then counts as failed', async () => {
    await using world = await openTestWorld()
    const { id, speaker } = await running(world)
    if (speaker.machine) speaker.machine.seen = { state: 'exited', exit_code: 9, detail: null }
    world.advance(6)
    await world.pass()
    world.advance(59)
    await world.pass()
    expect((await job(world, id)).state).toBe('running')
    world.advance(2)
    await world.pass()
    expect((await job(world, id)).attempts).toMatchObject([{ outcome: 'failed', exit_code: 9 }])
  })

  test('a late report before the bound decides', async () => {
    await using world = await openTestWorld()
    const { id, speaker } = await running(world)
    if (speaker.machine) speaker.machine.seen = { state: 'exited', exit_code: 0, detail: null }
    world.advance(50)
    await world.pass()
    await speaker.finish()
    world.advance(60)
    await world.pass()
    expect((await job(world, id)).state).toBe('succeeded')
  })

  test('most of an account gone at once is loss of sight until the list agrees', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = 10
    for (let n = 0; n < 4; n++) await submit(world)
    await world.settle(2)
    for (const [attempt_id, machine] of world.model.machines) {
      await world.request('POST', `/v1/attempts/${attempt_id}/report`, {
        key: machine.token,
        body: { type: 'started', instance: 'x' },
      })
    }
    await world.settle(2)
    world.model.provider.inspect = (refs) =>
      Promise.resolve(refs.map(() => ({ state: 'gone', detail: null })))
    for (let n = 0; n < 20; n++) {
      world.advance(10)
      await world.pass()
    }
    const jobs = (await (await world.request('GET', '/v1/jobs')).json()) as { items: JobView[] }
    expect(jobs.items.map((each) => each.state)).toEqual(Array(4).fill('running'))
  })
})

test('a preemption is not the fault of the job: it is tried again and uses up no attempt', async () => {
  await using world = await openTestWorld()
  const id = await submit(world, { retry: { max_attempts: 1 } })
  await world.pass()
  const speaker = runner(world)
  await speaker.start()
  await world.pass()
  await speaker.say({ type: 'heartbeat', progress: 0.5 })
  await speaker.say({ type: 'preempting' })
  await speaker.finish({ exit_code: 75, failure: 'preempted', result: null })
  await world.pass()
  const retried = await job(world, id)
  expect(retried.state).toBe('queued')
  expect(retried.attempts).toMatchObject([{ outcome: 'preempted' }])
})

describe('bounds', () => {
  test('an attempt that runs longer than timeout_s is stopped and fails', async () => {
    await using world = await openTestWorld()
    const id = await submit(world, { timeout_s: 60 })
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    world.advance(61)
    await world.pass()
    expect(await (await speaker.say({ type: 'heartbeat' })).json()).toMatchObject({
      stop: { reason: 'timed_out' },
    })
    await speaker.finish({ exit_code: 75, failure: null, result: null })
    await world.pass()
    expect(await job(world, id)).toMatchObject({
      state: 'failed',
      outcome: 'timed_out',
      error: { code: 'timed_out' },
    })
  })

  test('a job stops before it costs more than its budget', async () => {
    await using world = await openTestWorld()
    // 0.36 USD an hour: 0.01 USD is 100 s, of which the last 30 are the stop's.
    const id = await submit(world, { budget_usd: 0.01 })
    await world.pass()
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    world.advance(71)
    await world.pass()
    expect(await (await speaker.say({ type: 'heartbeat' })).json()).toMatchObject({
      stop: { reason: 'over_budget' },
    })
    world.advance(20)
    await speaker.finish({ exit_code: 75, result: null })
    await world.pass()
    expect(await job(world, id)).toMatchObject({
      state: 'failed',
      outcome: 'over_budget',
      error: { code: 'over_budget' },
    })
  })

  test('the start of its machine is paid by the budget: what is left is for the work', async () => {
    await using world = await openTestWorld()
    // As above: a stop 70 s after the launch, though timeout_s alone would let it run until 110 s.
    const id = await submit(world, { budget_usd: 0.01, timeout_s: 60 })
    await world.pass()
    world.advance(50)
    const speaker = runner(world)
    await speaker.start()
    await world.pass()
    const { attempt_id, machine } = speaker
    const spec = await world.request('GET', `/v1/attempts/${attempt_id}/spec`, { key: machine?.token ?? '' })
    expect(await spec.json()).toMatchObject({ timeout_s: 20 })
    world.advance(21)
    await world.pass()
    expect(await (await speaker.say({ type: 'heartbeat' })).json()).toMatchObject({
      stop: { reason: 'over_budget' },
    })
    world.advance(20)
    await speaker.finish({ exit_code: 75, result: null })
    for (let n = 0; n < 4; n++) {
      await world.pass()
      world.advance(1)
    }
    const ended = await job(world, id)
    expect(ended).toMatchObject({ outcome: 'over_budget', cost: { final: true } })
    expect(ended.error?.message).toContain(
      "budget_usd, which pays for 70 s of it, its machine's start included",
    )
    expect(ended.cost.actual_usd).toBeLessThanOrEqual(0.01)
  })

  test('a runner whose time the budget has bounded says so with its own end', async () => {
    await using world = await openTestWorld()
    const id = await submit(world, { budget_usd: 0.01, timeout_s: 60 })
    await world.pass()
    world.advance(50)
    const speaker = runner(world)
    await speaker.start()
    await speaker.finish({ exit_code: null, failure: 'timed_out', result: null })
    await world.pass()
    expect(await job(world, id)).toMatchObject({ outcome: 'over_budget', error: { code: 'over_budget' } })
  })

  test('a machine whose runner does not speak is stopped when the budget pays for no more of it', async () => {
    await using world = await openTestWorld()
    const id = await submit(world, { budget_usd: 0.01 })
    await world.pass()
    world.advance(71)
    for (let n = 0; n < 5; n++) {
      await world.pass()
      world.advance(1)
    }
    const ended = await job(world, id)
    expect(ended).toMatchObject({ state: 'failed', outcome: 'over_budget', cost: { final: true } })
    expect(ended.cost.actual_usd).toBeLessThanOrEqual(0.01)
  })

  test('a budget below what the vendor bills at least ends the job at once', async () => {
    await using world = await openTestWorld()
    Object.assign(world.model.provider.traits, { min_billing_s: 60 })
    const poor = await submit(world, { budget_usd: 0.0055 })
    const enough = await submit(world, { budget_usd: 0.006 })
    await world.settle(2)
    expect(await job(world, poor)).toMatchObject({ attempts: [], error: { code: 'over_budget' } })
    expect((await job(world, enough)).state).toBe('scheduled')
  })

  test('a budget that does not pay for a second and its stop ends the job at once', async () => {
    await using world = await openTestWorld()
    // 0.36 USD an hour: 31 s cost 3,100 micro-dollars.
    const poor = await submit(world, { budget_usd: 0.003 })
    const enough = await submit(world, { budget_usd: 0.0032 })
    await world.settle(2)
    expect(await job(world, poor)).toMatchObject({
      state: 'failed',
      attempts: [],
      error: { code: 'over_budget' },
    })
    expect((await job(world, enough)).state).toBe('scheduled')
  })

  test('a job that finds no place within queue_timeout_s fails and says so', async () => {
    await using world = await openTestWorld()
    world.model.offers.length = 0
    const id = await submit(world, { queue_timeout_s: 100 })
    world.advance(99)
    await world.pass()
    expect((await job(world, id)).state).toBe('queued')
    world.advance(2)
    await world.pass()
    expect(await job(world, id)).toMatchObject({
      state: 'failed',
      error: { code: 'queue_timeout', where: 'berth' },
    })
  })

  test('exit codes of the user are not retried, others are, up to max_attempts', async () => {
    await using world = await openTestWorld()
    const first = await submit(world)
    await world.pass()
    let speaker = runner(world)
    await speaker.start()
    await speaker.finish({
      exit_code: 2,
      failure: 'invalid_params',
      result: null,
      error: { message: 'params.x is wrong' },
    })
    await world.settle(2)
    expect(await job(world, first)).toMatchObject({
      state: 'failed',
      error: { code: 'invalid_params', message: 'params.x is wrong', where: 'user', exit_code: 2 },
    })
    const second = await submit(world, { retry: { max_attempts: 2 } })
    for (let attempt = 1; attempt <= 2; attempt++) {
      world.advance(400)
      await world.settle(3)
      speaker = runner(world)
      await speaker.start()
      await speaker.finish({ exit_code: null, failure: 'killed', result: null })
      await world.settle(2)
    }
    expect(await job(world, second)).toMatchObject({ state: 'failed', error: { code: 'killed' } })
    expect((await job(world, second)).attempts).toHaveLength(2)
  })
})
