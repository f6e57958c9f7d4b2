import { sql } from 'kysely'
import { expect, test } from 'vitest'
import * as state from '../../jobs/state.ts'
import { openTestWorld } from '../support/world.ts'

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
