// Messages that have ended are kept for a while, to be looked at and sent again; then they go.
import { sql } from 'kysely'
import type { Database } from './schema.ts'

const kept_ms = 30 * 86_400_000
/** Messages of one statement, and statements of one round; the next takes the rest. */
const pruneBatch = 1_000
const maxBatches = 50

/** Removes old messages, and receivers and deleted webhooks that none is left of. */
export async function pruneMessages(db: Database, now: Date): Promise<void> {
  const before = new Date(now.getTime() - kept_ms)
  for (let batch = 0; batch < maxBatches; batch++) {
    const { numAffectedRows = 0n } = await sql`
      with old as materialized (
        select id from deliveries where ended_at < ${before} order by ended_at limit ${pruneBatch}
        for update skip locked),
      attempts as (delete from delivery_attempts using old where delivery_id = old.id)
      delete from deliveries using old where deliveries.id = old.id`.execute(db)
    if (numAffectedRows < pruneBatch) break
  }
  await sql`
    delete from receivers where webhook_id is null and due_at is null and updated_at < ${before}`.execute(db)
  const { rows } = await sql<{ id: string }>`
    select id from webhooks where deleted_at < ${before}
      and not exists (select from deliveries where webhook_id = webhooks.id) limit ${pruneBatch}`.execute(db)
  const gone = rows.map(({ id }) => id)
  if (gone.length === 0) return
  await sql`delete from receivers where id = any(${gone}::text[])`.execute(db)
  await sql`delete from webhooks where id = any(${gone}::text[])`.execute(db)
}
