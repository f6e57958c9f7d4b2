// Writes jobs that have just been accepted: with their shards and first events, in a number of statements that does not
// depend on how many there are, or whose.
import { type Claim, nameOf } from '../idempotency.ts'
import type { JobRow } from '../plan.ts'
import { type JobSpec, priorityOf } from '../spec.ts'
import { type Earlier, findEarlier, lendPriority } from './cache.ts'
import { eventRow } from './events.ts'
import type { FoldDeps } from './fold.ts'
import { insertFresh, insertMixed } from './insert-jobs.ts'
import { entriesOf } from './lists.ts'
import { firstMessages } from './messages.ts'
import { newShard, queueKeyOf } from './queue.ts'
import type { Values } from './rows.ts'
import type { Database, Tx, Warning } from './schema.ts'

/** An accepted job, with the ids that it and its shards get. */
export interface AcceptedJob {
  id: string
  project_id: string
  /** Whether its project had endpoints that hear of events when the request came. */
  is_heard: boolean
  /** The name of the idempotency key of its request; null: it has none. */
  claim: string | null
  /** One for each part that it is cut into. */
  shard_ids: readonly string[]
  spec: JobSpec
  warnings: Warning[]
  /** Micro-dollars; null: nobody can tell. */
  estimated_micros: number | null
  /** Equal for jobs with one result; null: it may differ each time. */
  cache_key: string | null
  /** What it reads its prices from; null: a sample or files. */
  dataset_id: string | null
}

export interface Writing extends FoldDeps {
  /** Results older than this are not given again. */
  cached_since: Date
}

/**
 * Takes the keys that are free, and writes the jobs whose key is free, or that have none, in the order in which they
 * came: all or nothing of it. Answers the rows of those jobs, which keys were not free, and whether there may be messages
 * to send.
 */
export async function writeNewJobs(
  db: Database,
  deps: Writing,
  accepted: readonly AcceptedJob[],
  claims: readonly Claim[],
): Promise<{ rows: JobRow[]; refused: ReadonlySet<string>; tells: boolean }> {
  if (accepted.length === 0 && claims.length === 0) return { rows: [], refused: new Set(), tells: false }
  // Most batches are one statement, which is a transaction by itself.
  if (accepted.every(({ cache_key }) => cache_key === null))
    return write(db, deps, { accepted, starts: accepted.map(() => alone), claims })
  return db.transaction().execute(async (tx) => {
    const starts = await startsOf(tx, deps, accepted)
    const written = await write(tx, deps, { accepted, starts, claims })
    await lendPriority(
      tx,
      written.rows.flatMap((row) =>
        row.follows ? [{ leader: row.follows, queue_key: queueKeyOf(row) }] : [],
      ),
    )
    return written
  })
}

interface Batch {
  accepted: readonly AcceptedJob[]
  starts: readonly Start[]
  claims: readonly Claim[]
}

async function write(db: Database | Tx, deps: Writing, { accepted, starts, claims }: Batch) {
  const { now } = deps
  const jobs = accepted.map((job, index) => jobRow(job, starts[index] ?? alone, now))
  const keys = accepted.map(({ claim }) => claim)
  const told = jobs.map((job) => ({ job, events: firstEvents(job) }))
  const deliveries = await firstMessages(
    db,
    deps,
    told,
    accepted.flatMap(({ project_id, is_heard }) => (is_heard ? [project_id] : [])),
  )
  const insert = starts.every(isFresh) ? insertFresh : insertMixed
  const taken = await insert(db, {
    claims,
    now,
    jobs,
    keys,
    shards: accepted.flatMap(({ shard_ids }, index) => shardsOf(jobs[index], shard_ids, now)),
    events: told.flatMap(({ job, events }) => events.map((event) => eventRow(job, { ...event, at: now }))),
    deliveries,
    entries: entriesOf(jobs),
  })
  const names = new Set(taken.map(({ name }) => name))
  const refused = new Set(claims.map(nameOf).filter((name) => !names.has(name)))
  return {
    rows: jobs.filter((_, index) => keys[index] === null || names.has(keys[index] ?? '')),
    refused,
    tells: deliveries.length > 0,
  }
}

/** How a job begins: on its own, with a result that there is, or behind a job that is at work on the same. */
interface Start {
  given: Extract<Earlier, { has: 'result' }> | null
  follows: string | null
}
const alone: Start = { given: null, follows: null }
const isFresh = ({ given, follows }: Start) => given === null && follows === null

async function startsOf(
  tx: Tx,
  { cached_since, now }: Writing,
  accepted: readonly AcceptedJob[],
): Promise<Start[]> {
  const asked = new Map(
    accepted.flatMap(({ project_id, cache_key: key }) =>
      key === null ? [] : [[key, { project_id, key }] as const],
    ),
  )
  const earlier = await findEarlier(tx, [...asked.values()], cached_since, now)
  return accepted.map(({ id, cache_key }) => {
    if (cache_key === null) return alone
    const found = earlier.get(cache_key)
    // Of equal jobs that come together the first leads.
    if (!found) earlier.set(cache_key, { has: 'leader', job_id: id })
    return {
      given: found?.has === 'result' ? found : null,
      follows: found?.has === 'leader' ? found.job_id : null,
    }
  })
}

/** The row as it is stored: a job that waits, or that was given a result. */
function jobRow(job: AcceptedJob, { given, follows }: Start, now: Date): JobRow {
  const { id, project_id, shard_ids, spec, warnings, estimated_micros, cache_key, dataset_id } = job
  const { kind, name, labels } = spec
  const done = given !== null
  const shards = done ? 1 : shard_ids.length
  return {
    id,
    project_id,
    kind,
    name: name ?? null,
    spec,
    priority: priorityOf(spec),
    labels,
    providers: [],
    state: done ? 'succeeded' : 'queued',
    outcome: done ? 'succeeded' : null,
    error: null,
    warnings,
    result: done ? given.result : null,
    estimated_micros,
    shards_total: shards,
    shards_waiting: done ? 0 : shards,
    shards_active: 0,
    shards_running: 0,
    shards_succeeded: done ? 1 : 0,
    shards_failed: 0,
    shards_cancelled: 0,
    event_sequence: done ? 2 : 1,
    order_kind: null,
    order_at: null,
    merge_state: null,
    device_class: given?.device_class ?? null,
    cache_key,
    follows,
    cached_from: given?.job_id ?? null,
    dataset_id,
    created_at: now,
    started_at: null,
    finished_at: done ? now : null,
    deleted_at: null,
    purged_at: null,
  }
}

function shardsOf(job: JobRow | undefined, ids: readonly string[], now: Date): Values<'shards'>[] {
  if (!job) return []
  return ids.slice(0, job.shards_total).map((id, index) => {
    const shard = newShard(job, { id, role: 'work', index }, now)
    if (job.cached_from) return { ...shard, state: 'succeeded', due_at: null, waiting_since: null }
    // It waits for its leader as long as it would wait for a place.
    return job.follows ? { ...shard, wait_reason: 'follows', not_before: shard.due_at ?? null } : shard
  })
}

/** A job with a result has ended as soon as it is there. */
function firstEvents({ state, outcome }: JobRow) {
  const queued = { type: 'job.queued' as const, sequence: 1, data: { state: 'queued' } }
  if (state === 'queued') return [queued]
  return [queued, { type: 'job.succeeded' as const, sequence: 2, data: { state, outcome, error: null } }]
}
