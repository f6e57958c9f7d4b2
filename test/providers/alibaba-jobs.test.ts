// Jobs on the fake ECS, from their submit to the bill: the core, the adapter and the vendor on one clock.
import { createHash } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { catalogueOf } from '../../jobs/catalogue.ts'
import type { Bootstrap } from '../../jobs/bootstrap.ts'
import { costMicros } from '../../jobs/cost.ts'
import type { JobView } from '../../jobs/view.ts'
import { billOf, type FakeInstance, isGone } from '../fakes/alibaba-machines.ts'
import { cpuType, type FakeEcs, gpuType, openFakeEcs, openProvider } from '../support/alibaba-account.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

let world: World
let ecs: FakeEcs
beforeEach(async () => {
  world = await openTestWorld()
  ecs = await openFakeEcs(world.deps.clock.now().getTime())
  const provider = openProvider(ecs, { installation: world.deps.installation })
  const offers = await provider.offers(AbortSignal.timeout(30_000))
  Object.assign(world.deps, { providers: [provider], offers: () => catalogueOf(offers) })
  world.deps.settings.image = () => 'registry.example.com/backtest:1'
})
afterEach(async () => {
  await ecs.close()
  await world[Symbol.asyncDispose]()
})

/** Seconds on both clocks, with a pass in each. */
async function tick(seconds: number) {
  for (let each = 0; each < seconds; each++) {
    world.advance(1)
    ecs.state.now_ms = world.deps.clock.now().getTime()
    await world.pass()
  }
}

async function submit(more: object) {
  const answer = await world.request('POST', '/v1/jobs', {
    body: backtest({ retry: { max_attempts: 1 }, ...more }),
  })
  const { id } = (await answer.json()) as { id: string }
  await world.pass()
  return async () => (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
}

const machines = () => [...ecs.state.instances.values()]
const newest = () => machines().at(-1) as FakeInstance

/** What boot.sh does with the user data, and the runner after it. */
async function boot({ user_data }: FakeInstance) {
  const said = (name: string) => new RegExp(`^${name}='(.*)'$`, 'm').exec(user_data)?.[1] ?? ''
  const id = said('attempt')
  const body = { attempt_id: id, machine: 'a-number-that-it-made-up' }
  const answer = await world.request('POST', '/v1/runner/bootstrap', { key: said('bootstrap'), body })
  const { token } = (await answer.json()) as Bootstrap
  const call = async (method: string, path: string, sent?: unknown) => {
    const type = typeof sent === 'string' ? 'application/octet-stream' : 'application/json'
    return world.request(method, `/v1/attempts/${id}${path}`, {
      key: token,
      headers: { 'content-type': type },
      ...(sent === undefined ? {} : { body: sent }),
    })
  }
  const report = async (sent: object) =>
    (await (await call('POST', '/report', sent)).json()) as { stop?: object }
  await report({ type: 'started', instance: 'one' })
  return { call, report }
}

/** Micro-dollars, as ECS would bill them: each second, at the price of the launch. */
const billed = () =>
  machines().reduce((sum, each) => {
    const usd_micros_per_hour = Math.round(Number(each.tags.get('berth:usd-per-hour')) * 1e6)
    const billed_from = new Date(each.created_ms)
    const billed_to = new Date(each.created_ms + billOf(each, ecs.state.now_ms) * 1_000)
    return sum + costMicros({ usd_micros_per_hour, min_billing_s: 0, billed_from, billed_to }, billed_to)
  }, 0)
const ledger = async () => {
  const rows = await world.deps.db.selectFrom('ledger').select(['usd_micros', 'basis', 'entry']).execute()
  const settled = rows.filter(({ entry }) => entry === 'settle')
  expect(new Set(settled.map(({ basis }) => basis))).toEqual(new Set(['billed']))
  return settled.reduce((sum, { usd_micros }) => sum + Number(usd_micros), 0)
}

test('a spot machine that is taken back saves a checkpoint, the next one goes on from it, and both are on the bill', async () => {
  const job = await submit({ placement: { spot: 'only' } })
  const first = newest()
  expect(first).toMatchObject({ type: cpuType })
  await tick(30)
  const runner = await boot(first)
  await tick(60)
  first.reclaimed_ms = ecs.state.now_ms
  const heartbeat = { type: 'heartbeat', progress: 0.5 }
  let told = await runner.report(heartbeat)
  // Well within the five minutes: machines that run are looked at twice a minute.
  for (let waited = 0; waited < 60 && !told.stop; waited += 5) {
    await tick(5)
    told = await runner.report(heartbeat)
  }
  expect(told.stop).toMatchObject({ reason: 'preempted' })
  const bytes = 'half of the work'
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  await runner.call('PUT', '/artifacts/checkpoints%2F7.tar', bytes)
  await runner.report({ type: 'checkpoint', name: 'checkpoints/7.tar', bytes: bytes.length, sha256 })
  await runner.report({ type: 'finished', exit_code: 75, failure: 'preempted' })
  await tick(15)
  // Berth has released it before ECS would.
  expect(isGone(first, ecs.state.now_ms)).toBe(true)
  expect(machines()).toHaveLength(2)
  const next = await boot(newest())
  const spec = (await (await next.call('GET', '/spec')).json()) as { checkpoint: { sha256: string } }
  expect(spec.checkpoint).toMatchObject({ sha256 })
  // Longer than reads may lag: before that nobody takes a machine for gone.
  await tick(60)
  await next.report({ type: 'finished', exit_code: 0, failure: null, result: { best: 1 } })
  await tick(10)
  const { state, attempts, cost } = await job()
  expect(state).toBe('succeeded')
  expect(attempts.map(({ outcome, spot }) => [outcome, spot])).toEqual([
    ['preempted', true],
    ['succeeded', true],
  ])
  expect(machines().every((each) => isGone(each, ecs.state.now_ms))).toBe(true)
  expect(await ledger()).toBe(billed())
  expect(cost).toMatchObject({ final: true, basis: 'billed', actual_usd: billed() / 1e6 })
})

test('a spot machine that vanishes without a word is preempted', async () => {
  const job = await submit({ placement: { spot: 'only' } })
  await tick(30)
  await boot(newest())
  await tick(60)
  newest().gone_ms = ecs.state.now_ms
  await tick(75)
  expect((await job()).attempts[0]).toMatchObject({ outcome: 'preempted' })
  expect(machines()).toHaveLength(2)
})

test('a spot machine that could not be made is no preemption: the next offer is tried, and nothing is billed', async () => {
  ecs.state.fails = true
  const job = await submit({ placement: { spot: 'only' } })
  ecs.state.fails = false
  const first = newest()
  await tick(130)
  const [attempt] = (await job()).attempts
  expect(attempt).toMatchObject({ outcome: 'no_capacity' })
  expect(newest().zone).not.toBe(first.zone)
  expect(billOf(first, ecs.state.now_ms)).toBe(0)
  await tick(60)
  expect((await job()).attempts[0]).toMatchObject({ state: 'ended' })
  expect(await ledger()).toBe(0)
})

test('without stock in a zone the next one is tried at once', async () => {
  ecs.state.stock.set(`${gpuType}/cn-hangzhou-i`, 'WithoutStock')
  ecs.state.stock.set(`${cpuType}/cn-hangzhou-i`, 'WithoutStock')
  await submit({ placement: { spot: 'never' } })
  await tick(3)
  expect(machines().map(({ zone }) => zone)).toEqual(['cn-hangzhou-j'])
})

test('a machine that nobody releases is released by ECS, and Berth does not take it for a preemption', async () => {
  const job = await submit({ placement: { spot: 'never' }, timeout_s: 60 })
  const machine = newest()
  await tick(30)
  await boot(machine)
  // Berth is gone: nobody passes any more.
  world.advance(7_200)
  ecs.state.now_ms = world.deps.clock.now().getTime()
  expect(isGone(machine, ecs.state.now_ms)).toBe(true)
  await tick(40)
  expect((await job()).attempts[0]).toMatchObject({ outcome: 'timed_out' })
})
