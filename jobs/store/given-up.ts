// Messages that are given up without another attempt: they are kept, and can be asked for again.
import { sql } from 'kysely'
import type { Tx } from './schema.ts'

/** Messages of one statement; the next round takes the rest. */
const maxGivenUp = 1_000

/** Gives up what waits for receivers, or of that what was due before a time. */
export async function giveUp(
  tx: Tx,
  receiver_ids: readonly string[],
  { now, due_before }: { now: Date; due_before: Date | null },
): Promise<void> {
  await sql`
    update deliveries set state = 'exhausted', next_attempt_at = null, claimed_until = null, ended_at = ${now}
    where id in (
      select id from deliveries
      where receiver_id = any(${[...receiver_ids]}::text[]) and state = 'pending'
        and next_attempt_at < ${due_before ?? 'infinity'}::timestamptz
        and (claimed_until is null or claimed_until <= ${now})
      limit ${maxGivenUp})`.execute(tx)
}
