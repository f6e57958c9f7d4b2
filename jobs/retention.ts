// What is left of deleted jobs goes a week later, unless something still refers to it.
import { sql } from 'kysely'
import { unnamed } from './artifacts.ts'
import { prunePeople } from './prune-people.ts'
import { dropParts } from './uploads.ts'
import type { Deps } from './deps.ts'
import { pruneCache } from './store/cache.ts'
import { raiseFloors } from './store/events.ts'
import { pruneOffers } from './store/offers.ts'
import { pruneMessages } from './store/prune-messages.ts'
import type { Tx } from './store/schema.ts'

/** Time to change one's mind, by asking the operator. */
const kept_ms = 7 * 86_400_000
/** A submit that found a dataset before it was deleted has been stored by then: it waits for its group, and is tried again, for a minute or two. */
const accepting_ms = 600_000
/** Jobs of one round; the rest waits for the next. */
const purgeBatch = 100

/** Forgets old results and messages, and removes artifacts, points and logs of jobs that were deleted a week ago. */
export async function sweepRetention(deps: Deps): Promise<void> {
  const now = deps.clock.now()
  const { cache_ttl_s, cache_max_entries } = deps.settings
  const since = new Date(now.getTime() - cache_ttl_s * 1_000)
  await pruneCache(deps.db, { since, max_entries: cache_max_entries })
  const before = new Date(now.getTime() - kept_ms)
  const jobs = await deps.db
    .selectFrom('jobs')
    .select('id')
    .where('deleted_at', '<', before)
    .where('purged_at', 'is', null)
    .where(isUnused)
    .orderBy('deleted_at')
    .limit(purgeBatch)
    .execute()
  for (const { id } of jobs) {
    const objects = await deps.db.transaction().execute((tx) => purgeJob(tx, id, now))
    // After the commit: an object without a name costs space, a name without an object a result.
    for (const key of objects) await deps.store.delete(key)
  }
  await purgeDatasets(deps, now)
  await pruneOffers(deps.db, new Date(now.getTime() - deps.settings.keep_days * 86_400_000), now)
  await pruneMessages(deps.db, now)
  await prunePeople(deps.db, now)
}

/** Removes the bytes of deleted datasets that nothing reads any more, and of uploads that nobody goes on with. */
async function purgeDatasets(deps: Deps, now: Date): Promise<void> {
  const gone = await deps.db.transaction().execute((tx) =>
    tx
      .updateTable('datasets')
      .from('datasets as old')
      .set({ object_key: null })
      .whereRef('old.id', '=', 'datasets.id')
      .where('datasets.id', 'in', (from) =>
        from
          .selectFrom('datasets')
          .select('id')
          .where('deleted_at', '<=', new Date(now.getTime() - accepting_ms))
          .where('object_key', 'is not', null)
          .where(isUnread)
          .orderBy('deleted_at')
          .limit(purgeBatch)
          .forUpdate(),
      )
      .returning('old.object_key')
      .execute(),
  )
  const keys = [...new Set(gone.flatMap(({ object_key }) => object_key ?? []))]
  const named = await deps.db
    .selectFrom('datasets')
    .select('object_key')
    .where(sql<boolean>`object_key = any(${keys}::text[])`)
    .execute()
  const kept = new Set(named.map(({ object_key }) => object_key))
  for (const key of keys) if (!kept.has(key)) await deps.store.delete(key)
  const stale = await deps.db
    .selectFrom('dataset_parts')
    .select('dataset_id')
    .groupBy('dataset_id')
    .having(({ fn }) => fn.max('created_at'), '<', new Date(now.getTime() - kept_ms))
    .limit(purgeBatch)
    .execute()
  for (const { dataset_id } of stale) await dropParts(deps, dataset_id)
}

/** No job that has not ended reads it. */
const isUnread = sql<boolean>`not exists (
  select from jobs where jobs.dataset_id = datasets.id and jobs.finished_at is null)`

/** No job that is there was given its result, and none will be. */
const isUnused = sql<boolean>`
  not exists (select from jobs as given where given.cached_from = jobs.id and given.deleted_at is null)
  and not exists (select from result_cache where result_cache.job_id = jobs.id)
  and not exists (select from jobs as behind where behind.follows = jobs.id and behind.finished_at is null)`

/** Removes the rows of one job; answers the objects that nothing names any more. */
export async function purgeJob(tx: Tx, job_id: string, now: Date): Promise<string[]> {
  const { numUpdatedRows } = await tx
    .updateTable('jobs')
    .set({ purged_at: now })
    .where('id', '=', job_id)
    .where('purged_at', 'is', null)
    .where(isUnused)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return []
  const artifacts = await tx
    .deleteFrom('artifacts')
    .where('job_id', '=', job_id)
    .returning('object_key')
    .execute()
  const checkpoints = await tx
    .updateTable('shards')
    .from('shards as old')
    .set({ checkpoint: null })
    .whereRef('old.id', '=', 'shards.id')
    .where('shards.job_id', '=', job_id)
    .where('shards.checkpoint', 'is not', null)
    .returning('old.checkpoint')
    .execute()
  await tx.deleteFrom('points').where('job_id', '=', job_id).execute()
  await tx
    .deleteFrom('log_chunks')
    .where('attempt_id', 'in', (from) =>
      from.selectFrom('attempts').select('id').where('job_id', '=', job_id),
    )
    .execute()
  await tx
    .deleteFrom('log_sizes')
    .where('attempt_id', 'in', (from) =>
      from.selectFrom('attempts').select('id').where('job_id', '=', job_id),
    )
    .execute()
  const kept = checkpoints.flatMap(({ checkpoint }) => checkpoint?.object_key ?? [])
  return unnamed(tx, [...artifacts.map(({ object_key }) => object_key), ...kept])
}

/**
 * Drops whole months of events and logs that ended before a time: of jobs and attempts that began in them; and of the audit log before
 * another one.
 */
export async function dropOldPartitions(db: Tx, before: Date, audit_before: Date): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    select child.relname as name from pg_inherits
    join pg_class child on child.oid = inhrelid join pg_class parent on parent.oid = inhparent
    where parent.relname in ('events', 'log_chunks', 'audit_log')`.execute(db)
  const old = rows
    .map(({ name }) => name)
    .filter((name) => {
      const month = /^(?:events|log_chunks|audit_log)_(\d{4})_(\d{2})$/.exec(name)
      const end = name.startsWith('audit_log_') ? audit_before : before
      return month !== null && Date.UTC(Number(month[1]), Number(month[2]), 1) <= end.getTime()
    })
  for (const name of old) {
    if (name.startsWith('events_')) await raiseFloors(db, name)
    await sql`drop table ${sql.table(name)}`.execute(db)
  }
  return old
}
