import type { Claimed } from './claim.ts'
import { isWhole } from '../cache.ts'
import type { AttemptRow, JobRow, Leader, ShardRow } from '../plan.ts'
import { type Money, noMoney, shardSpec } from '../shards.ts'
import { stopGrace_s } from '../bounds.ts'
import { billedFrom, costMicros } from '../cost.ts'
import { signatureOf } from '../kinds/kind.ts'
import type { Database } from './schema.ts'
import { sql } from 'kysely'

/** What the database knows of one shard, for decide. */
export interface Facts {
  claimed: Claimed
  job: JobRow
  shard: ShardRow
  attempts: { row: AttemptRow; heard_at: Date | null; progressed: boolean }[]
  /** Of the job, where its spec bounds that; else none. */
  money: Money
  leader: Leader | null
  /** Equal for work whose durations foretell each other. */
  signature: string
}

/** Loads the facts of claimed shards, in their order, in a fixed number of statements. */
export async function loadFacts(db: Database, claimed: readonly Claimed[], now: Date): Promise<Facts[]> {
  if (claimed.length === 0) return []
  const ids = claimed.map(({ shard_id }) => shard_id)
  // Shards first: a report that comes after this read raises facts_version, and the commit is refused.
  const found = await db
    .selectFrom('shards')
    .selectAll()
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  const places = new Map(ids.map((id, place) => [id, place]))
  const shards = found.toSorted((a, b) => (places.get(a.id) ?? 0) - (places.get(b.id) ?? 0))
  const job_ids = [...new Set(shards.map(({ job_id }) => job_id))]
  const jobs = await db
    .selectFrom('jobs')
    .selectAll()
    .where(sql<boolean>`id = any(${job_ids}::text[])`)
    .execute()
  const job_of = new Map(jobs.map((job) => [job.id, job]))
  const attempts_of = await openAttempts(db, shards)
  // A job that has told nothing since it was queued has cost nothing.
  const costing = jobs.filter(
    ({ spec, event_sequence }) => spec.budget_usd !== undefined && event_sequence > 1,
  )
  const money = await moneyOf(
    db,
    costing.map(({ id }) => id),
    now,
  )
  const leaders = await leadersOf(db, jobs)
  return shards.flatMap((shard) => {
    const job = job_of.get(shard.job_id)
    const mine = claimed[places.get(shard.id) ?? -1]
    if (!job || !mine) return []
    return [
      {
        claimed: mine,
        job,
        shard,
        attempts: attempts_of.get(shard.id) ?? [],
        money: money.get(job.id) ?? noMoney,
        leader: leaders.get(job.follows ?? '') ?? null,
        signature: signatureOf(shardSpec(job, shard.role), { role: shard.role, of: job.shards_total }),
      },
    ]
  })
}

/** Attempts that have not ended, by shard, oldest first. */
async function openAttempts(
  db: Database,
  shards: readonly ShardRow[],
): Promise<Map<string, Facts['attempts']>> {
  const ids = shards.filter(({ attempts }) => attempts > 0).map(({ id }) => id)
  if (ids.length === 0) return new Map()
  const open = await db
    .selectFrom('attempts')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .selectAll('attempts')
    .select(['heartbeats.at as heard_at', 'heartbeats.progress'])
    .where(sql<boolean>`shard_id = any(${ids}::text[])`)
    .where('ended_at', 'is', null)
    .orderBy('number')
    .execute()
  const views = open.map(({ heard_at, progress, ...row }) => ({
    row,
    heard_at,
    progressed: (progress ?? 0) > 0,
  }))
  return Map.groupBy(views, ({ row }) => row.shard_id)
}

/** The jobs that others follow, with what they have come to. */
async function leadersOf(db: Database, jobs: readonly JobRow[]): Promise<Map<string, Leader>> {
  const ids = [...new Set(jobs.flatMap(({ follows }) => follows ?? []))]
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('jobs')
    .select(['id', 'state', 'outcome', 'shards_failed', 'result', 'cached_from'])
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Map(
    rows.map(({ id, result, cached_from, ...end }) => [
      id,
      { id: cached_from ?? id, done: isWhole(end), result },
    ]),
  )
}

/** What jobs have cost up to now, and what their open attempts may still cost. */
export async function moneyOf(
  db: Database,
  job_ids: readonly string[],
  now: Date,
): Promise<Map<string, Money>> {
  const money = new Map<string, Money>()
  if (job_ids.length === 0) return money
  const rows = await db
    .selectFrom('attempts')
    .select([
      'job_id',
      'usd_micros_per_hour',
      'min_billing_s',
      'launched_at',
      'first_called_at',
      'ended_at',
      'outcome',
      'timeout_s',
      'paid_s',
    ])
    .where(sql<boolean>`job_id = any(${[...job_ids]}::text[])`)
    .execute()
  for (const { job_id, ended_at, outcome, timeout_s, paid_s, ...price } of rows) {
    const micros = costMicros({ ...price, billed_from: billedFrom(price), billed_to: ended_at }, now)
    const most_s = outcome === null ? (paid_s ?? timeout_s) + stopGrace_s : 0
    const most = Math.max(micros, Math.ceil((most_s * price.usd_micros_per_hour) / 3_600))
    const { spent_micros, committed_micros } = money.get(job_id) ?? noMoney
    money.set(job_id, { spent_micros: spent_micros + micros, committed_micros: committed_micros + most })
  }
  return money
}

/** Attempts that have not ended. */
export async function countOpen(db: Database): Promise<number> {
  const { count } = await db
    .selectFrom('attempts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow()
  return Number(count)
}
