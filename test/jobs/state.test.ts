import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { Change } from '../../jobs/plan.ts'
import * as state from '../../jobs/state.ts'
import { claimShard } from '../../jobs/store/claim.ts'
import { commitDecision } from '../../jobs/store/commit.ts'
import { movedAttempt, movedJob, movedShard } from '../../jobs/store/move.ts'
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
function accepted<State extends string>(
  states: readonly State[],
  move: (row: { id: string; state: State }, to: State) => { state: State },
): string[] {
  const pairs = states.flatMap((from) => states.map((to) => ({ from, to })))
  const moved = pairs.filter(({ from, to }) => {
    const row = { id: 'one', state: from }
    try {
      return move(row, to).state === to && row.state === from
    } catch {
      return false
    }
  })
  return moved.filter(({ from, to }) => from !== to).map(({ from, to }) => `${from} -> ${to}`)
}

const legal = (table: Record<string, readonly string[]>) =>
  Object.entries(table).flatMap(([from, next]) => next.map((to) => `${from} -> ${to}`))

test('every move between two states is made if the tables allow it, and refused otherwise', () => {
  expect(accepted(state.jobStates, (row, to) => movedJob(row, to, {}))).toEqual(legal(state.jobTransitions))
  expect(accepted(state.shardStates, (row, to) => movedShard(row, to, {}))).toEqual(
    legal(state.shardTransitions),
  )
  expect(accepted(state.attemptStates, (row, to) => movedAttempt(row, to, {}))).toEqual(
    legal(state.attemptTransitions),
  )
  // A job stays where it is when one of several shards moves; nothing else does.
  const one = { id: 'one', state: 'running' as const }
  expect(movedJob(one, 'running', {})).toEqual(one)
  expect(() => movedAttempt(one, 'running', {})).toThrow('attempt one cannot go from running to running')
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
        job,
        facts_version: null,
        plan: { changes: [change], calls: [], due_at: null },
      }
      const done = await commitDecision({ ...world.deps, public_url: () => '' }, commit, at).catch(
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
