// What is at work at providers, of all projects: for whoever runs the installation.
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId } from './ids.ts'
import { attemptCost, attemptView, viewedAttemptColumns } from './view.ts'

export interface RunningQuery {
  provider?: string | undefined
  account?: string | undefined
  limit: number
  /** The id of the last one that was seen. */
  cursor?: string | undefined
}

/** Attempts that have not ended, newest first, by the index of those. */
export async function listRunning(deps: Deps, { provider, account, limit, cursor }: RunningQuery) {
  if (cursor !== undefined && !isId('att', cursor))
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  let query = deps.db
    .selectFrom('attempts')
    .innerJoin('jobs', 'jobs.id', 'attempts.job_id')
    .innerJoin('projects', 'projects.id', 'attempts.project_id')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(viewedAttemptColumns.map((name) => `attempts.${name}` as const))
    .select([
      'attempts.project_id',
      'projects.name as project',
      'jobs.kind',
      'jobs.name as job',
      'heartbeats.at as heard_at',
    ])
    .where('attempts.ended_at', 'is', null)
  if (provider !== undefined) query = query.where('attempts.provider', '=', provider)
  if (account !== undefined) query = query.where('attempts.account', '=', account)
  if (cursor !== undefined) query = query.where('attempts.id', '<', cursor)
  const rows = await query
    .orderBy('attempts.id', 'desc')
    .limit(limit + 1)
    .execute()
  const now = deps.clock.now()
  const page = rows.slice(0, limit)
  return {
    items: page.map((row) => ({
      ...attemptView(row),
      job_id: row.job_id,
      job: row.job,
      kind: row.kind,
      project_id: row.project_id,
      project: row.project,
      usd_so_far: microsToUsd(attemptCost(row, now)),
      heard_at: row.heard_at?.toISOString() ?? null,
    })),
    next_cursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}
