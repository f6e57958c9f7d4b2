import { describe, expect, test } from 'vitest'
import { heartbeatEvery_ms, lookEvery_s } from '../../jobs/pace.ts'
import { claimDue } from '../../jobs/store/claim.ts'
import { commitRest } from '../../jobs/store/rest.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

test.for([
  [0, 2_000, 5],
  [200, 2_000, 5],
  [1_000, 10_000, 10],
  [3_000, 30_000, 30],
  [10_000, 30_000, 30],
  [1_000_000, 30_000, 30],
] as const)('with %i attempts a runner speaks every %i ms and is looked at every %i s', ([open, ms, s]) => {
  expect(heartbeatEvery_ms(open)).toBe(ms)
  expect(lookEvery_s(open)).toBe(s)
})

/** Submits and launches jobs, and lets their runners start. */
async function run(world: World, jobs: number) {
  for (const offer of world.model.offers) offer.slots = null
  for (let n = 0; n < jobs; n++) {
    expect((await world.request('POST', '/v1/jobs', { body: backtest() })).status).toBe(201)
    if (n % 40 === 39) await world.pass()
  }
  await world.pass()
  for (const [id, { token: key }] of world.model.machines)
    await world.request('POST', `/v1/attempts/${id}/report`, {
      key,
      body: { type: 'started', instance: 'one' },
    })
  await world.settle(3)
}

test('a pass looks at everything that is due, however much it is', async () => {
  await using world = await openTestWorld()
  await run(world, 120)
  const { inspect } = world.model.provider
  const asked = new Set<string>()
  world.model.provider.inspect = (refs, signal) => {
    for (const { attempt_id } of refs) asked.add(attempt_id)
    return inspect(refs, signal)
  }
  world.advance(6)
  await world.pass()
  expect(asked.size).toBe(120)
  // Nothing has happened to them: they rest until the next look.
  asked.clear()
  world.advance(4)
  await world.pass()
  expect(asked.size).toBe(0)
  world.advance(1)
  await world.pass()
  expect(asked.size).toBe(120)
})

describe('a look that found nothing new', () => {
  async function look(world: World) {
    await run(world, 1)
    world.advance(6)
    const now = world.deps.clock.now()
    const [claimed] = await claimDue(world.deps.db, 'rep_one', 'token', now, 1)
    const shard = await world.deps.db.selectFrom('shards').selectAll().executeTakeFirstOrThrow()
    if (!claimed) throw new Error('nothing was due')
    return { claimed, facts_version: shard.facts_version, due_at: new Date(now.getTime() + 5_000) }
  }
  const shardOf = (world: World) =>
    world.deps.db.selectFrom('shards').select(['due_at', 'lease_token']).executeTakeFirstOrThrow()

  test('gives the lease back until the next look', async () => {
    await using world = await openTestWorld()
    const rest = await look(world)
    expect(await commitRest(world.deps.db, [rest])).toEqual(new Set([rest.claimed.shard_id]))
    expect(await shardOf(world)).toEqual({ due_at: rest.due_at, lease_token: null })
  })

  test('writes nothing over a fact that came meanwhile', async () => {
    await using world = await openTestWorld()
    const rest = await look(world)
    const { id } = await world.deps.db.selectFrom('jobs').select('id').executeTakeFirstOrThrow()
    expect((await world.request('POST', `/v1/jobs/${id}/stop`)).status).toBe(202)
    expect(await commitRest(world.deps.db, [rest])).toEqual(new Set())
    expect((await shardOf(world)).due_at).toEqual(world.deps.clock.now())
  })

  test('writes nothing with a lease that another has taken', async () => {
    await using world = await openTestWorld()
    const rest = await look(world)
    await world.deps.db.updateTable('shards').set({ lease_token: 'of another' }).execute()
    expect(await commitRest(world.deps.db, [rest])).toEqual(new Set())
    expect((await shardOf(world)).lease_token).toBe('of another')
  })
})
