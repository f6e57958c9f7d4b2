// The bound of the queue. Counting a long queue takes a while, so a process counts it once in some seconds and adds
// what it lets in itself; only where that says that the queue is full is it counted anew.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Database } from './store/schema.ts'

/** What others let in meanwhile may come on top of the bound. A million waiting shards are counted in 0.1 s. */
const recount_ms = 5_000
const retryAfter_s = 30

export interface Admission {
  /** Whether so many shards find room; where not, by a count of this moment. */
  hasRoom: (db: Database, shards: number) => Promise<boolean>
  /** Lets in so many shards more, or throws AppError queue_full. What is then not stored is left out by the next count. */
  admit: (shards: number) => void
}

export function createAdmission({ clock, settings }: Pick<Deps, 'clock' | 'settings'>): Admission {
  let waiting = 0
  let counted_ms = Number.NEGATIVE_INFINITY
  return {
    async hasRoom(db, shards) {
      const most = settings.max_queued
      const now_ms = clock.now().getTime()
      if (now_ms - counted_ms >= recount_ms || waiting + shards > most) {
        waiting = await countWaiting(db, most)
        counted_ms = now_ms
      }
      return waiting + shards <= most
    },
    admit(shards) {
      const most = settings.max_queued
      if (waiting + shards > most)
        throw new AppError('queue_full', refusal(most, shards), {
          headers: { 'Retry-After': String(retryAfter_s) },
        })
      waiting += shards
    },
  }
}

const refusal = (most: number, shards: number) =>
  shards === 1
    ? `${most} jobs are waiting already: try again later.`
    : `The queue has no room for ${shards} more: at most ${most} may wait. Try again later.`

/** By the indexes of the queue and of what is due, where what waits until a time stands: of all shards most have ended. */
async function countWaiting(db: Database, most: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from (
      (select 1 from shards where state = 'waiting' and not_before is null limit ${most})
      union all
      (select 1 from shards where state = 'waiting' and not_before is not null and due_at is not null limit ${most})
    ) as waiting`.execute(db)
  return rows[0]?.count ?? 0
}
