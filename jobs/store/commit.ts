// The one door through which states change. Every plan is one transaction, guarded by the lease and by the
// facts it was decided on; on a mismatch nothing is written and the shard stays due.
import { sql } from 'kysely'
import type { JobRow, Plan, ShardRow } from '../plan.ts'
import { classOf } from '../shards.ts'
import { firstReservation, hasRoom, type Held, lockBudgets } from './budgets.ts'
import { apply, touchesJob } from './changes.ts'
import type { Claimed } from './claim.ts'
import { foldJob, type JobDelta } from './fold.ts'
import { countOpenOf } from './open.ts'
import type { Database, Tx } from './schema.ts'

export interface Commit {
  claimed: Claimed
  job_id: string
  /** The version decided on; null for a fact that holds whatever else was reported, like a launch's handle. */
  facts_version: number | null
  plan: Plan
}
export interface CommitDeps {
  db: Database
  random: (bytes: number) => Uint8Array
  public_url: () => string
}

/** `stale`: the lease or the facts are not those it was decided with, or the slot is taken. */
export type Committed = 'done' | 'stale' | 'over_budget'

/** Writes a plan, or nothing of it. */
export async function commitDecisions(deps: CommitDeps, commit: Commit, now: Date): Promise<Committed> {
  const { claimed, plan } = commit
  return deps.db.transaction().execute(async (tx) => {
    // The job before the shard, as orders do: one order of locks for all.
    const folds = plan.changes.some((change) => touchesJob[change.change])
    const job = folds ? await lockJob(tx, commit.job_id) : null
    const shard = await lockShard(tx, claimed)
    if (!shard || (commit.facts_version !== null && shard.facts_version !== commit.facts_version))
      return 'stale'
    if (!isOfItsClass(job, shard, plan) || !(await placesFree(tx, shard, plan))) return 'stale'
    const budgets = await roomFor(tx, job, plan, now)
    if (!budgets) return 'over_budget'
    const delta: JobDelta = { counters: {}, events: [], warnings: [] }
    for (const change of plan.changes) await apply(tx, { job, shard, delta, now, budgets }, change)
    if (job) await foldJob(tx, { ...deps, now }, job, delta)
    const released = plan.calls.length === 0
    await tx
      .updateTable('shards')
      .set({
        // Without a look at the facts, what was reported meanwhile stays due.
        due_at: commit.facts_version === null ? sql<Date>`least(due_at, ${plan.due_at})` : plan.due_at,
        ...(released ? { lease_replica: null, lease_token: null, leased_until: null } : {}),
      })
      .where('id', '=', shard.id)
      .execute()
    return 'done'
  })
}

/** Whether what is launched runs on the class of device that another part of the job may have fixed meanwhile. */
function isOfItsClass(job: JobRow | null, { role }: ShardRow, plan: Plan): boolean {
  const launch = plan.changes.find((change) => change.change === 'launch')
  const fixed = role === 'work' && job && job.shards_total > 1 ? job.device_class : null
  return !launch || !fixed || classOf(launch.attempt.request.offer) === fixed
}

/** The locked budgets of what the plan launches; null: one of them has no room. */
async function roomFor(tx: Tx, job: JobRow | null, plan: Plan, now: Date): Promise<Held[] | null> {
  const launch = plan.changes.find((change) => change.change === 'launch')
  if (!launch || !job) return []
  const budgets = await lockBudgets(tx, job, now)
  // What runs already costs already, room or not.
  if (plan.changes.some(({ change }) => change === 'adopted')) return budgets
  return (await hasRoom(tx, budgets, firstReservation(launch.attempt), now)) ? budgets : null
}

// Not `for update`: inserts and updates of rows that refer to a job or shard lock its key, in another order than ours.
async function lockJob(tx: Tx, id: string): Promise<JobRow> {
  return tx.selectFrom('jobs').selectAll().where('id', '=', id).forNoKeyUpdate().executeTakeFirstOrThrow()
}

async function lockShard(tx: Tx, { shard_id, lease }: Claimed): Promise<ShardRow | undefined> {
  return tx
    .selectFrom('shards')
    .selectAll()
    .where('id', '=', shard_id)
    .where('lease_token', '=', lease.token)
    .forNoKeyUpdate()
    .executeTakeFirst()
}

// Fixed capacity and limits are counted again under a lock, so that two passes cannot both take the last place.
async function placesFree(tx: Tx, { project_id }: ShardRow, plan: Plan): Promise<boolean> {
  const launch = plan.changes.find((change) => change.change === 'launch')
  if (!launch) return true
  const { kind, bounds, request } = launch.attempt
  const { provider, account, id: offer_id, slots } = request.offer
  const placed = { provider, account, offer_id, kind, project_id }
  const all = [
    ...bounds.map((bound) => ({ ...bound, name: `${bound.scope}:${bound.key}` })),
    ...(slots === null
      ? []
      : [{ scope: 'offer' as const, name: `slots:${provider}/${account}`, max_running: slots }]),
  ].map((bound) => ({
    ...bound,
    lock: `${bound.name}/${perOffer.has(bound.scope) ? `${provider}/${account}/${offer_id}` : ''}`,
  }))
  // In one order for all, so that no two wait for each other.
  for (const bound of all.toSorted((a, b) => (a.lock < b.lock ? -1 : 1))) {
    await sql`select pg_advisory_xact_lock(hashtextextended(${bound.lock}, 0))`.execute(tx)
    if ((await countOpenOf(tx, bound.scope, placed)) >= bound.max_running) return false
  }
  return true
}

/** Bounds of one offer each. */
const perOffer: ReadonlySet<string> = new Set(['device', 'offer'])
