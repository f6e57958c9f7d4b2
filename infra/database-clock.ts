import { sql } from 'kysely'
import type { Clock } from '../jobs/deps.ts'
import type { Database } from '../jobs/store/schema.ts'

export interface DatabaseClock extends Clock {
  /** Takes the database's time again. */
  sync: () => Promise<void>
}

/** Database time, advanced by this process's monotonic clock between two looks. */
export async function createDatabaseClock(db: Database): Promise<DatabaseClock> {
  let database_ms = 0
  let monotonic_ms = 0
  const sync = async () => {
    const asked_ms = performance.now()
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
    const answered_ms = performance.now()
    const now_ms = rows[0]?.now.getTime() ?? 0
    // Never backwards within a process: what was decided at a time stays before what follows.
    const expected_ms = database_ms + (answered_ms - monotonic_ms)
    database_ms = Math.max(now_ms + (answered_ms - asked_ms) / 2, Math.min(expected_ms, now_ms + maxSkew_ms))
    monotonic_ms = answered_ms
  }
  await sync()
  return { now: () => new Date(database_ms + performance.now() - monotonic_ms), sync }
}

/** How far a process's time may run ahead of the database's before it is set back. */
const maxSkew_ms = 1_000
