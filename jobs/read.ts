// What the API reads. Every query is bound to a project.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId } from './ids.ts'
import type { JobRow } from './plan.ts'
import type { JobState } from './state.ts'
import { moneyOf } from './store/snapshot.ts'
import { type AttemptView, attemptView, type JobView, type JsonObject, jobView } from './view.ts'

const viewedAttempts = 20

/** One job; throws AppError not_found, also for another project's. */
export async function findJob(deps: Deps, project_id: string, job_id: string): Promise<JobRow> {
  const row = isId('job', job_id)
    ? await deps.db
        .selectFrom('jobs')
        .selectAll()
        .where('project_id', '=', project_id)
        .where('id', '=', job_id)
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
    : undefined
  if (!row) throw new AppError('not_found', `There is no job ${job_id.slice(0, 100)}.`)
  return row
}

export async function readJob(deps: Deps, project_id: string, job_id: string): Promise<JobView> {
  const [view] = await viewJobs(deps, [await findJob(deps, project_id, job_id)], false)
  if (!view) throw new AppError('not_found', `There is no job ${job_id}.`)
  return view
}

/** Several jobs as lists show them, in any order; those that are not there are left out. */
export async function readJobs(deps: Deps, project_id: string, ids: readonly string[]): Promise<JobView[]> {
  if (ids.length === 0) return []
  const rows = await deps.db
    .selectFrom('jobs')
    .selectAll()
    .where('project_id', '=', project_id)
    .where('id', 'in', [...ids])
    .where('deleted_at', 'is', null)
    .execute()
  return viewJobs(deps, rows, true)
}

export interface ListQuery {
  state?: JobState | undefined
  kind?: string | undefined
  /** `name:value` */
  label?: string | undefined
  provider?: string | undefined
  created_after?: string | undefined
  created_before?: string | undefined
  limit: number
  cursor?: string | undefined
}

/** Newest first, by keyset: a cursor is the id of the last job seen. */
export async function listJobs(
  deps: Deps,
  project_id: string,
  query: ListQuery,
): Promise<{ items: JobView[]; next_cursor: string | null }> {
  if (query.cursor !== undefined && !isId('job', query.cursor))
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  let rows = deps.db
    .selectFrom('jobs')
    .selectAll()
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is', null)
  if (query.state) rows = rows.where('state', '=', query.state)
  if (query.kind) rows = rows.where('kind', '=', query.kind)
  if (query.label !== undefined)
    rows = rows.where(sql<boolean>`labels @> ${JSON.stringify(parseLabel(query.label))}::jsonb`)
  if (query.provider !== undefined)
    rows = rows.where((where) =>
      where.exists(
        where
          .selectFrom('attempts')
          .select('attempts.id')
          .whereRef('attempts.job_id', '=', 'jobs.id')
          .where('attempts.provider', '=', query.provider ?? ''),
      ),
    )
  if (query.created_after) rows = rows.where('created_at', '>', new Date(query.created_after))
  if (query.created_before) rows = rows.where('created_at', '<', new Date(query.created_before))
  if (query.cursor) rows = rows.where('id', '<', query.cursor)
  const found = await rows
    .orderBy('id', 'desc')
    .limit(query.limit + 1)
    .execute()
  const page = found.slice(0, query.limit)
  return {
    items: await viewJobs(deps, page, true),
    next_cursor: found.length > query.limit ? (page.at(-1)?.id ?? null) : null,
  }
}

/** All attempts of a job, newest first, by keyset. */
export async function listAttempts(
  deps: Deps,
  job_id: string,
  limit: number,
  cursor: string | undefined,
): Promise<{ items: AttemptView[]; next_cursor: string | null }> {
  let rows = deps.db.selectFrom('attempts').selectAll().where('job_id', '=', job_id)
  if (cursor !== undefined) {
    if (!isId('att', cursor))
      throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
    rows = rows.where('id', '<', cursor)
  }
  const found = await rows
    .orderBy('id', 'desc')
    .limit(limit + 1)
    .execute()
  const page = found.slice(0, limit)
  return {
    items: page.map(attemptView),
    next_cursor: found.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}

export interface EventView {
  sequence: number
  type: string
  at: string
  data: JsonObject
}

/** Events of a job after a sequence number. */
export async function listEvents(
  deps: Deps,
  job_id: string,
  after: number,
  limit: number,
): Promise<EventView[]> {
  const rows = await deps.db
    .selectFrom('events')
    .select(['sequence', 'type', 'at', 'data'])
    .where('job_id', '=', job_id)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, at: row.at.toISOString(), data: row.data as JsonObject }))
}

async function viewJobs(deps: Deps, jobs: readonly JobRow[], brief: boolean): Promise<JobView[]> {
  if (jobs.length === 0) return []
  const now = deps.clock.now()
  const ids = jobs.map(({ id }) => id)
  const attempts = await deps.db
    .selectFrom((from) =>
      from
        .selectFrom('attempts')
        .selectAll()
        .select(sql<number>`row_number() over (partition by job_id order by id desc)`.as('rank'))
        .where('job_id', 'in', ids)
        .as('ranked'),
    )
    .selectAll()
    .where('rank', '<=', viewedAttempts)
    .orderBy('id', 'desc')
    .execute()
  const heartbeats = await deps.db
    .selectFrom('heartbeats')
    .innerJoin('attempts', 'attempts.id', 'heartbeats.attempt_id')
    .select(['attempts.job_id', 'attempts.shard_index', 'heartbeats.progress', 'heartbeats.phase'])
    .where('attempts.job_id', 'in', ids)
    .where('attempts.outcome', 'is', null)
    .execute()
  const money = await moneyOf(deps.db, ids, now)
  return jobs.map((job) =>
    jobView(
      job,
      {
        attempts: attempts.filter(({ job_id }) => job_id === job.id),
        heartbeats: heartbeats.filter(({ job_id }) => job_id === job.id),
        spent_micros: money.get(job.id)?.spent_micros ?? 0,
      },
      { now, public_url: deps.settings.public_url(), brief },
    ),
  )
}

function parseLabel(text: string): Record<string, string> {
  const colon = text.indexOf(':')
  if (colon < 1)
    throw new AppError('invalid_request', 'A label filter is name:value.', {
      errors: [{ path: 'label', message: 'must be name:value' }],
    })
  return { [text.slice(0, colon)]: text.slice(colon + 1) }
}
