// What the API reads. Every query is bound to a project.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId } from './ids.ts'
import type { JobRow } from './plan.ts'
import type { JobState } from './state.ts'
import { columnTypes } from './store/column-types.ts'
import type { JobFilter } from './store/find.ts'
import { keyOf, type Own, pairs, readTogether, wholeJob } from './together.ts'
import { type AttemptView, attemptView, type JobView, type JsonObject, viewedAttemptColumns } from './view.ts'
import { viewJob, viewPage } from './view-jobs.ts'

/** One job; throws AppError not_found, also for another project's. */
export async function findJob(deps: Deps, project_id: string, job_id: string): Promise<JobRow> {
  const row = isId('job', job_id) ? await jobOf(deps, { project_id, id: job_id }) : null
  if (!row) throw new AppError('not_found', `There is no job ${job_id.slice(0, 100)}.`)
  return row
}

const jobColumns = sql.raw(
  [...Object.keys(columnTypes.jobs), 'order_kind', 'order_at', 'deleted_at', 'purged_at']
    .map((column) => `jobs.${column}`)
    .join(', '),
)

const jobOf = readTogether<Own, JobRow | null>(
  async (db, asked) => {
    const { projects, ids } = pairs(asked)
    const { rows } = await sql<JobRow>`/* find jobs */
      select found.* from unnest((select ${projects}::text[]), (select ${ids}::text[])) as asked(project_id, id)
      cross join lateral (
        select ${jobColumns} from jobs
        where jobs.id = asked.id and jobs.project_id = asked.project_id and deleted_at is null limit 1) as found`.execute(
      db,
    )
    const found = new Map(rows.map((row) => [keyOf(row), row]))
    return asked.map((each) => found.get(keyOf(each)) ?? null)
  },
  () => wholeJob,
)

export async function readJob(deps: Deps, project_id: string, job_id: string): Promise<JobView> {
  const view = await viewJob(deps, await findJob(deps, project_id, job_id))
  if (!view) throw new AppError('not_found', `There is no job ${job_id}.`)
  return view
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
  const { limit, cursor } = query
  checkCursor(cursor)
  const filter = filterOf(query)
  const items = await viewPage(deps, { project_id, filter, page: { limit: limit + 1, cursor } })
  const page = items.slice(0, limit)
  return { items: page, next_cursor: items.length > limit ? (page.at(-1)?.id ?? null) : null }
}

/** Throws AppError invalid_cursor. */
export function checkCursor(cursor: string | undefined): void {
  if (cursor !== undefined && !isId('job', cursor))
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
}

/** What a client filters by. Throws AppError invalid_request. */
export function filterOf(query: Omit<ListQuery, 'limit' | 'cursor'>): JobFilter {
  const { state, label, kind, provider, created_after, created_before } = query
  return {
    states: state ? [state] : null,
    kind,
    provider,
    label: label === undefined ? undefined : parseLabel(label),
    created_after: created_after === undefined ? undefined : new Date(created_after),
    created_before: created_before === undefined ? undefined : new Date(created_before),
  }
}

/** All attempts of a job, newest first, by keyset. */
export async function listAttempts(
  deps: Deps,
  job_id: string,
  limit: number,
  cursor: string | undefined,
): Promise<{ items: AttemptView[]; next_cursor: string | null }> {
  let rows = deps.db.selectFrom('attempts').select(viewedAttemptColumns).where('job_id', '=', job_id)
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
    .modifyFront(sql`/* events of a job */`)
    .select(['sequence', 'type', 'at', 'data'])
    .where('job_id', '=', job_id)
    .where('sequence', '>', after)
    .orderBy('sequence')
    .limit(limit)
    .execute()
  return rows.map((row) => ({ ...row, at: row.at.toISOString(), data: row.data as JsonObject }))
}

function parseLabel(text: string): { name: string; value: string } {
  const colon = text.indexOf(':')
  if (colon < 1)
    throw new AppError('invalid_request', 'A label filter is name:value.', {
      errors: [{ path: 'label', message: 'must be name:value' }],
    })
  return { name: text.slice(0, colon), value: text.slice(colon + 1) }
}
