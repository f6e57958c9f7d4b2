// Time that decides: the database's, and what a process counts between two looks at it.
import {
  DummyDriver,
  Kysely,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import { expect, test } from 'vitest'
import { createDatabaseClock } from '../../infra/database-clock.ts'
import type { Tables } from '../../jobs/store/schema.ts'

/** A database that tells its time; `stall_ms`: so long it stands still before it does. */
async function openTimes() {
  const times = { database_ms: Date.parse('2026-03-02T09:00:00Z'), monotonic_ms: 5_000, stall_ms: 0 }
  const pass = (ms: number) => {
    times.database_ms += ms
    times.monotonic_ms += ms
  }
  class Driver extends DummyDriver {
    override async acquireConnection() {
      const executeQuery = <Row>(): Promise<QueryResult<Row>> => {
        pass(times.stall_ms)
        return Promise.resolve({ rows: [{ now: new Date(times.database_ms) } as Row] })
      }
      return { ...(await super.acquireConnection()), executeQuery }
    }
  }
  const db = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new Driver(),
      createIntrospector: (of) => new PostgresIntrospector(of),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
  })
  const clock = await createDatabaseClock(db, () => times.monotonic_ms)
  return { times, pass, clock, ahead_ms: () => clock.now().getTime() - times.database_ms }
}

test('a look at a database that stood still for long leaves the time as it was counted', async () => {
  const { times, pass, clock, ahead_ms } = await openTimes()
  pass(3_000)
  times.stall_ms = 24_000
  await clock.sync()
  expect(ahead_ms()).toBe(0)
  pass(60_000)
  expect(ahead_ms()).toBe(0)
})

test('a process goes forward with its database at once, and back only where it is a second ahead', async () => {
  const { times, clock, ahead_ms } = await openTimes()
  times.database_ms += 3_600_000
  await clock.sync()
  expect(ahead_ms()).toBe(0)
  times.database_ms -= 900
  await clock.sync()
  expect(ahead_ms()).toBe(900)
  times.database_ms -= 3_600_000
  await clock.sync()
  expect(ahead_ms()).toBe(1_000)
})
