// The one door through which states change. Many plans are one transaction: each is guarded by its lease and by the
// facts it was decided on; of one that does not hold any more nothing is written, and the others go on.
import { type Batch, type Commit, holds, launchOf, lockBatch, writeBatch } from './batch.ts'
import { reserve } from './budgets.ts'
import { apply, type HeldShard, type Scope } from './changes.ts'
import { topics, type Waker } from '../deps.ts'
import { classOf } from '../shards.ts'
import { noDelta } from './fold.ts'
import { countCommitted, type Meter } from '../figures.ts'
import { countPlace, hasPlace, type Launch } from './places.ts'
import { countChange } from './count-change.ts'
import { movesQueue } from './queue.ts'
import type { Database, Tx } from './schema.ts'

export interface CommitDeps {
  db: Database
  random: (bytes: number) => Uint8Array
  public_url: () => string
  /** Counts what was written; nobody need. */
  meter?: Meter
  /** Is told where there are messages to send; nobody need. */
  waker?: Pick<Waker, 'wake'>
}

/** `stale`: the lease or the facts are not those it was decided with, or the slot is taken. */
export type Committed = 'done' | 'stale' | 'over_budget'
/** What became of one of many; `error`: it cannot be written, whatever the others are. */
export type Answer = Committed | { error: unknown }

/**
 * Plans of one transaction: enough for its own cost to be small beside theirs, and few enough for a report to wait for
 * its locks no longer than some tenths of a second.
 */
export const maxBatch = 1_000

/** Writes plans, each or nothing of it, and answers for each in their order. Throws when the database is away. */
export async function commitDecisions(
  deps: CommitDeps,
  commits: readonly Commit[],
  now: Date,
): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let first = 0; first < commits.length; first += maxBatch)
    answers.push(...(await commitBatch(deps, commits.slice(first, first + maxBatch), now)))
  return answers
}

/** Writes one plan, or nothing of it; throws when it cannot be written. */
export async function commitDecision(deps: CommitDeps, commit: Commit, now: Date): Promise<Committed> {
  const [answer] = await commitDecisions(deps, [commit], now)
  if (typeof answer === 'object') throw answer.error
  return answer ?? 'stale'
}

/** One that cannot be written is found by halves, so that it fails nobody else. */
async function commitBatch(deps: CommitDeps, commits: readonly Commit[], now: Date): Promise<Answer[]> {
  const done = await tryBatch(deps, commits, now)
  if (Array.isArray(done)) return done
  if (commits.length === 1) return [done]
  const half = commits.length >> 1
  return [
    ...(await commitBatch(deps, commits.slice(0, half), now)),
    ...(await commitBatch(deps, commits.slice(half), now)),
  ]
}

type Tried = Committed[] | { error: unknown }

async function tryBatch(deps: CommitDeps, commits: readonly Commit[], now: Date): Promise<Tried> {
  try {
    const written = await deps.db.transaction().execute((tx) => write(tx, deps, commits, now))
    if ('error' in written) return written
    if (deps.meter) countCommitted(deps.meter, commits, written.answers, written.batch)
    if (written.tells) deps.waker?.wake(topics.webhooks)
    return written.answers
  } catch (error) {
    if (isOfRows(error)) return { error }
    throw error
  }
}

/** Whether rows are at fault by their SQLSTATE: data, constraints, deadlocks, limits, raised exceptions. */
function isOfRows(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /^(2[0-9]|40|42|44|54|P0)[0-9A-Z]{3}$/.test(code)
}

async function write(
  tx: Tx,
  deps: CommitDeps,
  commits: readonly Commit[],
  now: Date,
): Promise<{ answers: Committed[]; batch: Batch; tells: boolean } | { error: unknown }> {
  const batch = await lockBatch(tx, commits, now)
  const answers: Committed[] = []
  try {
    for (const commit of commits) answers.push(settle(batch, commit))
  } catch (error) {
    // A plan asks for what is not legal. Nothing is written up to here.
    return { error }
  }
  const tells = await writeBatch(tx, { ...deps, now }, batch)
  if (commits.some(({ plan }) => plan.changes.some(({ change }) => movesQueue.has(change))))
    await countChange(tx)
  return { answers, batch, tells }
}

/** Makes the changes of one plan in memory, if it still holds. */
function settle(batch: Batch, commit: Commit): Committed {
  const { plan, facts_version } = commit
  const shard = batch.shards.get(commit.claimed.shard_id)
  if (!shard || !holds(shard, commit)) return 'stale'
  const launch = launchOf(commit, shard)
  if (launch && !mayLaunch(batch, commit, shard, launch)) return 'stale'
  const paid_until = launch ? pay(batch, commit, launch) : null
  if (paid_until === 'no_room') return 'over_budget'
  if (launch) countPlace(batch.places, launch)
  const scope: Scope = {
    ...batch,
    shard,
    delta: batch.deltas.get(commit.job.id) ?? noDelta(),
    parts: batch.jobs.get(commit.job.id)?.shards_total ?? 1,
    paid_until,
    error: null,
  }
  for (const change of plan.changes) apply(scope, change)
  batch.shards.set(shard.id, {
    ...scope.shard,
    // Without a look at the facts, what was reported meanwhile stays due.
    due_at: facts_version === null ? earliest(shard.due_at, plan.due_at) : plan.due_at,
    ...(plan.calls.length === 0 ? { lease_replica: null, lease_token: null, leased_until: null } : {}),
  })
  return 'done'
}

const mayLaunch = (batch: Batch, commit: Commit, shard: HeldShard, launch: Launch): boolean =>
  isOfItsClass(batch, shard, launch) && hasItsShare(batch, commit) && hasPlace(batch.places, launch)

/** Whether what is launched runs on the class of device that another part of the job may have fixed meanwhile. */
function isOfItsClass({ jobs, deltas }: Batch, { job_id, role }: HeldShard, { attempt }: Launch): boolean {
  const job = jobs.get(job_id)
  if (role === 'merge' || !job || job.shards_total === 1) return true
  const fixed = job.device_class ?? deltas.get(job_id)?.device_class
  return !fixed || classOf(attempt.request.offer) === fixed
}

/**
 * Whether what the launch may cost is still its share of the job's budget: a part that has come back since, which is told by an event,
 * wants of what was left.
 */
function hasItsShare({ jobs }: Batch, { job }: Commit): boolean {
  const now = jobs.get(job.id)
  if (job.spec.budget_usd === undefined || !now || now.shards_total === 1) return true
  return now.event_sequence === job.event_sequence
}

function pay(
  batch: Batch,
  { job }: Commit,
  { project_id, attempt, runs_already }: Launch,
): Date | null | 'no_room' {
  const labels = batch.jobs.get(job.id)?.labels ?? {}
  const payer = { ...attempt, project_id, job_id: job.id }
  // What runs already costs already, room or not.
  return reserve(batch.purse, { labels }, payer, batch.now, runs_already)
}

const earliest = (a: Date | null, b: Date | null) => (a && b ? (a < b ? a : b) : (a ?? b))
