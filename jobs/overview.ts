// A project at a glance: how much is at work, what waits for which reason. Bounded, whatever the project holds.
import { sql } from 'kysely'
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import { explainJob, type Explanation } from './explain.ts'
import type { JobState } from './state.ts'

/** Jobs are counted no further than this in each state: beyond it the number says nothing more to a person. */
const maxCounted = 10_000
/** Of the jobs that wait the oldest are looked at, and of them so many kinds of wish are explained: each takes some milliseconds. */
const maxLooked = 500
const maxExplained = 12

const open = ['queued', 'scheduled', 'running', 'cancelling'] as const satisfies readonly JobState[]

export interface WaitingGroup {
  reason: Explanation['reason']
  jobs: number
  since: string
  /** One of them: its explanation is theirs. */
  job_id: string
  rejected: Explanation['rejected']
}

export async function readOverview(deps: Deps, project_id: string) {
  const counts: Record<(typeof open)[number], number> = { queued: 0, scheduled: 0, running: 0, cancelling: 0 }
  for (const state of open) counts[state] = await countOf(deps, project_id, state)
  const { attempts, micros } = await atWork(deps, project_id)
  return {
    at: deps.clock.now().toISOString(),
    jobs: counts,
    counted_to: maxCounted,
    attempts,
    usd_per_hour: microsToUsd(micros),
    waiting: counts.queued === 0 ? [] : await waitingGroups(deps, project_id),
    waiting_looked_at: maxLooked,
  }
}

async function countOf({ db }: Deps, project_id: string, state: JobState): Promise<number> {
  const { count } = await db
    .selectFrom((from) =>
      from
        .selectFrom('jobs')
        .select('id')
        .where('project_id', '=', project_id)
        .where('state', '=', state)
        .where('deleted_at', 'is', null)
        .limit(maxCounted)
        .as('found'),
    )
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** What is open of the project, by the index of what has not ended: its size is that of what runs anywhere. */
async function atWork({ db }: Deps, project_id: string): Promise<{ attempts: number; micros: number }> {
  const { attempts, micros } = await db
    .selectFrom('attempts')
    .select(({ fn }) => [
      fn.countAll<number>().as('attempts'),
      fn.coalesce(fn.sum<number>('usd_micros_per_hour'), sql<number>`0`).as('micros'),
    ])
    .where('project_id', '=', project_id)
    .where('ended_at', 'is', null)
    .executeTakeFirstOrThrow()
  return { attempts: Number(attempts), micros: Number(micros) }
}

/** Jobs that wish for the same wait for the same reason: one of each is explained. */
async function waitingGroups(deps: Deps, project_id: string): Promise<WaitingGroup[]> {
  const oldest = deps.db
    .selectFrom('jobs')
    .select(['id', 'created_at'])
    .where('project_id', '=', project_id)
    .where('state', '=', 'queued')
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .limit(maxLooked)
    .as('oldest')
  const shapes = await deps.db
    .selectFrom(oldest)
    .innerJoin('shards', 'shards.job_id', 'oldest.id')
    .select(({ fn }) => [
      fn.min('oldest.id').as('job_id'),
      fn.min('oldest.created_at').as('since'),
      fn.count<number>('oldest.id').distinct().as('jobs'),
    ])
    .where('shards.state', '=', 'waiting')
    .groupBy(['shards.shape_hash', 'shards.wait_reason'])
    .orderBy('jobs', 'desc')
    .limit(maxExplained)
    .execute()
  const groups = new Map<string, WaitingGroup>()
  for (const { job_id, since, jobs } of shapes) {
    const { reason, rejected } = await explainJob(deps, project_id, job_id)
    const known = groups.get(reason.text)
    if (known) known.jobs += Number(jobs)
    else groups.set(reason.text, { reason, jobs: Number(jobs), since: since.toISOString(), job_id, rejected })
  }
  return [...groups.values()].toSorted((a, b) => b.jobs - a.jobs)
}
