// What runners said last of their machines and of how far they are.
import type { Deps } from './deps.ts'
import { findJob } from './read.ts'
import type { JsonObject } from './view.ts'

/** A job has at most 64 parts and a merge, each with one attempt at work. */
const maxShown = 100

/** Of the attempts of a job that are at work, by part. Throws AppError not_found. */
export async function listMachines(deps: Deps, project_id: string, job_id: string) {
  await findJob(deps, project_id, job_id)
  const rows = await deps.db
    .selectFrom('attempts')
    .innerJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(['attempts.id', 'attempts.shard_index', 'attempts.number', 'heartbeats.at'])
    .select(['progress', 'phase', 'step', 'steps', 'metrics', 'machine'])
    .where('attempts.job_id', '=', job_id)
    .where('attempts.ended_at', 'is', null)
    .orderBy('attempts.shard_index')
    .limit(maxShown)
    .execute()
  return rows.map(({ id, shard_index, at, metrics, machine, ...told }) => ({
    attempt_id: id,
    shard: shard_index,
    ...told,
    at: at.toISOString(),
    metrics: metrics as JsonObject,
    machine: machine as JsonObject,
  }))
}
