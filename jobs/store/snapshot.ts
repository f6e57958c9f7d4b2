import type { Claimed } from './claim.ts'
import { isWhole } from '../cache.ts'
import type { AttemptRow, JobRow, Leader, ShardRow } from '../plan.ts'
import { type Money, noMoney } from '../shards.ts'
import { stopGrace_s } from '../bounds.ts'
import { costMicros } from '../cost.ts'
import type { Database } from './schema.ts'

/** What the database knows of one shard, for decide. */
export interface Facts {
  claimed: Claimed
  job: JobRow
  shard: ShardRow
  attempts: { row: AttemptRow; heard_at: Date | null; progressed: boolean }[]
  money: Money
  leader: Leader | null
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
  const money = await moneyOf(db, job_ids, now)
  const leaders = await leadersOf(db, [...jobs.values()])
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
    return [
      {
        claimed: mine,
        job,
        shard,
        attempts,
        money: money.get(job.id) ?? noMoney,
        leader: leaders.get(job.follows ?? '') ?? null,
      },
    ]
  })
}

/** The jobs that others follow, with what they have come to. */
async function leadersOf(db: Database, jobs: readonly JobRow[]): Promise<Map<string, Leader>> {
  const ids = [...new Set(jobs.flatMap(({ follows }) => follows ?? []))]
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('jobs')
    .select(['id', 'state', 'outcome', 'shards_failed', 'result', 'cached_from'])
    .where('id', 'in', ids)
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
      'ended_at',
      'outcome',
      'timeout_s',
    ])
    .where('job_id', 'in', [...job_ids])
    .execute()
  for (const { job_id, launched_at, ended_at, outcome, timeout_s, ...price } of rows) {
    const micros = costMicros({ ...price, billed_from: launched_at, billed_to: ended_at }, now)
    const most_s = outcome === null ? timeout_s + stopGrace_s : 0
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
    .where('state', '<>', 'ended')
    .executeTakeFirstOrThrow()
  return Number(count)
}
