import type { Claimed } from './claim.ts'
import type { AttemptRow, JobRow, ShardRow } from '../plan.ts'
import { costMicros } from '../cost.ts'
import type { Database } from './schema.ts'

/** What the database knows of one shard, for decide. */
export interface Facts {
  claimed: Claimed
  job: JobRow
  shard: ShardRow
  attempts: { row: AttemptRow; heard_at: Date | null; progressed: boolean }[]
  spent_micros: number
}

/** Loads the facts of claimed shards, in their order, in a fixed number of statements. */
export async function loadFacts(db: Database, claimed: readonly Claimed[], now: Date): Promise<Facts[]> {
  if (claimed.length === 0) return []
  const ids = claimed.map(({ shard_id }) => shard_id)
  // Shards first: a report that comes after this read raises facts_version, and the commit is refused.
  const found = await db.selectFrom('shards').selectAll().where('id', 'in', ids).execute()
  const places = new Map(ids.map((id, place) => [id, place]))
  const shards = found.toSorted((a, b) => (places.get(a.id) ?? 0) - (places.get(b.id) ?? 0))
  const job_ids = [...new Set(shards.map(({ job_id }) => job_id))]
  const jobs = new Map(
    (await db.selectFrom('jobs').selectAll().where('id', 'in', job_ids).execute()).map((job) => [
      job.id,
      job,
    ]),
  )
  const open = await db
    .selectFrom('attempts')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .selectAll('attempts')
    .select(['heartbeats.at as heard_at', 'heartbeats.progress'])
    .where('shard_id', 'in', ids)
    .where('state', '<>', 'ended')
    .orderBy('number')
    .execute()
  const spent = await spentMicros(db, job_ids, now)
  const attempts_of = Map.groupBy(open, ({ shard_id }) => shard_id)
  return shards.flatMap((shard) => {
    const job = jobs.get(shard.job_id)
    const mine = claimed[places.get(shard.id) ?? -1]
    if (!job || !mine) return []
    const attempts = (attempts_of.get(shard.id) ?? []).map(({ heard_at, progress, ...row }) => ({
      row,
      heard_at,
      progressed: (progress ?? 0) > 0,
    }))
    return [{ claimed: mine, job, shard, attempts, spent_micros: spent.get(job.id) ?? 0 }]
  })
}

/** Micro-dollars by job up to now: what was settled and what is running. */
export async function spentMicros(
  db: Database,
  job_ids: readonly string[],
  now: Date,
): Promise<Map<string, number>> {
  const spent = new Map<string, number>()
  if (job_ids.length === 0) return spent
  const rows = await db
    .selectFrom('attempts')
    .select(['job_id', 'usd_micros_per_hour', 'min_billing_s', 'launched_at', 'ended_at'])
    .where('job_id', 'in', [...job_ids])
    .where('launched_at', 'is not', null)
    .execute()
  for (const { job_id, launched_at, ended_at, ...price } of rows) {
    const micros = costMicros({ ...price, billed_from: launched_at, billed_to: ended_at }, now)
    spent.set(job_id, (spent.get(job_id) ?? 0) + micros)
  }
  return spent
}

/** Attempts that have not ended. */
export async function countOpen(db: Database): Promise<number> {
  const { count } = await db
    .selectFrom('attempts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '<>', 'ended')
    .executeTakeFirstOrThrow()
  return Number(count)
}
