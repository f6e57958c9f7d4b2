// A job's state follows from its shards: counters and the events that tell of it.
import { sql } from 'kysely'
import type { JobRow } from '../plan.ts'
import type { DeviceClass } from '../shards.ts'
import {
  isTerminal,
  type JobEventType,
  type JobState,
  type Outcome,
  type ShardState,
  type TerminalState,
} from '../state.ts'
import { movedJob } from './move.ts'
import type { JobError, Tx, Warning } from './schema.ts'

/** What the commits of one batch add to a job. */
export interface JobDelta {
  counters: Partial<Record<'waiting' | 'active' | 'running' | 'succeeded' | 'failed' | 'cancelled', number>>
  events: { type: JobEventType; data: Record<string, unknown> }[]
  warnings: Warning[]
  /** Where shards were launched. */
  providers: string[]
  /** The first that was launched. */
  attempt?: Record<string, unknown>
  cancelling?: boolean
  /** Of the shard that was finished last. */
  outcome?: Outcome | null
  /** Of the first shard that failed for good: what the job failed of. */
  failure?: End
  result?: unknown
  /** What becomes of the shard that joins the others, and whether it has begun. */
  merge_state?: ShardState
  merge_runs?: boolean
  /** What the merge ended with. */
  merge_end?: End
  device_class?: DeviceClass
  /** The job whose result it was given. */
  cached_from?: string
}
interface End {
  outcome: Outcome | null
  error: JobError | null
}

export const noDelta = (): JobDelta => ({ counters: {}, events: [], warnings: [], providers: [] })

/** What a fold reads of a job's row; what users and programs wrote is large, and is not looked at. */
export const foldedColumns = [
  'id',
  'project_id',
  'kind',
  'labels',
  'priority',
  'state',
  'outcome',
  'error',
  'warnings',
  'shards_total',
  'shards_waiting',
  'shards_active',
  'shards_running',
  'shards_succeeded',
  'shards_failed',
  'shards_cancelled',
  'merge_state',
  'device_class',
  'cache_key',
  'follows',
  'cached_from',
  'dataset_id',
  'providers',
  'event_sequence',
  'order_kind',
  'created_at',
  'started_at',
  'finished_at',
] as const satisfies (keyof JobRow)[]
/** The spec never changes: the one that was decided with is still it. */
export type FoldedJob = Pick<JobRow, (typeof foldedColumns)[number] | 'spec'> & { result?: unknown }

export interface JobEvent {
  type: JobEventType
  sequence: number
  at: Date
  data: Record<string, unknown>
}

export interface FoldDeps {
  random: (bytes: number) => Uint8Array
  public_url: () => string
  now: Date
}

export interface Folded {
  job: FoldedJob
  events: JobEvent[]
  /** Whether its parts have ended and are to be joined from now on. */
  merges: boolean
}

/** The job with what its shards add to it, and the events that tell of it. Pure. */
export function foldJob(job: FoldedJob, delta: JobDelta, now: Date): Folded {
  const counted = withCounts(job, delta)
  const merges = needsMerge(counted)
  if (merges) counted.merge_state = 'waiting'
  const state = foldState(counted, delta)
  const failure = job.shards_failed > 0 ? { outcome: job.outcome, error: job.error } : delta.failure
  const next = movedJob({ ...counted, ...failure }, state, {
    ...(delta.result === undefined ? {} : { result: delta.result }),
    ...(state === 'running' && !job.started_at ? { started_at: now } : {}),
  })
  if (isTerminal(state)) Object.assign(next, endOf(next, delta), { finished_at: now })
  const told = [...delta.events]
  const type = eventOf(job.state, state)
  if (type) told.push({ type, data: eventData(next, delta) })
  next.event_sequence = job.event_sequence + told.length
  const events = told.map((event, index) => ({ ...event, sequence: job.event_sequence + index + 1, at: now }))
  return { job: next, events, merges }
}

function withCounts(job: FoldedJob, delta: JobDelta): FoldedJob {
  const counted = { ...job }
  for (const [name, by] of Object.entries(delta.counters) as [keyof typeof delta.counters, number][])
    counted[`shards_${name}`] += by
  counted.merge_state = delta.merge_state ?? job.merge_state
  counted.device_class = delta.device_class ?? job.device_class
  counted.cached_from = delta.cached_from ?? job.cached_from
  const added = delta.providers.filter((provider) => !job.providers.includes(provider))
  if (added.length > 0) counted.providers = [...job.providers, ...new Set(added)]
  if (delta.warnings.length > 0) counted.warnings = distinct([...job.warnings, ...delta.warnings])
  return counted
}

function foldState(job: FoldedJob, delta: JobDelta): JobState {
  const cancelling = delta.cancelling === true || job.state === 'cancelling'
  if (job.merge_state === 'waiting' || job.merge_state === 'active') {
    if (cancelling) return 'cancelling'
    if (job.merge_state === 'waiting') return job.state
    return delta.merge_runs || job.state === 'running' ? 'running' : 'scheduled'
  }
  if (job.shards_waiting + job.shards_active === 0) return endState(job)
  if (cancelling) return 'cancelling'
  if (job.shards_active === 0) return 'queued'
  return job.shards_running > 0 || job.state === 'running' ? 'running' : 'scheduled'
}

/** What a job comes to whose parts have all ended, and their merge if there is one. */
function endState(job: FoldedJob): TerminalState {
  if (job.order_kind === 'cancel') return 'cancelled'
  if (job.merge_state === 'failed' || job.merge_state === 'cancelled') return job.merge_state
  const failed =
    job.shards_failed > 0 && (job.spec.parallelism.on_shard_failure === 'fail' || job.shards_succeeded === 0)
  if (failed) return 'failed'
  return job.shards_succeeded > 0 ? 'succeeded' : 'cancelled'
}

/** Whether the parts of a job have ended and their results are to be joined. */
function needsMerge(job: FoldedJob): boolean {
  return (
    job.shards_total > 1 &&
    job.merge_state === null &&
    job.cached_from === null &&
    job.shards_waiting + job.shards_active === 0 &&
    endState(job) === 'succeeded'
  )
}

/** Outcome, error and warnings of a job that ends now; it holds what its first part failed of. */
function endOf(job: FoldedJob, delta: JobDelta): Pick<FoldedJob, 'outcome' | 'error' | 'warnings'> {
  const { warnings, shards_failed, shards_total, state } = job
  if (state === 'cancelled') return { outcome: delta.outcome ?? 'cancelled', error: null, warnings }
  if (state === 'failed') {
    const { outcome, error } = delta.merge_end ?? job
    return { outcome, error, warnings }
  }
  const stopped = warnings.some(({ code }) => code === 'stopped_early')
  const missing = {
    code: 'shards_failed',
    message: `${shards_failed} of ${shards_total} parts failed; the first: ${job.error?.message ?? 'unknown'}`,
  }
  return {
    outcome: stopped ? 'stopped' : 'succeeded',
    error: null,
    warnings: shards_failed > 0 ? [...warnings, missing] : warnings,
  }
}

const distinct = (warnings: readonly Warning[]) =>
  warnings.filter(
    ({ code, message }, at) =>
      warnings.findIndex((each) => each.code === code && each.message === message) === at,
  )

/** A retry says job.retrying instead of a second job.queued. */
function eventOf(from: JobState, to: JobState): JobEventType | null {
  if (from === to || to === 'cancelling' || to === 'queued') return null
  return `job.${to}`
}

function eventData(job: FoldedJob, delta: JobDelta): Record<string, unknown> {
  return {
    state: job.state,
    ...(delta.attempt && job.state === 'scheduled' ? { attempt: delta.attempt } : {}),
    ...(isTerminal(job.state) ? { outcome: job.outcome, error: job.error } : {}),
  }
}

/** Makes the partitions of this month and the next, so that no row has to go to the rest. */
export async function ensurePartitions(db: Tx, now: Date): Promise<void> {
  for (const ahead of [0, 1]) {
    const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1))
    const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1, 1))
    const suffix = from.toISOString().slice(0, 7).replace('-', '_')
    for (const table of ['events', 'log_chunks', 'audit_log'])
      await sql
        .raw(
          `create table if not exists ${table}_${suffix} partition of ${table}
           for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
        )
        .execute(db)
  }
}
