import { expect, test } from 'vitest'
import { claimShard, renewReplica } from '../../jobs/store/claim.ts'
import { commitDecision } from '../../jobs/store/commit.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** A replica that dies right after it has leased the head of the queue. */
async function dieWithLease(world: World) {
  const { db, clock } = world.deps
  await renewReplica(db, 'rep_dead', clock.now())
  const { id } = await db.selectFrom('shards').select('id').executeTakeFirstOrThrow()
  const claimed = await claimShard(db, 'rep_dead', 'token of the dead', clock.now(), id)
  if (!claimed) throw new Error('nothing was claimed')
  return claimed
}

test('the work of a replica that died is taken over within 12 s, and not before it is dead', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await dieWithLease(world)
  world.advance(9.9)
  await world.pass('rep_alive')
  expect(world.model.calls).toEqual([])
  world.advance(2)
  await world.pass('rep_alive')
  expect(world.model.calls).toMatchObject([{ call: 'launch' }])
})

test('a replica that was thought dead and comes back writes nothing with its old lease', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  const claimed = await dieWithLease(world)
  const shard = await world.deps.db.selectFrom('shards').selectAll().executeTakeFirstOrThrow()
  const job = await world.deps.db.selectFrom('jobs').selectAll().executeTakeFirstOrThrow()
  world.advance(12)
  await world.pass('rep_alive')
  const late = {
    claimed,
    job,
    facts_version: shard.facts_version,
    plan: { changes: [{ change: 'cancelling' as const }], calls: [], due_at: null },
  }
  const deps = { ...world.deps, public_url: () => '' }
  expect(await commitDecision(deps, late, world.deps.clock.now())).toBe('stale')
  expect(await world.deps.db.selectFrom('jobs').select('state').executeTakeFirst()).toEqual({
    state: 'scheduled',
  })
})

test('a living replica keeps its lease, but not for ever', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await dieWithLease(world)
  for (let s = 0; s < 120; s += 5) {
    world.advance(5)
    await renewReplica(world.deps.db, 'rep_dead', world.deps.clock.now())
    await world.pass('rep_alive')
    if (s < 110) expect(world.model.calls).toEqual([])
  }
  world.advance(5)
  await world.pass('rep_alive')
  expect(world.model.calls).toMatchObject([{ call: 'launch' }])
})
