// What runners said of their machines and of how far they are.
import type { Deps } from './deps.ts'
import type { Sample } from './heartbeats.ts'
import { findJob } from './read.ts'
import type { JsonObject } from './view.ts'

/** A job has at most 64 parts and a merge, each with one attempt at work. */
const maxShown = 100

/**
 * Of the attempts of a job that are at work, by part; with `history` those that have ended too, the newest first of each part, and
 * what each said over its life. Throws AppError not_found.
 */
export async function listMachines(
  deps: Deps,
  project_id: string,
  job_id: string,
  { history = false }: { history?: boolean } = {},
) {
  await findJob(deps, project_id, job_id)
  const rows = await deps.db
    .selectFrom('attempts')
    .innerJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select(['attempts.id', 'attempts.shard_index', 'attempts.number', 'attempts.ended_at', 'heartbeats.at'])
    .select(['progress', 'phase', 'step', 'steps', 'metrics', 'machine'])
    .$if(history, (query) => query.select('samples'))
    .where('attempts.job_id', '=', job_id)
    .$if(!history, (query) => query.where('attempts.ended_at', 'is', null))
    .orderBy('attempts.shard_index')
    .orderBy('attempts.number', 'desc')
    .limit(maxShown)
    .execute()
  return rows.map(({ id, shard_index, at, ended_at, metrics, machine, samples, ...told }) => ({
    attempt_id: id,
    shard: shard_index,
    ...told,
    at: at.toISOString(),
    ended_at: ended_at?.toISOString() ?? null,
    metrics: metrics as JsonObject,
    machine: machine as JsonObject,
    ...(samples === undefined ? {} : { history: samples as unknown as Sample[] }),
  }))
}
