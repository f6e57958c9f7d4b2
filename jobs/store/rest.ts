// What a look at most shards comes to: nothing. It is written for many at once.
import { sql } from 'kysely'
import type { Claimed } from './claim.ts'
import type { Database } from './schema.ts'

export interface Rest {
  claimed: Claimed
  /** The version decided on. */
  facts_version: number
  due_at: Date | null
}

/**
 * Leaves shards as they are until they are due again, and gives their leases back: each under the guards of
 * commitDecisions. Answers with the ids of those that it wrote; the others have a new fact, or are about to.
 */
export async function commitRest(db: Database, rests: readonly Rest[]): Promise<Set<string>> {
  if (rests.length === 0) return new Set()
  const ids = rests.map(({ claimed }) => claimed.shard_id)
  const tokens = rests.map(({ claimed }) => claimed.lease.token)
  const versions = rests.map(({ facts_version }) => facts_version)
  const times = rests.map(({ due_at }) => due_at?.toISOString() ?? null)
  // Whoever has one of them locked is about to write a fact; waiting for several locks could end in a deadlock.
  const { rows } = await sql<{ id: string }>`/* rest shards */
    with resting as (
      select shards.id, due from shards
      join unnest(${ids}::text[], ${tokens}::text[], ${versions}::bigint[], ${times}::text[])
        as rest(id, token, version, due)
        on shards.id = rest.id and lease_token = rest.token and facts_version = rest.version
      for update of shards skip locked)
    update shards set due_at = resting.due::timestamptz,
      lease_replica = null, lease_token = null, leased_until = null
    from resting where shards.id = resting.id returning shards.id`.execute(db)
  return new Set(rows.map(({ id }) => id))
}
