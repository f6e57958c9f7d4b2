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
  const [rows, newest] = await Promise.all([
    briefJobs(deps.db, project_id, ids),
    newestAttempts(deps.db, ids, viewedAttempts.brief + 1),
  ])
  const jobs = new Map(rows.map((row) => [row.id, row]))
  const found = ids.flatMap((id) => jobs.get(id) ?? [])
  return view(deps, found, newest, true)
}

/** One job, with its newest attempts and what all of them cost. */
export async function viewJob(deps: Deps, job: ViewedJob): Promise<JobView | undefined> {
  const [whole] = await view(
    deps,
    [job],
    await newestAttempts(deps.db, [job.id], viewedAttempts.whole + 1),
    false,
  )
  return whole
}

/** A job that has just been stored, as it was then: nothing has been launched. */
export function viewNewJob(deps: Deps, job: ViewedJob, how: 'brief' | 'whole'): JobView {
  const facts = { attempts: [], heartbeats: [], spent_micros: 0, settled: true }
  const { clock, settings } = deps
  return jobView(job, facts, {
    now: clock.now(),
    public_url: settings.public_url(),
    brief: how === 'brief',
  })
}

async function briefJobs(db: Database, project_id: string, ids: readonly string[]): Promise<ViewedJob[]> {
  return db
    .selectFrom('jobs')
    .select(viewedColumns)
    .select(
      // How much room it takes is known without reading it, and what takes little is not long.
      sql<unknown>`case when pg_column_size(result) <= ${briefResult_bytes}
        and octet_length(result::text) <= ${briefResult_bytes} then result end`.as('result'),
    )
    .where('project_id', '=', project_id)
    .where(oneOf('id', ids))
    .where('deleted_at', 'is', null)
    .execute()
}

/** The jobs in their order; `newest`: one attempt more than is shown of each. */
async function view(
  deps: Deps,
  jobs: readonly ViewedJob[],
  newest: readonly ViewedAttempt[],
  brief: boolean,
): Promise<JobView[]> {
  const now = deps.clock.now()
  const shown = viewedAttempts[brief ? 'brief' : 'whole']
  const few = byJob(newest)
  // Most jobs have few attempts: what those cost is known already.
  const many = jobs.map(({ id }) => id).filter((id) => (few.get(id)?.length ?? 0) > shown)
  const all = byJob(await pricedAttempts(deps.db, many))
  const open = jobs.filter(({ id, state }) => !isTerminal(state) && few.has(id)).map(({ id }) => id)
  const heartbeats = byJob(await heartbeatsOf(deps.db, open))
  return jobs.map((job) => {
    const attempts = few.get(job.id) ?? []
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

/** One parameter, however many ids. */
const oneOf = (column: string, ids: readonly string[]) =>
  sql<boolean>`${sql.ref(column)} = any(${[...ids]}::text[])`

const byJob = <Row extends { job_id: string }>(rows: readonly Row[]) =>
  Map.groupBy(rows, ({ job_id }) => job_id)

const attemptColumns = sql.raw(viewedAttemptColumns.join(', '))

/** So many of each job, newest first. */
async function newestAttempts(db: Database, ids: readonly string[], limit: number): Promise<ViewedAttempt[]> {
  if (ids.length === 0) return []
  const { rows } = await sql<ViewedAttempt>`${sql.raw(`/* newest attempts ${limit} */`)}
    select newest.* from unnest((select ${[...ids]}::text[])) as job(id) cross join lateral (
      select ${attemptColumns} from attempts where job_id = job.id order by id desc limit ${sql.lit(limit)}) as newest`.execute(
    db,
  )
  return rows
}

async function pricedAttempts(db: Database, ids: readonly string[]) {
  if (ids.length === 0) return []
  return db
    .selectFrom('attempts')
    .select([
      'job_id',
      'usd_micros_per_hour',
      'min_billing_s',
      'launched_at',
      'first_called_at',
      'ended_at',
      'state',
    ])
    .where(oneOf('job_id', ids))
    .execute()
}

/** The last word of each attempt without an outcome. */
async function heartbeatsOf(db: Database, ids: readonly string[]) {
  if (ids.length === 0) return []
  return db
    .selectFrom('attempts')
    .innerJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(['attempts.job_id', 'attempts.shard_index', 'heartbeats.progress', 'heartbeats.phase'])
    .where(oneOf('attempts.job_id', ids))
    .where('attempts.outcome', 'is', null)
    .execute()
}
