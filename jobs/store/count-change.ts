import { sql } from 'kysely'
import type { Database } from './schema.ts'

/**
 * Counts a change that may give a waiting shard a place, or a place a shard. A sequence, so that nobody waits for
 * anybody; it runs ahead of the transaction that counts. What makes events is counted by them.
 */
export async function countChange(db: Database): Promise<void> {
  await sql`select nextval('queue_changes')`.execute(db)
}

/** How many changes have been counted; the sequence has a value before the first, too. */
export const countedChanges = sql<number>`(select last_value + is_called::int from queue_changes)`
