// A job's state follows from its shards: counters, events and webhook deliveries in the same transaction.
import { sql } from 'kysely'
import { newId } from '../ids.ts'
import type { AttemptRow, JobRow } from '../plan.ts'
import type { JobSpec } from '../spec.ts'
import type { DeviceClass } from '../shards.ts'
import {
  isTerminal,
  type JobEventType,
  type JobState,
  type Outcome,
  type ShardState,
  type TerminalState,
} from '../state.ts'
import { jobView } from '../view.ts'
import { movedJob } from './move.ts'
import { insertRows, type Values } from './rows.ts'
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

/** The row of an event; it is appended under the job's lock. */
export function eventRow(
  job: Pick<JobRow, 'id' | 'project_id' | 'created_at'>,
  { sequence, type, at, data }: Omit<JobEvent, 'type'> & { type: string },
): Values<'events'> {
  const { id: job_id, project_id, created_at: partition_at } = job
  return { project_id, job_id, sequence, type, at, data, partition_at }
}

/** The messages of many events, as the jobs and their attempts are stored now. */
export async function enqueueDeliveries(
  tx: Tx,
  deps: FoldDeps,
  told: readonly { job: Pick<JobRow, 'id' | 'spec'>; events: readonly JobEvent[] }[],
): Promise<void> {
  const wanted = told
    .map(({ job, events }) => ({ job, events: events.filter((event) => isTold(job.spec, event)) }))
    .filter(({ events }) => events.length > 0)
  if (wanted.length === 0) return
  const ids = wanted.map(({ job }) => job.id)
  const jobs = await tx.selectFrom('jobs').selectAll().where('id', 'in', ids).execute()
  const { rows } = await sql<AttemptRow>`
    select newest.* from unnest(${ids}::text[]) as of_job(id), lateral (
      select * from attempts where job_id = of_job.id order by id desc limit ${shownAttempts}) as newest`.execute(
    tx,
  )
  const attempts = Map.groupBy(rows, ({ job_id }) => job_id)
  const messages = wanted.flatMap(({ job: { id }, events }) => {
    const job = jobs.find((each) => each.id === id)
    return job ? events.flatMap((event) => deliveryRow(deps, job, attempts.get(id) ?? [], event) ?? []) : []
  })
  await insertRows(tx, 'deliveries', messages)
}

/** As many as a job shows. */
const shownAttempts = 20

const isTold = ({ webhook }: JobSpec, { type }: Pick<JobEvent, 'type'>): boolean =>
  webhook?.events.includes(type) ?? false

/** The message of an event, with the id and body that all its deliveries will have; null: nobody wants it. */
export function deliveryRow(
  deps: FoldDeps,
  job: JobRow,
  attempts: readonly AttemptRow[],
  { type, sequence }: Pick<JobEvent, 'type' | 'sequence'>,
): Values<'deliveries'> | null {
  if (!isTold(job.spec, { type })) return null
  const view = jobView(
    job,
    { attempts, heartbeats: [], spent_micros: null },
    { now: deps.now, public_url: deps.public_url(), brief: true },
  )
  const { params: _, ...brief } = view
  const body = { type, timestamp: deps.now.toISOString(), data: { job: brief, sequence } }
  return {
    id: newId('dlv', deps.now, deps.random),
    project_id: job.project_id,
    job_id: job.id,
    sequence,
    type,
    url: job.spec.webhook?.url ?? '',
    body: JSON.stringify(body),
    state: 'pending',
    next_attempt_at: deps.now,
    created_at: deps.now,
  }
}

/** Makes the partitions of this month and the next, so that no row has to go to the rest. */
export async function ensurePartitions(db: Tx, now: Date): Promise<void> {
  for (const ahead of [0, 1]) {
    const from = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1))
    const to = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead + 1, 1))
    const suffix = from.toISOString().slice(0, 7).replace('-', '_')
    for (const table of ['events', 'log_chunks'])
      await sql
        .raw(
          `create table if not exists ${table}_${suffix} partition of ${table}
           for values from ('${from.toISOString()}') to ('${to.toISOString()}')`,
        )
        .execute(db)
  }
}
