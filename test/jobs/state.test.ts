import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { Change } from '../../jobs/plan.ts'
import * as state from '../../jobs/state.ts'
import { claimShard } from '../../jobs/store/claim.ts'
import { commitDecisions } from '../../jobs/store/commit.ts'
import { moveAttempt, moveJob, moveShard } from '../../jobs/store/move.ts'
import type { Tx } from '../../jobs/store/schema.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

test('the CHECK constraints name exactly the states of the tables', async () => {
  await using world = await openTestWorld()
  const { rows } = await sql<{ table: string; text: string }>`
    select conrelid::regclass::text as table, pg_get_constraintdef(oid) as text
    from pg_constraint where contype = 'c' and connamespace = 'public'::regnamespace`.execute(world.deps.db)
  const allowed = (table: string, column: string) => {
    const text = rows.find(
      (row) => row.table === table && new RegExp(`\\(\\(?${column} = ANY`).test(row.text),
    )?.text
    return [...(text ?? '').matchAll(/'([a-z_]+)'::text/g)].map((match) => match[1] ?? '').toSorted()
  }
  const sorted = (names: readonly string[]) => names.toSorted()
  expect(allowed('jobs', 'state')).toEqual(sorted(state.jobStates))
  expect(allowed('shards', 'state')).toEqual(sorted(state.shardStates))
  expect(allowed('attempts', 'state')).toEqual(sorted(state.attemptStates))
  expect(allowed('attempts', 'outcome')).toEqual(sorted(state.outcomes))
  expect(allowed('jobs', 'outcome')).toEqual(sorted(state.outcomes))
  expect(allowed('attempts', 'stop_reason')).toEqual(sorted(state.stopReasons))
  expect(allowed('jobs', 'priority')).toEqual(sorted(state.priorities))
  expect(allowed('jobs', 'order_kind')).toEqual(sorted(state.orders))
})

test('terminal states have no exits, and every other state has one', () => {
  expect(state.jobStates.filter((each) => state.isTerminal(each))).toEqual([
    'succeeded',
    'failed',
    'cancelled',
  ])
  expect(state.attemptStates.filter((each) => state.isTerminal(each))).toEqual(['ended'])
})

/** A job with one shard and one attempt. */
async function oneOfEach(world: World) {
  const { db } = world.deps
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  return {
    job: await db.selectFrom('jobs').selectAll().executeTakeFirstOrThrow(),
    shard: await db.selectFrom('shards').selectAll().executeTakeFirstOrThrow(),
    attempt: await db.selectFrom('attempts').selectAll().executeTakeFirstOrThrow(),
  }
}

/** Every pair of states that a move accepts, as `from -> to`. */
async function accepted<State extends string>(
  world: World,
  table: 'jobs' | 'shards' | 'attempts',
  states: readonly State[],
  move: (tx: Tx, from: State, to: State) => Promise<void>,
): Promise<string[]> {
  const found: string[] = []
  for (const from of states) {
    for (const to of states) {
      await sql`update ${sql.table(table)} set state = ${from}`.execute(world.deps.db)
      const moved = await world.deps.db
        .transaction()
        .execute((tx) => move(tx, from, to))
        .then(() => true)
        .catch(() => false)
      const { rows } = await sql<{ state: string }>`select state from ${sql.table(table)}`.execute(
        world.deps.db,
      )
      expect([from, to, rows[0]?.state]).toEqual([from, to, moved ? to : from])
      if (moved && from !== to) found.push(`${from} -> ${to}`)
    }
  }
  return found
}

const legal = (table: Record<string, readonly string[]>) =>
  Object.entries(table).flatMap(([from, next]) => next.map((to) => `${from} -> ${to}`))

test('every move between two states is made if the tables allow it, and changes nothing otherwise', async () => {
  await using world = await openTestWorld()
  const { job, shard, attempt } = await oneOfEach(world)
  const jobs = accepted(world, 'jobs', state.jobStates, (tx, from, to) =>
    moveJob(tx, { id: job.id, state: from }, to, {}),
  )
  expect((await jobs).toSorted()).toEqual(legal(state.jobTransitions).toSorted())
  const shards = accepted(world, 'shards', state.shardStates, (tx, from, to) =>
    moveShard(tx, { ...shard, state: from }, to, {}),
  )
  expect((await shards).toSorted()).toEqual(legal(state.shardTransitions).toSorted())
  const attempts = accepted(world, 'attempts', state.attemptStates, (tx, _, to) =>
    moveAttempt(tx, attempt.id, to, {}),
  )
  expect((await attempts).toSorted()).toEqual(legal(state.attemptTransitions).toSorted())
})

test('every change of an attempt is committed in the states that allow it, and nothing of it in the others', async () => {
  await using world = await openTestWorld()
  const { job, shard, attempt } = await oneOfEach(world)
  const { db, clock } = world.deps
  const attempt_id = attempt.id
  const at = clock.now()
  const changes = {
    launched: { change: 'launched', attempt_id, handle: {} },
    run: { change: 'run', attempt_id, started_at: at },
    order_stop: { change: 'order_stop', attempt_id, reason: 'timed_out', stop_by: at },
    conclude: { change: 'conclude', attempt_id, outcome: 'lost', exit_code: null, error: null },
    end: { change: 'end', attempt_id },
  } as const satisfies Record<string, Change>
  const to = {
    launched: 'starting',
    run: 'running',
    order_stop: 'stopping',
    conclude: 'stopping',
    end: 'ended',
  }
  const rows = async () =>
    JSON.stringify([await all('jobs'), await all('shards'), await all('attempts'), await all('ledger')])
  const all = (table: 'jobs' | 'shards' | 'attempts' | 'ledger') => db.selectFrom(table).selectAll().execute()
  for (const from of state.attemptStates) {
    for (const [name, change] of Object.entries(changes)) {
      await db.deleteFrom('ledger').execute()
      await db.updateTable('attempts').set({ state: from, outcome: null }).execute()
      await db.updateTable('shards').set({ lease_token: null, lease_replica: null }).execute()
      const claimed = await claimShard(db, 'rep_one', `${from}-${name}`, at, shard.id)
      if (!claimed) throw new Error('the shard is free')
      const before = await rows()
      const commit = {
        claimed,
        job_id: job.id,
        facts_version: null,
        plan: { changes: [change], calls: [], due_at: null },
      }
      const done = await commitDecisions({ ...world.deps, public_url: () => '' }, commit, at).catch(
        () => 'refused',
      )
      const target = to[name as keyof typeof to]
      const next: readonly string[] = state.attemptTransitions[from]
      // Proof of death may come while a stop is under way.
      const allowed = next.includes(target) || (name === 'conclude' && from === 'stopping')
      expect([from, name, done]).toEqual([from, name, allowed ? 'done' : 'refused'])
      if (!allowed) expect(await rows()).toBe(before)
      else expect((await all('attempts'))[0]?.state).toBe(target)
    }
  }
})
