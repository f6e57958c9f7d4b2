// The bound of the queue. Counting a long queue takes a while, so a process counts it once in some seconds and adds
// what it lets in itself; only where that says that the queue is full is it counted anew.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Tx } from './store/schema.ts'

/** What other processes let in meanwhile may come on top of the bound. A million waiting shards are counted in 0.1 s. */
const recount_ms = 5_000
const retryAfter_s = 30

/** Lets in so many shards more, or throws AppError queue_full. */
export type Admission = (tx: Tx, shards: number) => Promise<void>

export function createAdmission({ clock, settings }: Pick<Deps, 'clock' | 'settings'>): Admission {
  let waiting = 0
  let counted_ms = Number.NEGATIVE_INFINITY
  return async (tx, shards) => {
    const most = settings.max_queued
    const now_ms = clock.now().getTime()
    if (now_ms - counted_ms >= recount_ms || waiting + shards > most) {
      waiting = await countWaiting(tx, most)
      counted_ms = now_ms
    }
    if (waiting + shards > most)
      throw new AppError('queue_full', refusal(most, shards), {
        headers: { 'Retry-After': String(retryAfter_s) },
      })
    waiting += shards
  }
}

const refusal = (most: number, shards: number) =>
  shards === 1
    ? `${most} jobs are waiting already: try again later.`
    : `The queue has no room for ${shards} more: at most ${most} may wait. Try again later.`

async function countWaiting(tx: Tx, most: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from
      (select 1 from shards where state = 'waiting' limit ${most}) as waiting`.execute(tx)
  return rows[0]?.count ?? 0
}
