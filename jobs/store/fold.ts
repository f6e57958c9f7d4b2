// A job's state follows from its shards: counters, events and webhook deliveries in the same transaction.
import { sql } from 'kysely'
import { newId } from '../ids.ts'
import type { AttemptRow, JobRow } from '../plan.ts'
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
import { relist } from './lists.ts'
import { moveJob } from './move.ts'
import { passOn } from './cache.ts'
import { newShard } from './queue.ts'
import type { JobError, Tx, Warning } from './schema.ts'

/** What one commit adds to a job. */
export interface JobDelta {
  counters: Partial<Record<'waiting' | 'active' | 'running' | 'succeeded' | 'failed' | 'cancelled', number>>
  events: { type: JobEventType; data: Record<string, unknown> }[]
  warnings: Warning[]
  attempt?: Record<string, unknown>
  /** Where a shard was launched. */
  provider?: string
  cancelling?: boolean
  /** The end of a shard. */
  finished?: { state: TerminalState; outcome: Outcome | null; error: JobError | null }
  /** What went wrong with an attempt. */
  error?: JobError | null
  result?: unknown
  /** What becomes of the shard that joins the others. */
  merge_state?: ShardState
  merge_runs?: boolean
  device_class?: DeviceClass
  /** The job whose result it was given. */
  cached_from?: string
}
interface FoldDeps {
  random: (bytes: number) => Uint8Array
  public_url: () => string
  now: Date
}

/** Writes the locked job: its counters, its state, and what follows from a change of state. */
export async function foldJob(tx: Tx, deps: FoldDeps, job: JobRow, delta: JobDelta): Promise<void> {
  const { next, merges } = nextJob(job, delta, deps.now)
  const events = [...delta.events]
  const type = eventOf(job.state, next.state)
  if (type) events.push({ type, data: eventData(next, delta) })
  next.event_sequence = job.event_sequence + events.length
  await save(tx, job, next)
  if (merges) {
    const merge = { id: newId('shd', deps.now, deps.random), role: 'merge' as const, index: job.shards_total }
    await tx
      .insertInto('shards')
      .values(newShard(next, merge, deps.now))
      .execute()
  }
  for (const [index, event] of events.entries()) {
    const sequence = job.event_sequence + index + 1
    await appendEvent(tx, next, { ...event, sequence, at: deps.now })
    await enqueueDelivery(tx, deps, next, { type: event.type, sequence })
  }
  if (isTerminal(next.state)) await passOn(tx, next, deps.now)
}

/** The job after a commit, and whether its parts are to be joined now. */
function nextJob(job: JobRow, delta: JobDelta, now: Date): { next: JobRow; merges: boolean } {
  const next: JobRow = { ...job }
  for (const [name, by] of Object.entries(delta.counters) as [keyof typeof delta.counters, number][])
    next[`shards_${name}`] += by
  next.merge_state = delta.merge_state ?? job.merge_state
  next.device_class = delta.device_class ?? job.device_class
  next.cached_from = delta.cached_from ?? job.cached_from
  const merges = needsMerge(next)
  if (merges) next.merge_state = 'waiting'
  next.state = foldState(next, delta)
  if (delta.result !== undefined) next.result = delta.result
  if (delta.provider && !job.providers.includes(delta.provider))
    next.providers = [...job.providers, delta.provider]
  next.warnings = distinct([...job.warnings, ...delta.warnings])
  // The first failure is the job's, whatever becomes of the other parts.
  if (delta.finished?.state === 'failed' && job.shards_failed === 0)
    Object.assign(next, endOf(delta.finished))
  if (next.state === 'running') next.started_at ??= now
  if (isTerminal(next.state)) Object.assign(next, jobEnd(next, delta), { finished_at: now })
  return { next, merges }
}

function foldState(job: JobRow, delta: JobDelta): JobState {
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
function endState(job: JobRow): TerminalState {
  if (job.order_kind === 'cancel') return 'cancelled'
  if (job.merge_state === 'failed' || job.merge_state === 'cancelled') return job.merge_state
  const failed =
    job.shards_failed > 0 && (job.spec.parallelism.on_shard_failure === 'fail' || job.shards_succeeded === 0)
  if (failed) return 'failed'
  return job.shards_succeeded > 0 ? 'succeeded' : 'cancelled'
}

/** Whether the parts of a job have ended and their results are to be joined. */
function needsMerge(job: JobRow): boolean {
  return (
    job.shards_total > 1 &&
    job.merge_state === null &&
    job.cached_from === null &&
    job.shards_waiting + job.shards_active === 0 &&
    endState(job) === 'succeeded'
  )
}

const endOf = ({ outcome, error }: NonNullable<JobDelta['finished']>) => ({ outcome, error })

/** Outcome, error and warnings of a job that ends now. */
function jobEnd(job: JobRow, { finished }: JobDelta): Pick<JobRow, 'outcome' | 'error' | 'warnings'> {
  const { warnings, shards_failed, shards_total } = job
  if (job.state === 'cancelled') return { outcome: finished?.outcome ?? 'cancelled', error: null, warnings }
  const { outcome, error } = job.merge_state === 'failed' && finished ? finished : job
  if (job.state === 'failed') return { outcome, error, warnings }
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

function eventData(job: JobRow, delta: JobDelta): Record<string, unknown> {
  return {
    state: job.state,
    ...(delta.attempt && job.state === 'scheduled' ? { attempt: delta.attempt } : {}),
    ...(isTerminal(job.state) ? { outcome: job.outcome, error: job.error } : {}),
  }
}

/** Appends one event under the job's lock. */
export async function appendEvent(
  tx: Tx,
  job: Pick<JobRow, 'id' | 'project_id' | 'created_at'>,
  event: { type: string; sequence: number; at: Date; data: Record<string, unknown> },
): Promise<void> {
  await tx.insertInto('events').values(eventRow(job, event)).execute()
}

export function eventRow(
  job: Pick<JobRow, 'id' | 'project_id' | 'created_at'>,
  event: { type: string; sequence: number; at: Date; data: Record<string, unknown> },
) {
  return {
    project_id: job.project_id,
    job_id: job.id,
    sequence: event.sequence,
    type: event.type,
    at: event.at,
    data: JSON.stringify(event.data),
    partition_at: job.created_at,
  }
}

/** Puts the message of an event into the outbox, with the id and body that all its deliveries will have. */
export async function enqueueDelivery(
  tx: Tx,
  deps: FoldDeps,
  job: JobRow,
  event: { type: JobEventType; sequence: number },
): Promise<void> {
  const { webhook } = job.spec
  if (!webhook || !webhook.events.includes(event.type)) return
  const attempts = await tx
    .selectFrom('attempts')
    .selectAll()
    .where('job_id', '=', job.id)
    .orderBy('id', 'desc')
    .limit(20)
    .execute()
  const row = deliveryRow(deps, job, attempts, event)
  if (row) await tx.insertInto('deliveries').values(row).execute()
}

/** The message of an event with the job as it is now; null: nobody wants it. */
export function deliveryRow(
  deps: FoldDeps,
  job: JobRow,
  attempts: readonly AttemptRow[],
  event: { type: JobEventType; sequence: number },
) {
  const { webhook } = job.spec
  if (!webhook || !webhook.events.includes(event.type)) return null
  const view = jobView(
    job,
    { attempts, heartbeats: [], spent_micros: null },
    { now: deps.now, public_url: deps.public_url(), brief: true },
  )
  const { params: _, ...brief } = view
  const body = {
    type: event.type,
    timestamp: deps.now.toISOString(),
    data: { job: brief, sequence: event.sequence },
  }
  return {
    id: newId('dlv', deps.now, deps.random),
    project_id: job.project_id,
    job_id: job.id,
    sequence: event.sequence,
    type: event.type,
    url: webhook.url,
    body: JSON.stringify(body),
    state: 'pending' as const,
    next_attempt_at: deps.now,
    created_at: deps.now,
  }
}

async function save(tx: Tx, job: JobRow, next: JobRow): Promise<void> {
  await moveJob(tx, job, next.state, {
    outcome: next.outcome,
    error: next.error === null ? null : JSON.stringify(next.error),
    warnings: JSON.stringify(next.warnings),
    providers: JSON.stringify(next.providers),
    result: next.result === null ? null : JSON.stringify(next.result),
    merge_state: next.merge_state,
    device_class: next.device_class,
    cached_from: next.cached_from,
    shards_waiting: next.shards_waiting,
    shards_active: next.shards_active,
    shards_running: next.shards_running,
    shards_succeeded: next.shards_succeeded,
    shards_failed: next.shards_failed,
    shards_cancelled: next.shards_cancelled,
    event_sequence: next.event_sequence,
    started_at: next.started_at,
    finished_at: next.finished_at,
  })
  await relist(tx, [{ from: job, to: next }])
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
