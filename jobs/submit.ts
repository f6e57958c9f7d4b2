// Accepts jobs: one transaction with the jobs, their shards, their first events and the idempotency row, in a number
// of statements that does not depend on how many there are.
import type { Admission } from './admission.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import type { Refusal } from './errors.ts'
import { claimKey, type IdempotencyKey, keepKey, type Made } from './idempotency.ts'
import { type IdPrefix, newId } from './ids.ts'
import { waitBound } from './wait.ts'
import type { JobRow } from './plan.ts'
import { type JobSpec, priorityOf } from './spec.ts'
import type { Priority } from './state.ts'
import { deliveryRow, eventRow } from './store/fold.ts'
import { relist } from './store/lists.ts'
import { shapeOf } from './store/queue.ts'
import type { Tx, Warning } from './store/schema.ts'

/** How far ahead of its time a job stands in the queue; the same bonus ages a lower priority past it. */
const bonus_s: Record<Priority, number> = { low: -3_600, normal: 0, high: 3_600, urgent: 86_400 }
/** Rows in one statement: PostgreSQL takes 65,535 parameters, and no row here has more than 16. */
const maxRows = 4_000

export interface NewShard {
  index: number
  role: 'work' | 'merge'
}
export interface NewJob {
  spec: JobSpec
  warnings: Warning[]
  /** Micro-dollars; null: nobody can tell. */
  estimated_micros: number | null
  shards: readonly NewShard[]
}
/** What is to be submitted, or why it cannot be. */
export type Prepared = NewJob | { problem: Refusal }

export interface Submitted {
  /** One of each that was given, in their order. */
  items: Made[]
  /** The key had been used with this body: nothing new was made. */
  replayed: boolean
}

/** Stores those that can be, together. Throws AppError: queue_full, idempotency_key_reused. */
export async function submitJobs(
  deps: Deps,
  admit: Admission,
  project_id: string,
  prepared: readonly Prepared[],
  idempotency: IdempotencyKey | null,
): Promise<Submitted> {
  const now = deps.clock.now()
  const submitted = await deps.db.transaction().execute(async (tx) => {
    const earlier = idempotency && (await claimKey(tx, project_id, idempotency, now))
    if (earlier) return { items: earlier, replayed: true }
    const fresh = prepared.filter((each) => 'spec' in each)
    await admit(
      tx,
      fresh.reduce((sum, { shards }) => sum + shards.length, 0),
    )
    const ids = (await insert(tx, deps, project_id, fresh, now)).values()
    const items = prepared.map((each) => ('spec' in each ? { job_id: ids.next().value ?? '' } : each))
    if (idempotency) await keepKey(tx, project_id, idempotency, items, now)
    return { items, replayed: false }
  })
  if (!submitted.replayed) deps.waker.wake(topics.pass)
  return submitted
}

/** Answers the ids, in the order of the jobs. */
async function insert(
  tx: Tx,
  deps: Deps,
  project_id: string,
  jobs: readonly NewJob[],
  now: Date,
): Promise<string[]> {
  if (jobs.length === 0) return []
  const ids = newIds(deps, 'job', jobs.length, now)
  const rows = await insertJobs(tx, project_id, jobs, ids, now)
  await insertShards(tx, deps, rows, jobs, now)
  await relist(
    tx,
    rows.map((to) => ({ from: null, to })),
  )
  const event = { type: 'job.queued', sequence: 1 } as const
  const events = rows.map((row) => eventRow(row, { ...event, at: now, data: { state: 'queued' } }))
  for (const part of parts(events)) await tx.insertInto('events').values(part).execute()
  const told = { ...deps, public_url: deps.settings.public_url, now }
  const deliveries = rows.flatMap((row) => deliveryRow(told, row, [], event) ?? [])
  for (const part of parts(deliveries)) await tx.insertInto('deliveries').values(part).execute()
  return ids
}

async function insertJobs(
  tx: Tx,
  project_id: string,
  jobs: readonly NewJob[],
  ids: readonly string[],
  now: Date,
): Promise<JobRow[]> {
  const values = jobs.map(({ spec, warnings, estimated_micros, shards }, index) => ({
    id: ids[index] ?? '',
    project_id,
    kind: spec.kind,
    name: spec.name ?? null,
    spec: JSON.stringify(spec),
    priority: priorityOf(spec),
    labels: JSON.stringify(spec.labels),
    state: 'queued' as const,
    warnings: JSON.stringify(warnings),
    estimated_micros,
    shards_total: shards.filter(({ role }) => role === 'work').length,
    shards_waiting: shards.length,
    shards_active: 0,
    event_sequence: 1,
    created_at: now,
  }))
  const rows: JobRow[] = []
  for (const part of parts(values))
    rows.push(...(await tx.insertInto('jobs').values(part).returningAll().execute()))
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** `rows` are those of the jobs, in their order. */
async function insertShards(
  tx: Tx,
  deps: Deps,
  rows: readonly JobRow[],
  jobs: readonly NewJob[],
  now: Date,
): Promise<void> {
  const wanted = rows.flatMap((job, index) => (jobs[index]?.shards ?? []).map((shard) => ({ job, shard })))
  const ids = newIds(deps, 'shd', wanted.length, now)
  const values = wanted.map(({ job, shard }, index) => ({
    id: ids[index] ?? '',
    project_id: job.project_id,
    job_id: job.id,
    ...shard,
    state: 'waiting' as const,
    shape_hash: shapeOf(job.project_id, job.spec),
    queue_key: new Date(now.getTime() - bonus_s[job.priority] * 1_000),
    due_at: waitBound({ job, shard: { waited_ms: 0, waiting_since: now, created_at: now } }),
    waiting_since: now,
    excluded_providers: '[]',
    created_at: now,
  }))
  for (const part of parts(values)) await tx.insertInto('shards').values(part).execute()
}

/** In their order, so that jobs of one batch stand in the queue and in lists as they were given. */
const newIds = (deps: Deps, prefix: IdPrefix, count: number, now: Date) =>
  Array.from({ length: count }, () => newId(prefix, now, deps.random)).toSorted()

function parts<Row>(rows: readonly Row[]): Row[][] {
  return Array.from({ length: Math.ceil(rows.length / maxRows) }, (_, part) =>
    rows.slice(part * maxRows, (part + 1) * maxRows),
  )
}
