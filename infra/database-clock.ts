import { sql } from 'kysely'
import type { Clock } from '../jobs/deps.ts'
import type { Database } from '../jobs/store/schema.ts'

export interface DatabaseClock extends Clock {
  /** Takes the database's time again. */
  sync: () => Promise<void>
}

/** Database time, advanced by this process's monotonic clock between two looks. */
export async function createDatabaseClock(
  db: Database,
  monotonic = () => performance.now(),
): Promise<DatabaseClock> {
  let known: { database_ms: number; monotonic_ms: number } | null = null
  const counted_ms = (at_ms: number) => known && known.database_ms + at_ms - known.monotonic_ms
  const sync = async () => {
    const asked_ms = monotonic()
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
    const answered_ms = monotonic()
    // It was looked at some time between the two. Where that was long, what was counted here is nearer than the middle of it: seconds too
    // early another replica would be taken for dead.
    const earliest_ms = rows[0]?.now.getTime() ?? 0
    const latest_ms = earliest_ms + (answered_ms - asked_ms)
    const expected_ms = counted_ms(answered_ms) ?? (earliest_ms + latest_ms) / 2
    // Never backwards within a process: what was decided at a time stays before what follows.
    const database_ms = Math.max(earliest_ms, Math.min(expected_ms, latest_ms + maxSkew_ms))
    known = { database_ms, monotonic_ms: answered_ms }
  }
  await sync()
  return { now: () => new Date(counted_ms(monotonic()) ?? 0), sync }
}

/** How far a process's time may run ahead of the database's before it is set back. */
const maxSkew_ms = 1_000
