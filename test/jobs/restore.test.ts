// A database that was restored from a copy: what it does not know goes on, and becomes known again.
import { expect, test } from 'vitest'
import { scanOrphans } from '../../jobs/orphans.ts'
import { endQuarantine, quarantine } from '../../jobs/restore.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const submit = async (world: World, more: Record<string, unknown> = {}) =>
  ((await (await world.request('POST', '/v1/jobs', { body: backtest(more) })).json()) as { id: string }).id
const job = async (world: World, id: string) =>
  (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as {
    state: string
    attempts: { id: string; state: string }[]
    cost: { usd: number }
  }
const last = (world: World) => [...world.model.machines].at(-1) ?? []
const say = (world: World, body: object, path = 'report') => {
  const [attempt_id, machine] = last(world)
  return world.request('POST', `/v1/attempts/${attempt_id}/${path}`, { key: machine?.token ?? '', body })
}
const started = { type: 'started', instance: 'one' }
const launches = (world: World) => world.model.calls.filter(({ call }) => call === 'launch').length

/** Takes the database back to before the launch: the attempt is unknown, its shard waits. */
async function forgetLaunch(world: World) {
  const { db } = world.deps
  for (const table of ['heartbeats', 'reservations', 'attempts'] as const)
    await db.deleteFrom(table).execute()
  await db
    .updateTable('shards')
    .set({ state: 'waiting', attempts: 0, waiting_since: world.deps.clock.now() })
    .execute()
  const counters = { shards_waiting: 1, shards_active: 0, shards_running: 0 }
  await db
    .updateTable('jobs')
    .set({ state: 'queued', ...counters })
    .execute()
  await quarantine(world.deps)
}

test('work that a restored copy does not know is adopted when its runner reports, and not launched again', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  await say(world, started)
  await world.pass()
  const [attempt_id] = last(world)
  await forgetLaunch(world)

  await world.settle(3)
  expect(launches(world)).toBe(1)
  await scanOrphans(world.deps)
  const refused = await say(world, { type: 'heartbeat', progress: 0.4 })
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, 'quarantined'])
  await scanOrphans(world.deps)
  expect((await say(world, { type: 'heartbeat', progress: 0.5 })).status).toBe(200)
  await world.settle(2)
  expect(await job(world, id)).toMatchObject({
    state: 'running',
    attempts: [{ id: attempt_id, state: 'running' }],
  })

  await say(world, { type: 'finished', exit_code: 0, failure: null, result: { best: 1 } })
  await world.settle(3)
  // Stopped a second after the report, and looked for a second after that.
  for (let n = 0; n < 2; n++) {
    world.advance(2)
    await world.settle(3)
  }
  expect(await job(world, id)).toMatchObject({
    state: 'succeeded',
    attempts: [{ id: attempt_id, state: 'ended' }],
  })
  expect(launches(world)).toBe(1)
})

test('an attempt that the copy knows, but whose start it does not, is bound by its next report', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  await quarantine(world.deps)
  expect((await say(world, { type: 'heartbeat', progress: 0.5 })).status).toBe(200)
  await world.pass()
  expect((await job(world, id)).state).toBe('running')
  const other = await say(world, { type: 'started', instance: 'two' })
  expect([other.status, ((await other.json()) as { code: string }).code]).toEqual([409, 'superseded'])
})

test('a forged token is refused in quarantine too, and what nobody reports is not adopted', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  const [attempt_id, machine] = last(world)
  await forgetLaunch(world)
  await scanOrphans(world.deps)
  const token = `${machine?.token.slice(0, -1)}${machine?.token.endsWith('A') ? 'B' : 'A'}`
  const path = `/v1/attempts/${attempt_id}/report`
  expect((await world.request('POST', path, { key: token, body: started })).status).toBe(401)
  await scanOrphans(world.deps)
  expect((await job(world, id)).attempts).toEqual([])
})

test('launches wait for ten minutes after a restore, or until a person says that it is over', async () => {
  await using world = await openTestWorld()
  await submit(world)
  await quarantine(world.deps)
  world.advance(599)
  await world.pass()
  expect(launches(world)).toBe(0)
  world.advance(2)
  await world.pass()
  expect(launches(world)).toBe(1)

  await submit(world)
  await quarantine(world.deps)
  await world.pass()
  expect(launches(world)).toBe(1)
  await endQuarantine(world.deps)
  await world.pass()
  expect(launches(world)).toBe(2)
})

test('a machine whose job has ended in the copy is told that it is over by the scan after the quarantine', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  await say(world, started)
  await forgetLaunch(world)
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.settle(2)
  await scanOrphans(world.deps)
  expect((await say(world, { type: 'heartbeat' })).status).toBe(503)
  await scanOrphans(world.deps)
  expect(await job(world, id)).toMatchObject({ state: 'cancelled', attempts: [] })
  await endQuarantine(world.deps)
  world.advance(121)
  await scanOrphans(world.deps)
  expect(last(world)[1]?.seen.state).toBe('gone')
})

test('a machine whose shard has gone on does not keep another from being adopted', async () => {
  await using world = await openTestWorld()
  const [first, second] = [await submit(world), await submit(world)]
  await world.settle(2)
  await forgetLaunch(world)
  await world.request('POST', `/v1/jobs/${first}/cancel`)
  await world.settle(2)
  await scanOrphans(world.deps)
  for (const [attempt_id, { token }] of world.model.machines)
    await world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: token, body: started })
  await scanOrphans(world.deps)
  expect([(await job(world, first)).state, (await job(world, first)).attempts]).toEqual(['cancelled', []])
  expect((await job(world, second)).attempts).toHaveLength(1)
  expect(world.logged.filter(({ level }) => level !== 'info')).toEqual([])
})

test('what is adopted is paid for, whether a budget has room or not, and bound by what its job may still spend', async () => {
  await using world = await openTestWorld()
  // 0.36 USD an hour: 0.02 USD is 200 s, of which the last 30 are the stop's.
  await submit(world, { budget_usd: 0.02 })
  await world.pass()
  await forgetLaunch(world)
  await world.request('PUT', '/v1/budgets', { body: { scope: 'project', limit_usd: 0.000001 } })
  await scanOrphans(world.deps)
  await say(world, started)
  world.advance(100)
  await scanOrphans(world.deps)
  const { db } = world.deps
  expect(await db.selectFrom('attempts').select(['timeout_s', 'timeout_reason', 'paid_s']).execute()).toEqual(
    [{ timeout_s: 70, timeout_reason: 'over_budget', paid_s: 170 }],
  )
  const held = await db.selectFrom('reservations').select('micros').executeTakeFirstOrThrow()
  expect(held.micros).toBe(21_000)
})
