// A job's state follows from its shards: counters, events and webhook deliveries in the same transaction.
import { sql } from 'kysely'
import { newId } from '../ids.ts'
import type { AttemptRow, JobRow } from '../plan.ts'
import type { JobSpec } from '../spec.ts'
import { type JobEventType, type JobState, type Outcome, isTerminal } from '../state.ts'
import { jobView } from '../view.ts'
import { movedJob } from './move.ts'
import { insertRows, type Values } from './rows.ts'
import type { JobError, Tx, Warning } from './schema.ts'

/** What the commits of one batch add to a job. */
export interface JobDelta {
  counters: Partial<Record<'waiting' | 'active' | 'running' | 'succeeded' | 'failed' | 'cancelled', number>>
  events: { type: JobEventType; data: Record<string, unknown> }[]
  warnings: Warning[]
  /** The first that was launched. */
  attempt?: Record<string, unknown>
  cancelling?: boolean
  /** Of the shard that was finished last. */
  outcome?: Outcome | null
  /** Of the first shard that failed for good: what the job failed of. */
  failure?: { outcome: Outcome | null; error: JobError | null }
  result?: unknown
}

/** What a fold reads and writes of a job. The spec never changes, so the one that was decided with is still it. */
export type FoldedJob = Omit<JobRow, 'result'> & { result?: unknown }

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

/** The job with what its shards add to it, and the events that tell of it. Pure. */
export function foldJob(job: FoldedJob, delta: JobDelta, now: Date): { job: FoldedJob; events: JobEvent[] } {
  const counted = { ...job }
  for (const [name, by] of Object.entries(delta.counters) as [keyof typeof delta.counters, number][])
    counted[`shards_${name}`] += by
  const state = foldState(counted, delta.cancelling ?? false)
  const next = movedJob({ ...counted, ...endOf(job, state, delta) }, state, {
    ...(delta.result === undefined ? {} : { result: delta.result }),
    ...(delta.warnings.length === 0 ? {} : { warnings: [...job.warnings, ...delta.warnings] }),
    ...(state === 'running' && !job.started_at ? { started_at: now } : {}),
    ...(isTerminal(state) ? { finished_at: now } : {}),
  })
  const told = [...delta.events]
  const type = eventOf(job.state, state)
  if (type) told.push({ type, data: eventData(next, delta) })
  next.event_sequence = job.event_sequence + told.length
  const events = told.map((event, index) => ({ ...event, sequence: job.event_sequence + index + 1, at: now }))
  return { job: next, events }
}

function foldState(job: FoldedJob, cancelling: boolean): JobState {
  if (job.shards_waiting + job.shards_active === 0) {
    if (job.order_kind === 'cancel') return 'cancelled'
    const failed =
      job.shards_failed > 0 &&
      (job.spec.parallelism.on_shard_failure === 'fail' || job.shards_succeeded === 0)
    if (failed) return 'failed'
    return job.shards_succeeded > 0 ? 'succeeded' : 'cancelled'
  }
  if (cancelling || job.state === 'cancelling') return 'cancelling'
  if (job.shards_active === 0) return 'queued'
  return job.shards_running > 0 || job.state === 'running' ? 'running' : 'scheduled'
}

/** What the job ends with: what its first shard failed of, if it fails; else what the last one came to. */
function endOf(job: FoldedJob, state: JobState, delta: JobDelta): Partial<FoldedJob> {
  const failure = job.shards_failed > 0 ? { outcome: job.outcome, error: job.error } : delta.failure
  if (failure && (state === 'failed' || !isTerminal(state)))
    return { outcome: failure.outcome, error: failure.error }
  if (!isTerminal(state) || delta.outcome === undefined) return {}
  // Shards may fail of a job that succeeds all the same.
  const isKept = state !== 'succeeded' || delta.outcome === 'succeeded' || delta.outcome === 'stopped'
  return { outcome: isKept ? delta.outcome : 'succeeded', error: null }
}

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

/** Appends one event under the job's lock. */
export async function appendEvent(
  tx: Tx,
  job: Pick<JobRow, 'id' | 'project_id' | 'created_at'>,
  event: Omit<JobEvent, 'type'> & { type: string },
): Promise<void> {
  await insertRows(tx, 'events', [eventRow(job, event)])
}

/** Puts the message of an event into the outbox, with the id and body that all its deliveries will have. */
export async function enqueueDelivery(
  tx: Tx,
  deps: FoldDeps,
  job: JobRow,
  event: Pick<JobEvent, 'type' | 'sequence'>,
): Promise<void> {
  if (isTold(job.spec, event)) await insertRows(tx, 'deliveries', [deliveryRow(deps, job, [], event)])
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
    return job ? events.map((event) => deliveryRow(deps, job, attempts.get(id) ?? [], event)) : []
  })
  await insertRows(tx, 'deliveries', messages)
}

/** As many as a job shows. */
const shownAttempts = 20

const isTold = ({ webhook }: JobSpec, { type }: Pick<JobEvent, 'type'>): boolean =>
  webhook?.events.includes(type) ?? false

function deliveryRow(
  deps: FoldDeps,
  job: JobRow,
  attempts: readonly AttemptRow[],
  { type, sequence }: Pick<JobEvent, 'type' | 'sequence'>,
): Values<'deliveries'> {
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
