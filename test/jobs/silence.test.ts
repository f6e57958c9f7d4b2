import { expect, test } from 'vitest'
import { ProviderError } from '../../providers/errors.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function submit(world: World): Promise<string> {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest() })
  return ((await answer.json()) as { id: string }).id
}

const attemptOf = async (world: World, id: string) =>
  ((await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView).attempts[0]

/** Passes for some seconds, as a server does. */
async function live(world: World, seconds: number) {
  for (let second = 0; second < seconds; second++) {
    world.advance(1)
    await world.pass()
  }
}

test("the vendor's list lag counts from the answer of the launch, not from its call", async () => {
  await using world = await openTestWorld()
  Object.assign(world.model.provider.traits, { list_lag_ms: 20_000 })
  const { launch, inspect } = world.model.provider
  world.model.provider.launch = (...call) => {
    world.advance(10)
    return launch(...call)
  }
  const id = await submit(world)
  await world.pass()
  // Not shown yet, so a stop finds nothing.
  world.model.provider.inspect = (refs) => Promise.resolve(refs.map(() => ({ state: 'gone', detail: null })))
  const { stop } = world.model.provider
  world.model.provider.stop = () => Promise.resolve()
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await live(world, 18)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'stopping', outcome: 'cancelled' })
  Object.assign(world.model.provider, { inspect, stop })
  await live(world, 15)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'ended' })
  expect([...world.model.machines.values()].map(({ seen }) => seen.state)).toEqual(['gone'])
})

test('a machine that has ended is billed until its vendor has released it, however often that is asked for', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  const [machine] = world.model.machines.values()
  if (machine)
    machine.seen = { state: 'exited', exit_code: null, detail: 'Stopped, and not released', is_billed: true }
  let released = false
  const { inspect } = world.model.provider
  world.model.provider.inspect = (refs, signal) =>
    released ? Promise.resolve(refs.map(() => ({ state: 'gone', detail: null }))) : inspect(refs, signal)
  let stops = 0
  world.model.provider.stop = () => {
    stops++
    return Promise.reject(new ProviderError('unknown_outcome', { provider: 'model', detail: 'timed out' }))
  }
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await live(world, 25)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'stopping', outcome: 'cancelled' })
  expect(stops).toBe(3)
  released = true
  await live(world, 2)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'ended' })
  const { cost } = (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
  // 25 s and the look that finds it gone, 100 micro-dollars each.
  expect(cost.actual_usd).toBeGreaterThanOrEqual(0.0025)
})

test('a launch that was not answered may take effect until it would have timed out, and is waited for', async () => {
  await using world = await openTestWorld()
  const { launch } = world.model.provider
  let arrive = () => Promise.resolve()
  world.model.provider.launch = (...call) => {
    arrive = () => launch(...call).then(() => undefined)
    return Promise.reject(new ProviderError('unknown_outcome', { provider: 'model', detail: 'reset' }))
  }
  const id = await submit(world)
  await world.pass()
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await live(world, 40)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'stopping', outcome: 'cancelled' })
  await arrive()
  await live(world, 60)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'ended' })
  expect([...world.model.machines.values()].map(({ seen }) => seen.state)).toEqual(['gone'])
})

test('machines that are missed one by one while the listing shows them are not lost', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  world.model.provider.inspect = (refs) => Promise.resolve(refs.map(() => ({ state: 'gone', detail: null })))
  await live(world, 100)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'starting', outcome: null })
})

test('a machine that is stopped is not gone as long as the listing shows it', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  world.model.provider.stop = () => Promise.resolve()
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  world.model.provider.inspect = (refs) => Promise.resolve(refs.map(() => ({ state: 'gone', detail: null })))
  await live(world, 60)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'stopping', outcome: 'cancelled' })
  world.model.machines.clear()
  await live(world, 20)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'ended' })
})

test('a launch that was refused at its only call leaves nothing to clean', async () => {
  await using world = await openTestWorld()
  world.model.faults.launch.push('capacity')
  const id = await submit(world)
  await world.pass()
  expect(await attemptOf(world, id)).toMatchObject({ state: 'ended', outcome: 'no_capacity' })
  expect(world.model.calls.map(({ call }) => call)).toEqual(['launch'])
})

test('a refusal after a call without an answer says nothing of that call, which is waited for', async () => {
  await using world = await openTestWorld()
  world.model.faults.launch.push('unknown_outcome', 'capacity')
  const id = await submit(world)
  await live(world, 5)
  expect(await attemptOf(world, id)).toMatchObject({ state: 'stopping', outcome: 'no_capacity' })
  await live(world, 60)
  expect((await attemptOf(world, id))?.state).toBe('ended')
  expect([...world.model.machines.values()][0]?.seen.state).toBe('gone')
})

test('a machine that never speaks is stopped at its bound, however often its launch goes without an answer', async () => {
  await using world = await openTestWorld()
  Object.assign(world.model.provider.traits, { boot_bound_s: 60 })
  const { launch } = world.model.provider
  world.model.provider.launch = async (...call) => {
    await launch(...call)
    throw new ProviderError('unknown_outcome', { provider: 'model', detail: 'reset' })
  }
  const id = await submit(world)
  await world.pass()
  await live(world, 75)
  const attempts = ((await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView).attempts
  expect(attempts.find(({ number }) => number === 1)).toMatchObject({ outcome: 'no_capacity' })
})
