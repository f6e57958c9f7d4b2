// The rows of one batch of commits: locked and read at its beginning, changed in memory, written at its end.
//
// Locks are taken in one order by everyone who takes more than one: jobs, shards, limits, budgets, refusals, and of
// each kind in the order of their ids. Reports lock their shards alone, in that order. Whoever writes an attempt holds the lock of its
// shard, so attempts need no order of their own. Claims and rests skip what is locked and wait for nobody. References
// lock the key of a job, shard or budget, which `for no key update` lets them. So nobody who waits is waited for, but for
// who follows a job that ends: followers are written last, and in the rare case that one is in another batch with what this
// one waits for, the database ends one of the two, which is then tried again by halves.
import { sql } from 'kysely'
import type { Change, JobRow, Plan } from '../plan.ts'
import { lockPurse, type Purse, writePurse } from './budgets.ts'
import { attemptColumns, type HeldAttempt, type HeldShard, shardColumns, touchesJob } from './changes.ts'
import type { Claimed } from './claim.ts'
import { newId } from '../ids.ts'
import { isTerminal } from '../state.ts'
import { passOn } from './cache.ts'
import { appendEvents, eventRow, numberEvents } from './events.ts'
import { type FoldDeps, foldedColumns, type FoldedJob, foldJob, type JobDelta, noDelta } from './fold.ts'
import { relist } from './lists.ts'
import { noteTold } from './health.ts'
import { enqueueMessages } from './messages.ts'
import { newShard, shapeOnClass } from './queue.ts'
import { type Told, writeMemory } from './open.ts'
import { type Launch, lockPlaces, type Places } from './places.ts'
import { difference, insertRows, updateRows, type Values } from './rows.ts'
import type { Tx } from './schema.ts'

export interface Commit {
  claimed: Claimed
  /** The job as it was decided with; its spec never changes. */
  job: Pick<JobRow, 'id' | 'spec' | 'event_sequence'>
  /** The version decided on; null for a fact that holds whatever else was reported, like a launch's handle. */
  facts_version: number | null
  plan: Plan
}

export interface Batch {
  now: Date
  /** As they were read under their locks. */
  stored: { shards: ReadonlyMap<string, HeldShard>; attempts: ReadonlyMap<string, HeldAttempt> }
  /** As the commits up to now have left them. */
  shards: Map<string, HeldShard>
  attempts: Map<string, HeldAttempt>
  jobs: ReadonlyMap<string, FoldedJob>
  /** What the commits add to each job that is locked. */
  deltas: ReadonlyMap<string, JobDelta>
  log_tails: ReadonlyMap<string, string>
  places: Places
  purse: Purse
  ledger: Values<'ledger'>[]
  told: Told[]
}

/** Whether a commit's lease and facts are still those of its shard. */
export const holds = (shard: HeldShard, { claimed, facts_version }: Commit): boolean =>
  shard.lease_token === claimed.lease.token &&
  (facts_version === null || shard.facts_version === facts_version)

/** What a commit launches; null: nothing. */
export function launchOf({ plan }: Commit, { project_id }: HeldShard): Launch | null {
  const launch = plan.changes.find((change) => change.change === 'launch')
  const runs_already = plan.changes.some(({ change }) => change === 'adopted')
  return launch ? { project_id, attempt: launch.attempt, runs_already } : null
}

export async function lockBatch(tx: Tx, commits: readonly Commit[], now: Date): Promise<Batch> {
  const jobs = await lockJobs(tx, commits)
  const shards = await lockShards(tx, commits, jobs)
  const held = commits.flatMap((commit) => {
    const shard = shards.get(commit.claimed.shard_id)
    return shard && holds(shard, commit) ? [{ commit, shard }] : []
  })
  const changes = held.flatMap(({ commit }) => commit.plan.changes)
  const attempts = await readAttempts(
    tx,
    idsOf(changes, (change) => 'attempt_id' in change),
  )
  const launches = held.flatMap(({ commit, shard }) => launchOf(commit, shard) ?? [])
  return {
    now,
    stored: { shards, attempts },
    shards: new Map(shards),
    attempts: new Map(attempts),
    jobs,
    deltas: new Map([...jobs.keys()].map((id) => [id, noDelta()])),
    log_tails: await readLogTails(
      tx,
      idsOf(changes, (change) => change.change === 'conclude' && change.error !== null),
    ),
    places: await lockPlaces(tx, launches),
    purse: await lockPurse(
      tx,
      {
        project_ids: launches.map(({ project_id }) => project_id),
        attempt_ids: idsOf(changes, ({ change }) => change === 'extend' || change === 'end'),
      },
      now,
    ),
    ledger: [],
    told: [],
  }
}

const idsOf = (changes: readonly Change[], match: (change: Change) => boolean): string[] =>
  changes.flatMap((change) => (match(change) && 'attempt_id' in change ? [change.attempt_id] : []))

/** Locks the jobs whose counters or state move. */
async function lockJobs(tx: Tx, commits: readonly Commit[]): Promise<Map<string, FoldedJob>> {
  const touched = commits.filter(({ plan }) => plan.changes.some(({ change }) => touchesJob[change]))
  if (touched.length === 0) return new Map()
  const specs = new Map(touched.map(({ job }) => [job.id, job.spec]))
  const rows = await tx
    .selectFrom('jobs')
    .modifyFront(sql`/* lock jobs */`)
    .select(foldedColumns)
    .where(sql<boolean>`id = any(${[...specs.keys()]}::text[])`)
    .orderBy('id')
    // Not `for update`: references to a row lock its key, in another order than ours.
    .forNoKeyUpdate()
    .execute()
  return new Map(
    rows.flatMap((row) => {
      const spec = specs.get(row.id)
      return spec ? [[row.id, { ...row, spec }] as const] : []
    }),
  )
}

/**
 * Locks the shards of the commits, and the others of jobs that may fail, for those are looked at then, or whose first
 * launch fixes what the others may be launched on.
 */
async function lockShards(
  tx: Tx,
  commits: readonly Commit[],
  jobs: ReadonlyMap<string, FoldedJob>,
): Promise<Map<string, HeldShard>> {
  const ids = commits.map(({ claimed }) => claimed.shard_id)
  const sharing = commits.flatMap(({ job, plan }) => {
    const { shards_total = 1, device_class = null } = jobs.get(job.id) ?? {}
    const concerns = plan.changes.some(
      (change) =>
        (change.change === 'finish' && change.state === 'failed') ||
        (change.change === 'launch' && device_class === null),
    )
    return concerns && shards_total > 1 ? [job.id] : []
  })
  const mine = sql<boolean>`id = any(${ids}::text[])`
  const theirs = sql<boolean>`job_id = any(${sharing}::text[]) and state in ('waiting', 'active')`
  const rows = await tx
    .selectFrom('shards')
    .modifyFront(sharing.length === 0 ? sql`/* lock shards */` : sql``)
    .select(shardColumns)
    .where(sharing.length === 0 ? mine : sql<boolean>`(${mine} or ${theirs})`)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

async function readAttempts(tx: Tx, ids: readonly string[]): Promise<Map<string, HeldAttempt>> {
  if (ids.length === 0) return new Map()
  const rows = await tx
    .selectFrom('attempts')
    .modifyFront(sql`/* read attempts */`)
    .select(attemptColumns)
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** The last lines of attempts' logs, for the errors that users read first. */
async function readLogTails(tx: Tx, attempt_ids: readonly string[]): Promise<Map<string, string>> {
  if (attempt_ids.length === 0) return new Map()
  const { rows } = await sql<{ attempt_id: string; text: string }>`
    select attempt_id, text from unnest(${attempt_ids}::text[]) as of_attempt(id), lateral (
      select attempt_id, number, text from log_chunks
      where attempt_id = of_attempt.id and stream <> 'runner' order by number desc limit ${tailChunks}) as newest
    order by attempt_id, number`.execute(tx)
  const texts = Map.groupBy(rows, ({ attempt_id }) => attempt_id)
  return new Map(
    [...texts].map(([id, chunks]) => [
      id,
      chunks
        .map(({ text }) => text)
        .join('')
        .slice(-tailCharacters),
    ]),
  )
}
const tailChunks = 10
const tailCharacters = 2_000

/**
 * Writes what the commits have changed; a job's state follows from all that its shards add to it. Answers whether there are messages to
 * send.
 */
export async function writeBatch(tx: Tx, deps: FoldDeps, batch: Batch): Promise<boolean> {
  const { stored, jobs, deltas, purse, ledger, told, now } = batch
  const folded = [...jobs.values()].map((job) => {
    const delta = deltas.get(job.id)
    const same = { job, events: [], merges: false }
    return { before: job, ...(delta && !isEmpty(delta) ? foldJob(job, delta, now) : same) }
  })
  lookAtOthers(batch)
  fixClasses(batch)
  const attempts = [...batch.attempts.values()]
  const isNew = ({ id }: HeldAttempt) => !stored.attempts.has(id)
  await updateRows(tx, 'attempts', changedRows(stored.attempts, attempts))
  await insertRows(tx, 'attempts', attempts.filter(isNew))
  await updateRows(tx, 'shards', changedRows(stored.shards, batch.shards.values()))
  await updateRows(
    tx,
    'jobs',
    changedRows(
      jobs,
      folded.map(({ job }) => job),
    ),
  )
  await relist(
    tx,
    folded.map(({ before, job }) => ({ from: before, to: job })),
  )
  const merges = folded.filter((each) => each.merges).map(({ job }) => mergeShard(job, deps))
  await insertRows(tx, 'shards', merges)
  const events = folded.flatMap(({ job, events: of_job }) => of_job.map((event) => eventRow(job, event)))
  const of_budgets = await numberEvents(tx, 'budgets', purse.events)
  await appendEvents(tx, [...events, ...of_budgets])
  const messages = await enqueueMessages(tx, deps, folded, of_budgets)
  await writePurse(tx, purse)
  await insertRows(tx, 'ledger', [...purse.ledger, ...ledger])
  await writeMemory(tx, told, now)
  await noteTold(tx, deps, told)
  for (const { before, job } of folded)
    if (isTerminal(job.state) && !isTerminal(before.state)) await passOn(tx, job, now)
  // What is told of an account may be a message.
  return messages > 0 || told.length > 0
}

/** The shard that joins the parts of a job. */
const mergeShard = (job: FoldedJob, { random, now }: FoldDeps) =>
  newShard(job, { id: newId('shd', now, random), role: 'merge', index: job.shards_total }, now)

const isEmpty = ({ counters, events, warnings, providers, ...rest }: JobDelta) =>
  Object.keys(counters).length +
    events.length +
    warnings.length +
    Object.keys(rest).length +
    providers.length ===
  0

/** From the first launch on all parts of a job run on one class of device: those that wait differ from now on. */
function fixClasses({ jobs, deltas, shards }: Batch): void {
  for (const shard of shards.values()) {
    const job = jobs.get(shard.job_id)
    const fixed = deltas.get(shard.job_id)?.device_class
    if (!job || !fixed || job.shards_total === 1 || job.device_class !== null) continue
    if (shard.state === 'waiting' && shard.role === 'work')
      shards.set(shard.id, { ...shard, shape_hash: shapeOnClass(shard.shape_hash, fixed) })
  }
}

/** The other shards of a job that has lost one for good are looked at soon: they may have to stop. */
function lookAtOthers({ deltas, shards, now }: Batch): void {
  for (const shard of shards.values()) {
    const isOpen = shard.state === 'waiting' || shard.state === 'active'
    if (isOpen && deltas.get(shard.job_id)?.failure && (!shard.due_at || shard.due_at > now))
      shards.set(shard.id, { ...shard, due_at: now })
  }
}

function changedRows<Row extends HeldAttempt | HeldShard | FoldedJob>(
  stored: ReadonlyMap<string, Row>,
  rows: Iterable<Row>,
): { key: { id: string }; values: Partial<Row> }[] {
  return [...rows].flatMap((row) => {
    const before = stored.get(row.id)
    return before && before !== row ? [{ key: { id: row.id }, values: difference(before, row) }] : []
  })
}
