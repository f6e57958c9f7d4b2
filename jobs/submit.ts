// Accepts jobs. Submits that come while a transaction is under way are written together in the next one, each answered
// as if it had been alone; a single job is a batch of one.
import { sql } from 'kysely'
import { type Admission, createAdmission } from './admission.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError, type Refusal } from './errors.ts'
import { createGroup, type Outcome } from './group.ts'
import {
  type Claim,
  type IdempotencyKey,
  jobsOf,
  type Kept,
  keyReused,
  type Made,
  nameOf,
  readKept,
} from './idempotency.ts'
import { type IdPrefix, newId } from './ids.ts'
import type { Grant } from './keys.ts'
import type { JobRow } from './plan.ts'
import { type AcceptedJob, writeNewJobs } from './store/new-jobs.ts'
import type { Database } from './store/schema.ts'

export interface NewJob extends Omit<AcceptedJob, 'id' | 'project_id' | 'is_heard' | 'claim' | 'shard_ids'> {
  /** Parts that it is cut into. */
  shards: number
}
/** What is to be submitted, or why it cannot be. */
export type Prepared = NewJob | { problem: Refusal }

export interface Submitted {
  /** One of each that was given, in their order. */
  items: readonly Made[]
  /** The key had been used with this body: nothing new was made. */
  replayed: boolean
  /** What was stored, by id; of a replay nothing. */
  jobs: ReadonlyMap<string, JobRow>
}

export interface SubmitRequest {
  /** Whose request it is. */
  by: Pick<Grant, 'project_id' | 'has_endpoints'>
  prepared: readonly Prepared[]
  idempotency: IdempotencyKey | null
}

/**
 * Stores those that can be, together, and durably when it answers. Rejects with AppError: queue_full,
 * idempotency_key_reused, busy.
 */
export type Submit = (request: SubmitRequest, isGone?: () => boolean) => Promise<Submitted>

/** Rows of jobs and shards in one statement: some tens of milliseconds. A request with more has one to itself. */
const mostRows = 1_000

export function createSubmit(deps: Deps): Submit {
  const admission = createAdmission(deps)
  const group = createGroup<Call, Submitted>({
    name: 'submits',
    clock: deps.clock,
    gather: deps.gather,
    weigh: (call) => 1 + call.prepared.length + shardsOf(call),
    most_weight: mostRows,
    run: (calls) => runSubmits(deps, admission, calls),
  })
  return async (request, isGone) => {
    const call: Call = { ...request, accepted: null, items: [], tried: false }
    const submitted = await group(call, isGone)
    if (!submitted.replayed) for (const topic of [topics.pass, topics.events]) deps.waker.wake(topic)
    return submitted
  }
}

/** A request with what is fixed at its first try, so that another try is the same. */
interface Call extends SubmitRequest {
  accepted: readonly AcceptedJob[] | null
  items: readonly Made[]
  /** A try has failed, and may have been stored all the same. */
  tried: boolean
}

const newJobsOf = ({ prepared }: SubmitRequest) => prepared.filter((each) => 'spec' in each)
const shardsOf = (request: SubmitRequest) => newJobsOf(request).reduce((sum, { shards }) => sum + shards, 0)

async function runSubmits(
  deps: Deps,
  admission: Admission,
  calls: readonly Call[],
): Promise<Outcome<Submitted>[]> {
  const { db, settings } = deps
  const now = deps.clock.now()
  fixIds(deps, calls, now)
  const known = await knownBefore(db, admission, calls, now)
  const decided = decide(calls, known, admission)
  const fresh = decided.flatMap((each) => ('fresh' in each ? [each.fresh] : []))
  const cached_since = new Date(now.getTime() - settings.cache_ttl_s * 1_000)
  const writing = { random: deps.random, public_url: settings.public_url, now, cached_since }
  try {
    const claims = fresh.flatMap((call) => claimOf(call) ?? [])
    const { rows, refused, tells } = await writeNewJobs(
      db,
      writing,
      fresh.flatMap(({ accepted }) => accepted ?? []),
      claims,
    )
    if (tells) deps.waker.wake(topics.webhooks)
    const jobs = new Map(rows.map((row) => [row.id, row]))
    const isRefused = (call: Call) => refused.has(claimName(call) ?? '')
    const kept = await readKept(
      db,
      claims.filter((claim) => refused.has(nameOf(claim))),
      now,
    )
    return calls.map((call, index) => outcomeOf(call, decided[index], { jobs, kept, isRefused }))
  } catch (error) {
    for (const call of calls) call.tried = true
    throw error
  }
}

/** Gives ids, in the order in which the requests came: so jobs stand in the queue and in lists. */
function fixIds(deps: Deps, calls: readonly Call[], now: Date): void {
  const open = calls.filter(({ accepted }) => accepted === null)
  const ids = newIds(deps, 'job', open.flatMap(newJobsOf).length, now).values()
  const shard_ids = newIds(
    deps,
    'shd',
    open.reduce((sum, call) => sum + shardsOf(call), 0),
    now,
  ).values()
  const next = (some: Iterator<string, undefined>) => some.next().value ?? ''
  for (const call of open) {
    const { project_id, has_endpoints } = call.by
    const accepted: AcceptedJob[] = []
    call.items = call.prepared.map((each) => {
      if (!('spec' in each)) return each
      const id = next(ids)
      accepted.push({
        ...each,
        id,
        project_id,
        is_heard: has_endpoints,
        claim: claimName(call),
        shard_ids: Array.from({ length: each.shards }, () => next(shard_ids)),
      })
      return { job_id: id }
    })
    call.accepted = accepted
  }
}

const newIds = (deps: Deps, prefix: IdPrefix, count: number, now: Date) =>
  Array.from({ length: count }, () => newId(prefix, now, deps.random)).toSorted()

interface Known {
  kept: ReadonlyMap<string, Kept>
  /** Jobs of these requests that are there: what a try before did, whose answer was lost. */
  stored: ReadonlyMap<string, JobRow>
}

async function knownBefore(
  db: Database,
  admission: Admission,
  calls: readonly Call[],
  now: Date,
): Promise<Known> {
  const tried = calls.filter((call) => call.tried).flatMap(({ items }) => jobsOf(items))
  const stored = tried.length === 0 ? [] : await readJobs(db, tried)
  const shards = calls.reduce((sum, call) => sum + shardsOf(call), 0)
  // What a key has made before needs no room.
  const claims = (await admission.hasRoom(db, shards)) ? [] : calls.flatMap((call) => claimOf(call) ?? [])
  return { kept: await readKept(db, claims, now), stored: new Map(stored.map((row) => [row.id, row])) }
}

const readJobs = (db: Database, ids: readonly string[]): Promise<JobRow[]> =>
  db
    .selectFrom('jobs')
    .selectAll()
    .where(sql<boolean>`id = any(${[...ids]}::text[])`)
    .execute()

const claimOf = ({ by: { project_id }, idempotency, items }: Call): Claim | null =>
  idempotency && { ...idempotency, project_id, items }
const claimName = ({ by: { project_id }, idempotency }: SubmitRequest): string | null =>
  idempotency && nameOf({ project_id, key: idempotency.key })

/** `after`: an earlier request of the batch has the same key. */
type Decided = Outcome<Submitted> | { fresh: Call } | { after: Call }

/** What becomes of each request, in their order, as if each had come after the end of the one before. */
function decide(calls: readonly Call[], { kept, stored }: Known, { admit }: Admission): Decided[] {
  const first = new Map<string, Call>()
  return calls.map((call) => {
    const name = claimName(call)
    if (jobsOf(call.items).some((id) => stored.has(id)))
      return { value: { items: call.items, replayed: false, jobs: stored } }
    const earlier = name === null ? undefined : kept.get(name)
    if (earlier) return replay(call, earlier)
    const before = name === null ? undefined : first.get(name)
    if (before) return { after: before }
    try {
      admit(shardsOf(call))
    } catch (error) {
      return { error }
    }
    if (name !== null) first.set(name, call)
    return { fresh: call }
  })
}

interface Written {
  jobs: ReadonlyMap<string, JobRow>
  kept: ReadonlyMap<string, Kept>
  isRefused: (call: Call) => boolean
}

function outcomeOf(
  call: Call,
  decided: Decided | undefined,
  { jobs, kept, isRefused }: Written,
): Outcome<Submitted> {
  if (decided === undefined || 'value' in decided || 'error' in decided)
    return decided ?? { error: new Error('a submit was not decided') }
  const leading = 'fresh' in decided ? decided.fresh : decided.after
  if (isRefused(leading)) {
    const earlier = kept.get(claimName(call) ?? '')
    // It was there a moment ago: its day is over, or its project is.
    return earlier ? replay(call, earlier) : { error: gone }
  }
  if (leading === call) return { value: { items: call.items, replayed: false, jobs } }
  return replay(call, { items: leading.items, body_sha256: leading.idempotency?.body_sha256 ?? '' })
}
const gone = new AppError('busy', 'The Idempotency-Key has just expired: send the request again.', {
  headers: { 'Retry-After': '1' },
})

/** The answer of a request whose key was used before. */
function replay(call: Call, earlier: Kept): Outcome<Submitted> {
  if (earlier.body_sha256 !== call.idempotency?.body_sha256) return { error: keyReused() }
  // Its own, if a try before was stored while this one waited for the key.
  const own = call.tried && jobsOf(earlier.items)[0] === jobsOf(call.items)[0]
  return { value: { items: earlier.items, replayed: !own, jobs: none } }
}
const none: ReadonlyMap<string, JobRow> = new Map()
