// Rows to what clients see, for one job or a page of them: what is not shown is not read.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { isTerminal } from './state.ts'
import type { Database } from './store/schema.ts'
import {
  attemptCost,
  briefResult_bytes,
  type JobView,
  jobView,
  viewedAttemptColumns,
  type ViewedAttempt,
  viewedAttempts,
  viewedColumns,
  type ViewedJob,
} from './view.ts'

/** Jobs of a project as lists show them, in the order of the ids; those that are not there are left out. */
export async function viewPage(deps: Deps, project_id: string, ids: readonly string[]): Promise<JobView[]> {
  if (ids.length === 0) return []
  const rows = await deps.db
    .selectFrom('jobs')
    .select(viewedColumns)
    .select(
      // How much room it takes is known without reading it, and what takes little is not long.
      sql<unknown>`case when pg_column_size(result) <= ${briefResult_bytes}
        and octet_length(result::text) <= ${briefResult_bytes} then result end`.as('result'),
    )
    .where('project_id', '=', project_id)
    .where('id', 'in', [...ids])
    .where('deleted_at', 'is', null)
    .execute()
  const jobs = new Map(rows.map((row) => [row.id, row]))
  return viewJobs(
    deps,
    ids.flatMap((id) => jobs.get(id) ?? []),
    true,
  )
}

/** The jobs in their order, with their newest attempts and what all of them cost. */
export async function viewJobs(deps: Deps, jobs: readonly ViewedJob[], brief: boolean): Promise<JobView[]> {
  const now = deps.clock.now()
  const ids = jobs.map(({ id }) => id)
  const shown = viewedAttempts[brief ? 'brief' : 'whole']
  const newest = byJob(await newestAttempts(deps.db, ids, shown + 1))
  // Most jobs have few attempts: what those cost is known already.
  const many = ids.filter((id) => (newest.get(id)?.length ?? 0) > shown)
  const all = byJob(await pricedAttempts(deps.db, many))
  const open = jobs.filter(({ state }) => !isTerminal(state)).map(({ id }) => id)
  const heartbeats = byJob(await heartbeatsOf(deps.db, open))
  return jobs.map((job) => {
    const attempts = newest.get(job.id) ?? []
    const priced = all.get(job.id) ?? attempts
    return jobView(
      job,
      {
        attempts: attempts.slice(0, shown),
        heartbeats: heartbeats.get(job.id) ?? [],
        spent_micros: priced.reduce((sum, row) => sum + attemptCost(row, now), 0),
        settled: priced.every(({ state }) => state === 'ended'),
      },
      { now, public_url: deps.settings.public_url(), brief },
    )
  })
}

const byJob = <Row extends { job_id: string }>(rows: readonly Row[]) =>
  Map.groupBy(rows, ({ job_id }) => job_id)

/** So many of each job, newest first. */
async function newestAttempts(db: Database, ids: readonly string[], limit: number): Promise<ViewedAttempt[]> {
  if (ids.length === 0) return []
  const columns = sql.join(viewedAttemptColumns.map((name) => sql.ref(name)))
  const { rows } = await sql<ViewedAttempt>`
    select newest.* from unnest(${[...ids]}::text[]) as job(id) cross join lateral (
      select ${columns} from attempts where job_id = job.id order by id desc limit ${limit}) as newest`.execute(
    db,
  )
  return rows
}

async function pricedAttempts(db: Database, ids: readonly string[]) {
  if (ids.length === 0) return []
  return db
    .selectFrom('attempts')
    .select(['job_id', 'usd_micros_per_hour', 'min_billing_s', 'launched_at', 'ended_at', 'state'])
    .where('job_id', 'in', [...ids])
    .execute()
}

/** The last word of each attempt without an outcome. */
async function heartbeatsOf(db: Database, ids: readonly string[]) {
  if (ids.length === 0) return []
  return db
    .selectFrom('attempts')
    .innerJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(['attempts.job_id', 'attempts.shard_index', 'heartbeats.progress', 'heartbeats.phase'])
    .where('attempts.job_id', 'in', [...ids])
    .where('attempts.outcome', 'is', null)
    .execute()
}
