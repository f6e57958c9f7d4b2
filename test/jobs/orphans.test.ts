import { expect, test } from 'vitest'
import { scanOrphans } from '../../jobs/orphans.ts'
import { quarantineIfRestored, raiseHighWater } from '../../jobs/restore.ts'
import { ProviderError } from '../../providers/errors.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

interface Answer {
  items: { id: string; name: string; attempt_id: string | null; stop_called_at: string | null }[]
  quarantined: boolean
  at_risk_usd_per_hour: number
}
const first = { name: 'berth-stray', id: 'att_01jd3m4k5nep7r8r9s0t1v2w3x' }
const second = { name: 'berth-stray-too', id: 'att_01jd3m4k5nep7r8r9s0t1v2w3y' }
const orphans = async (world: World) => (await (await world.request('GET', '/v1/orphans')).json()) as Answer

/** A machine that runs with our tag and that no row knows of. */
async function strayMachine(world: World, more: { name: string; id: string } = first): Promise<string> {
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  const [attempt_id = '', machine] = [...world.model.machines].at(-1) ?? []
  const { id: stray, name } = more
  if (machine)
    world.model.machines.set(stray, {
      ...machine,
      request: { ...machine.request, attempt_id: stray, name },
    })
  expect(attempt_id).not.toBe('')
  return stray
}

test('a thing without an attempt is shown with its cost, and stopped after a grace', async () => {
  await using world = await openTestWorld()
  const stray = await strayMachine(world)
  await scanOrphans(world.deps)
  expect(await orphans(world)).toMatchObject({
    items: [{ name: 'berth-stray', attempt_id: stray, stop_called_at: null, usd_per_hour: 0.36 }],
    at_risk_usd_per_hour: 0.36,
  })
  world.advance(119)
  await scanOrphans(world.deps)
  expect(world.model.machines.get(stray)?.seen.state).toBe('running')
  world.advance(2)
  await scanOrphans(world.deps)
  expect(world.model.machines.get(stray)?.seen.state).toBe('gone')
  world.advance(1)
  await scanOrphans(world.deps)
  expect((await orphans(world)).items).toEqual([])
})

test('one that its vendor does not let go keeps none of the others from being stopped', async () => {
  await using world = await openTestWorld()
  const { provider } = world.model
  const [held, free] = [await strayMachine(world, first), await strayMachine(world, second)]
  const stop = provider.stop.bind(provider)
  provider.stop = (ref, signal) =>
    ref.attempt_id === held
      ? Promise.reject(new ProviderError('rejected', { provider: 'model', detail: 'it is protected' }))
      : stop(ref, signal)
  for (let n = 0; n < 4; n++) {
    await scanOrphans(world.deps)
    world.advance(61)
  }
  expect(world.model.machines.get(free)?.seen.state).toBe('gone')
  const { items } = await orphans(world)
  expect(items).toMatchObject([{ attempt_id: held }])
  const asked = await world.request('POST', `/v1/orphans/${items[0]?.id}/stop`)
  expect(asked.status).toBe(409)
  expect(await asked.json()).toMatchObject({
    code: 'provider_failed',
    detail: expect.stringContaining('model did not stop berth-stray: rejected: it is protected'),
  })
  const refused = world.logged.find(({ message }) => message === 'an orphan was not stopped')
  expect(refused?.fields).toMatchObject({ name: 'berth-stray', detail: 'rejected: it is protected' })
})

test('what an attempt accounts for is no orphan, however long it runs', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  for (let n = 0; n < 5; n++) {
    world.advance(100)
    await scanOrphans(world.deps)
  }
  expect((await orphans(world)).items).toEqual([])
  expect(world.model.calls.filter(({ call }) => call === 'stop')).toEqual([])
})

test('a machine that is launched while an account is listed is no orphan', async () => {
  await using world = await openTestWorld()
  const list = world.model.provider.list.bind(world.model.provider)
  // The listing is slow: the job is launched after it began and before the attempts are read.
  world.model.provider.list = async function* (signal) {
    await world.request('POST', '/v1/jobs', { body: backtest() })
    await world.pass()
    yield* list(signal)
  }
  await scanOrphans(world.deps)
  expect((await orphans(world)).items).toEqual([])
})

test('after a restore of an older database nothing unknown is stopped for a day, but by a person', async () => {
  await using world = await openTestWorld()
  const stray = await strayMachine(world)
  await raiseHighWater(world.deps)
  expect(await quarantineIfRestored(world.deps, world.deps.clock.now())).toBe(false)
  const later = new Date(world.deps.clock.now().getTime() + 3_600_000)
  expect(await quarantineIfRestored(world.deps, later)).toBe(true)
  for (let n = 0; n < 3; n++) {
    await scanOrphans(world.deps)
    world.advance(600)
  }
  const seen = await orphans(world)
  expect(seen).toMatchObject({ quarantined: true, items: [{ attempt_id: stray }] })
  expect(world.model.machines.get(stray)?.seen.state).toBe('running')
  expect((await world.request('POST', `/v1/orphans/${seen.items[0]?.id}/stop`)).status).toBe(202)
  expect(world.model.machines.get(stray)?.seen.state).toBe('gone')
  expect((await world.request('POST', '/v1/orphans/orp_none/stop')).status).toBe(404)
})

test('an account that cannot be listed keeps what was seen, and the others are scanned', async () => {
  await using world = await openTestWorld()
  await strayMachine(world)
  await scanOrphans(world.deps)
  world.model.provider.list = () => {
    throw new Error('the vendor is down')
  }
  world.advance(1_000)
  await scanOrphans(world.deps)
  expect((await orphans(world)).items).toHaveLength(1)
})
