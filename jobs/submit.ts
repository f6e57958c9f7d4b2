// Accepts jobs: one transaction with the jobs, their shards, their first events and the idempotency row, in a number
// of statements that does not depend on how many there are.
import type { Admission } from './admission.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import type { Refusal } from './errors.ts'
import { claimKey, type IdempotencyKey, keepKey, type Made } from './idempotency.ts'
import { type IdPrefix, newId } from './ids.ts'
import type { JobRow } from './plan.ts'
import { type JobSpec, priorityOf } from './spec.ts'
import { appendEvents, eventRow } from './store/events.ts'
import { enqueueFirst } from './store/messages.ts'
import { type Earlier, findEarlier, lendPriority } from './store/cache.ts'
import { relist } from './store/lists.ts'
import { newShard, queueKeyOf } from './store/queue.ts'
import type { Tx, Warning } from './store/schema.ts'

/** Rows in one statement: PostgreSQL takes 65,535 parameters, and no row here has more than 16. */
const maxRows = 4_000

export interface NewJob {
  spec: JobSpec
  warnings: Warning[]
  /** Micro-dollars; null: nobody can tell. */
  estimated_micros: number | null
  /** Parts that it is cut into. */
  shards: number
  /** Equal for jobs with one result; null: it may differ each time. */
  cache_key: string | null
  /** What it reads its prices from; null: a sample or files. */
  dataset_id: string | null
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
  const { tells, ...submitted } = await deps.db.transaction().execute(async (tx) => {
    const earlier = idempotency && (await claimKey(tx, project_id, idempotency, now))
    if (earlier) return { items: earlier, replayed: true, tells: false }
    const fresh = prepared.filter((each) => 'spec' in each)
    await admit(
      tx,
      fresh.reduce((sum, { shards }) => sum + shards, 0),
    )
    const inserted = await insert(tx, deps, project_id, fresh, now)
    const ids = inserted.ids.values()
    const items = prepared.map((each) => ('spec' in each ? { job_id: ids.next().value ?? '' } : each))
    if (idempotency) await keepKey(tx, project_id, idempotency, items, now)
    return { items, replayed: false, tells: inserted.tells }
  })
  if (submitted.replayed) return submitted
  deps.waker.wake(topics.pass)
  deps.waker.wake(topics.events)
  if (tells) deps.waker.wake(topics.webhooks)
  return submitted
}

/** Answers the ids, in the order of the jobs, and whether there are messages to send. */
async function insert(
  tx: Tx,
  deps: Deps,
  project_id: string,
  jobs: readonly NewJob[],
  now: Date,
): Promise<{ ids: string[]; tells: boolean }> {
  if (jobs.length === 0) return { ids: [], tells: false }
  const ids = newIds(deps, 'job', jobs.length, now)
  const starts = await startsOf(tx, deps, project_id, { jobs, ids, now })
  const rows = await insertJobs(tx, project_id, jobs, { ids, starts, now })
  const count = rows.reduce((sum, row) => sum + row.shards_total, 0)
  const shard_ids = newIds(deps, 'shd', count, now).values()
  const shards = rows.flatMap((row) => shardsOf(row, () => shard_ids.next().value ?? '', now))
  for (const part of parts(shards)) await tx.insertInto('shards').values(part).execute()
  await relist(
    tx,
    rows.map((to) => ({ from: null, to })),
  )
  await lendPriority(
    tx,
    rows.flatMap((row) => (row.follows ? [{ leader: row.follows, queue_key: queueKeyOf(row) }] : [])),
  )
  const told = { ...deps, public_url: deps.settings.public_url, now }
  const first = rows.map((job) => ({ job, events: firstEvents(job) }))
  await appendEvents(
    tx,
    first.flatMap(({ job, events }) => events.map((event) => eventRow(job, { ...event, at: now }))),
  )
  return { ids, tells: await enqueueFirst(tx, told, first) }
}

/** How a job begins: on its own, with a result that there is, or behind a job that is at work on the same. */
interface Start {
  given: Extract<Earlier, { has: 'result' }> | null
  follows: string | null
}

async function startsOf(
  tx: Tx,
  deps: Deps,
  project_id: string,
  { jobs, ids, now }: { jobs: readonly NewJob[]; ids: readonly string[]; now: Date },
): Promise<Start[]> {
  const keys = [...new Set(jobs.flatMap(({ cache_key }) => cache_key ?? []))]
  const since = new Date(now.getTime() - deps.settings.cache_ttl_s * 1_000)
  const earlier = await findEarlier(tx, project_id, keys, since, now)
  return jobs.map(({ cache_key }, index) => {
    if (cache_key === null) return { given: null, follows: null }
    const found = earlier.get(cache_key)
    // Of equal jobs in one batch the first leads.
    if (!found) earlier.set(cache_key, { has: 'leader', job_id: ids[index] ?? '' })
    return {
      given: found?.has === 'result' ? found : null,
      follows: found?.has === 'leader' ? found.job_id : null,
    }
  })
}

/** A job with a result has ended as soon as it is there. */
function firstEvents({ state, outcome }: JobRow) {
  const queued = { type: 'job.queued' as const, sequence: 1, data: { state: 'queued' } }
  if (state === 'queued') return [queued]
  return [queued, { type: 'job.succeeded' as const, sequence: 2, data: { state, outcome, error: null } }]
}

async function insertJobs(
  tx: Tx,
  project_id: string,
  jobs: readonly NewJob[],
  { ids, starts, now }: { ids: readonly string[]; starts: readonly Start[]; now: Date },
): Promise<JobRow[]> {
  const values = jobs.map(({ spec, warnings, estimated_micros, shards, cache_key, dataset_id }, index) => ({
    id: ids[index] ?? '',
    project_id,
    kind: spec.kind,
    name: spec.name ?? null,
    spec: JSON.stringify(spec),
    priority: priorityOf(spec),
    labels: JSON.stringify(spec.labels),
    warnings: JSON.stringify(warnings),
    estimated_micros,
    cache_key,
    dataset_id,
    created_at: now,
    ...beginning(starts[index]?.given ?? null, shards, now),
    follows: starts[index]?.follows ?? null,
  }))
  const rows: JobRow[] = []
  for (const part of parts(values))
    rows.push(...(await tx.insertInto('jobs').values(part).returningAll().execute()))
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

/** State and counters of a job that waits, or that was given a result. */
function beginning(given: Start['given'], shards: number, now: Date) {
  const done = given !== null
  return {
    state: done ? ('succeeded' as const) : ('queued' as const),
    outcome: done ? ('succeeded' as const) : null,
    result: done ? JSON.stringify(given.result) : null,
    device_class: given?.device_class ?? null,
    cached_from: given?.job_id ?? null,
    finished_at: done ? now : null,
    event_sequence: done ? 2 : 1,
    shards_total: done ? 1 : shards,
    shards_waiting: done ? 0 : shards,
    shards_succeeded: done ? 1 : 0,
    shards_active: 0,
  }
}

function shardsOf(job: JobRow, nextId: () => string, now: Date) {
  const indexes = Array.from({ length: job.shards_total }, (_, index) => index)
  return indexes.map((index) => {
    const shard = newShard(job, { id: nextId(), role: 'work', index }, now)
    if (job.cached_from) return { ...shard, state: 'succeeded' as const, due_at: null, waiting_since: null }
    // It waits for its leader as long as it would wait for a place.
    return job.follows ? { ...shard, wait_reason: 'follows' as const, not_before: shard.due_at } : shard
  })
}

/** In their order, so that jobs of one batch stand in the queue and in lists as they were given. */
const newIds = (deps: Deps, prefix: IdPrefix, count: number, now: Date) =>
  Array.from({ length: count }, () => newId(prefix, now, deps.random)).toSorted()

function parts<Row>(rows: readonly Row[]): Row[][] {
  return Array.from({ length: Math.ceil(rows.length / maxRows) }, (_, part) =>
    rows.slice(part * maxRows, (part + 1) * maxRows),
  )
}
