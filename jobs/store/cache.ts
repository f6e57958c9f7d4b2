// Results that are given again: found at submit, kept at the end of the job that made them, followed while it works.
// Who submits locks the leading job, as the commit of its end does, so that no follower misses it.
import { sql } from 'kysely'
import { isWhole, keysOfResult } from '../cache.ts'
import type { JobRow } from '../plan.ts'
import type { Database, Tx } from './schema.ts'

/** Locks that submits of equal jobs take, so that one of them leads: in all, for a batch takes many at once. */
const slots = 256

/** What there is for a key already. */
export type Earlier =
  | { has: 'result'; job_id: string; result: unknown; device_class: JobRow['device_class'] }
  | { has: 'leader'; job_id: string }

/** For each key that has one, a result or a job that is at work on it, locked. A key holds its project. */
export async function findEarlier(
  tx: Tx,
  asked: readonly { project_id: string; key: string }[],
  since: Date,
  now: Date,
): Promise<Map<string, Earlier>> {
  const found = new Map<string, Earlier>()
  if (asked.length === 0) return found
  const keys = asked.map(({ key }) => key)
  const of_projects = sql`unnest(${asked.map(({ project_id }) => project_id)}::text[], ${keys}::text[])`
  await sql`
    select pg_advisory_xact_lock(2, slot) from (
      select distinct (hashtext(key) & ${slots - 1}) as slot from unnest(${keys}::text[]) as key order by slot
    ) as taken`.execute(tx)
  const { rows: leaders } = await sql<{ id: string; cache_key: string | null }>`
    select id, cache_key from jobs
    where (project_id, cache_key) in (select * from ${of_projects})
      and follows is null and finished_at is null and order_kind is null
    order by id for no key update`.execute(tx)
  for (const { id, cache_key } of leaders)
    if (cache_key !== null && !found.has(cache_key)) found.set(cache_key, { has: 'leader', job_id: id })
  // After the lock: a leader that has ended meanwhile has left its result here.
  const { rows: results } = await sql<Result>`
    update result_cache set used_at = ${now} from jobs
    where jobs.id = result_cache.job_id and (result_cache.project_id, key) in (select * from ${of_projects})
      and result_cache.created_at > ${since}
    returning key, job_id, jobs.result, jobs.device_class`.execute(tx)
  for (const { key, ...row } of results) found.set(key, { has: 'result', ...row })
  return found
}

interface Result {
  key: string
  job_id: string
  result: unknown
  device_class: JobRow['device_class']
}

/** A leading job stands in the queue where the most urgent of its followers would. */
export async function lendPriority(
  tx: Tx,
  leads: readonly { leader: string; queue_key: Date }[],
): Promise<void> {
  if (leads.length === 0) return
  await sql`
    update shards set queue_key = lead.key
    from (select job_id, min(key::timestamptz) as key
      from unnest(${leads.map(({ leader }) => leader)}::text[],
        ${leads.map(({ queue_key }) => queue_key.toISOString())}::text[]) as given(job_id, key) group by job_id) as lead
    where shards.job_id = lead.job_id and state = 'waiting' and queue_key > lead.key`.execute(tx)
}

type Ended = Pick<
  JobRow,
  'id' | 'project_id' | 'state' | 'outcome' | 'shards_failed' | 'cache_key' | 'cached_from' | 'device_class'
>

/** What follows from the end of a locked job for its result and for its followers, in the same transaction. */
export async function passOn(tx: Tx, job: Ended, now: Date): Promise<void> {
  if (job.cache_key === null) return
  if (!isWhole(job)) return promote(tx, job.id, now)
  if (job.cached_from === null) await remember(tx, job, now)
  await sql`
    update shards set due_at = ${now}, facts_version = facts_version + 1
    from jobs where jobs.follows = ${job.id} and jobs.finished_at is null
      and shards.job_id = jobs.id and shards.state = 'waiting'`.execute(tx)
}

async function remember(tx: Tx, job: Ended, now: Date): Promise<void> {
  const values = { job_id: job.id, created_at: now, used_at: now }
  await tx
    .insertInto('result_cache')
    .values(keysOfResult(job).map((key) => ({ project_id: job.project_id, key, ...values })))
    .onConflict((conflict) => conflict.columns(['project_id', 'key']).doUpdateSet(values))
    .execute()
}

/** The first follower leads the others. */
async function promote(tx: Tx, job_id: string, now: Date): Promise<void> {
  const first = await tx
    .selectFrom('jobs')
    .select('id')
    .where('follows', '=', job_id)
    .where('finished_at', 'is', null)
    .where('order_kind', 'is', null)
    .orderBy('id')
    .limit(1)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!first) return
  await sql`
    update jobs set follows = case when id = ${first.id} then null else ${first.id} end
    where follows = ${job_id} and finished_at is null and (order_kind is null or id = ${first.id})`.execute(
    tx,
  )
  await tx
    .updateTable('shards')
    .set({ wait_reason: null, not_before: null, due_at: now, facts_version: sql`facts_version + 1` })
    .where('job_id', '=', first.id)
    .where('state', '=', 'waiting')
    .execute()
}

/** Rows that one round removes: a fraction of a second. */
const pruned = 1_000

/** Forgets results that are too old, and of too many those that were used longest ago; answers how many. */
export async function pruneCache(
  db: Database,
  bounds: { since: Date; max_entries: number },
): Promise<number> {
  const { rows } = await sql`
    delete from result_cache where (project_id, key) in (
      (select project_id, key from result_cache where created_at <= ${bounds.since} limit ${pruned})
      union all
      (select project_id, key from result_cache order by used_at desc offset ${bounds.max_entries} limit ${pruned}))
    returning key`.execute(db)
  return rows.length
}
