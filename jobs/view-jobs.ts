// Rows to what clients see, for one job or a page of them: what is not shown is not read.
import { type RawBuilder, sql } from 'kysely'
import type { Deps } from './deps.ts'
import { isTerminal } from './state.ts'
import { keyOf, pairs, readTogether } from './together.ts'
import { findQuery, type JobFilter, type Page } from './store/find.ts'
import type { Database } from './store/schema.ts'
import {
  attemptCost,
  briefResult_bytes,
  type HeartbeatView,
  type JobView,
  jobView,
  viewedAttemptColumns,
  type ViewedAttempt,
  viewedAttempts,
  viewedColumns,
  type ViewedJob,
} from './view.ts'

/** Jobs of a project as lists show them, in the order of the ids; those that are not there are left out. */
export async function viewJobs(deps: Deps, project_id: string, ids: readonly string[]): Promise<JobView[]> {
  if (ids.length === 0) return []
  const rows = new Map((await briefJobs(deps, { project_id, ids })).map((row) => [row.id, row]))
  return viewBrief(
    deps,
    ids.flatMap((id) => rows.get(id) ?? []),
  )
}

/** Jobs of a filter, newest first. */
export const viewPage = async (deps: Deps, asked: AskedPage): Promise<JobView[]> =>
  viewBrief(deps, await briefPage(deps, asked))

const viewBrief = async (deps: Deps, jobs: readonly ViewedJob[]) =>
  view(deps, jobs, await newestOf(newestOfPage, deps, jobs), true)

/** One job, with its newest attempts and what all of them cost. */
export async function viewJob(deps: Deps, job: ViewedJob): Promise<JobView | undefined> {
  const [whole] = await view(deps, [job], await newestOf(newestOfJob, deps, [job]), false)
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

const idsOf = ({ ids }: { ids: readonly string[] }) => ids.length

const briefColumns = sql.raw(viewedColumns.map((column) => `jobs.${column}`).join(', '))

/** What lists show of a job. How much room a result takes is known without reading it, and what takes little is not long. */
const brief = (project_id: RawBuilder<unknown>, id: RawBuilder<unknown>) => sql`
  select jobs.project_id, ${briefColumns},
    case when pg_column_size(result) <= ${sql.lit(briefResult_bytes)}
      and octet_length(result::text) <= ${sql.lit(briefResult_bytes)} then result end as result
  from jobs where jobs.id = ${id} and jobs.project_id = ${project_id} and deleted_at is null limit 1`

const briefJobs = readTogether<{ project_id: string; ids: readonly string[] }, ViewedJob[]>(
  async (db, asked) => {
    const pages = asked.flatMap(({ project_id, ids }) => ids.map((id) => ({ project_id, id })))
    const { projects, ids } = pairs(pages)
    const { rows } = await sql<ViewedJob & { project_id: string }>`/* brief jobs */
      select found.* from unnest((select ${projects}::text[]), (select ${ids}::text[])) as asked(project_id, id)
      cross join lateral (${brief(sql`asked.project_id`, sql`asked.id`)}) as found`.execute(db)
    const found = new Map(rows.map((row) => [keyOf(row), row]))
    return asked.map(({ project_id, ids: wanted }) =>
      wanted.flatMap((id) => found.get(keyOf({ project_id, id })) ?? []),
    )
  },
  idsOf,
)

export interface AskedPage {
  project_id: string
  filter: JobFilter
  page: Page
}

/** Many look at the same page at once: it is read once for all of them. */
const briefPage = readTogether<AskedPage, ViewedJob[]>(
  async (db, asked) => {
    const read = async ({ project_id, filter, page }: AskedPage) => {
      const { name, query } = findQuery(project_id, filter, page)
      const { rows } = await sql<ViewedJob>`${name === null ? sql`` : sql.raw(`/* ${name} */`)}
        select found.* from (${query}) as page
        cross join lateral (${brief(sql`${project_id}`, sql`page.id`)}) as found order by found.id desc`.execute(
        db,
      )
      return rows
    }
    const pages = new Map(asked.map((each) => [JSON.stringify(each), each]))
    const found = new Map(
      await Promise.all([...pages].map(async ([key, each]) => [key, await read(each)] as const)),
    )
    return asked.map((each) => found.get(JSON.stringify(each)) ?? [])
  },
  ({ page }) => page.limit,
)

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
  const heartbeats = byJob(open.length === 0 ? [] : await heartbeatsOf(deps, open))
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
const newest = (limit: number) =>
  readTogether<readonly string[], ViewedAttempt[]>(
    async (db, asked) => {
      const { rows } = await sql<ViewedAttempt>`${sql.raw(`/* newest attempts ${limit} */`)}
        select newest.* from unnest((select ${[...new Set(asked.flat())]}::text[])) as job(id) cross join lateral (
          select ${attemptColumns} from attempts where job_id = job.id order by id desc limit ${sql.lit(limit)}) as newest`.execute(
        db,
      )
      return ofEach(asked, rows)
    },
    (ids) => ids.length,
  )
// One more than is shown tells whether there are more.
const newestOfPage = newest(viewedAttempts.brief + 1)
const newestOfJob = newest(viewedAttempts.whole + 1)

/** Of a job that was never placed there are none. */
async function newestOf(read: typeof newestOfPage, deps: Deps, jobs: readonly ViewedJob[]) {
  const placed = jobs.filter(({ providers }) => providers.length > 0).map(({ id }) => id)
  return placed.length === 0 ? [] : read(deps, placed)
}

/** Of each call the rows of its jobs. */
function ofEach<Row extends { job_id: string }>(
  asked: readonly (readonly string[])[],
  rows: readonly Row[],
): Row[][] {
  const found = byJob(rows)
  return asked.map((ids) => ids.flatMap((id) => found.get(id) ?? []))
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
const heartbeatsOf = readTogether<readonly string[], (HeartbeatView & { job_id: string })[]>(
  async (db, asked) => {
    const ids = [...new Set(asked.flat())]
    const rows = await db
      .selectFrom('attempts')
      .innerJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
      .modifyFront(sql`/* last words */`)
      .select(['attempts.job_id', 'attempts.shard_index', 'heartbeats.progress', 'heartbeats.phase'])
      .where(sql<boolean>`attempts.job_id = any((select ${ids}::text[])::text[])`)
      .where('attempts.outcome', 'is', null)
      .execute()
    return ofEach(asked, rows)
  },
  (ids) => ids.length,
)
