// What a client asks of a job that runs: recorded here, carried out by the pass.
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import { isTerminal, jobStates, type Order } from './state.ts'
import { findJobs, type JobFilter } from './store/find.ts'
import { relist } from './store/lists.ts'
import type { Tx } from './store/schema.ts'
import { sql } from 'kysely'

/** Jobs that one request orders, and that one of its transactions locks. */
const maxOrdered = 1_000
const maxLocked = 100

/**
 * Records a stop (best so far is kept) or a cancel (discards). A second order of the same kind changes
 * nothing; a cancel outranks a stop. Throws AppError: not_found, job_finished.
 */
export async function orderJob(deps: Deps, project_id: string, job_id: string, order: Order): Promise<void> {
  const now = deps.clock.now()
  const answers = await deps.db
    .transaction()
    .execute((tx) => orderJobs(tx, { project_id, ids: [job_id], order, now }))
  const answer = answers.get(job_id)
  if (!answer) throw new AppError('not_found', `There is no job ${job_id.slice(0, 100)}.`)
  if (answer === 'finished') throw new AppError('job_finished', `${job_id} has finished.`)
  deps.waker.wake(topics.pass)
}

/**
 * Cancels what a filter finds among the jobs that have not ended, newest first and not more than a thousand; `next_cursor`
 * says where to go on.
 */
export async function cancelJobs(
  deps: Deps,
  project_id: string,
  filter: JobFilter,
  cursor: string | undefined,
): Promise<{ cancelled: number; next_cursor: string | null }> {
  const states = (filter.states ?? jobStates).filter((state) => !isTerminal(state))
  const page = { limit: maxOrdered + 1, cursor }
  const found = states.length === 0 ? [] : await findJobs(deps.db, project_id, { ...filter, states }, page)
  const ids = found.slice(0, maxOrdered)
  let cancelled = 0
  for (let from = 0; from < ids.length; from += maxLocked) {
    const some = { project_id, ids: ids.slice(from, from + maxLocked), order: 'cancel' as const }
    const now = deps.clock.now()
    const answers = await deps.db.transaction().execute((tx) => orderJobs(tx, { ...some, now }))
    cancelled += [...answers.values()].filter((answer) => answer === 'ordered').length
  }
  if (cancelled > 0) deps.waker.wake(topics.pass)
  return { cancelled, next_cursor: found.length > maxOrdered ? (ids.at(-1) ?? null) : null }
}

/** `same`: it had been ordered before; `finished`: it has ended, or all that is left of it to do is to be recorded. */
type Ordered = 'ordered' | 'same' | 'finished'

/** What became of each job that is there. */
async function orderJobs(
  tx: Tx,
  { project_id, ids, order, now }: { project_id: string; ids: readonly string[]; order: Order; now: Date },
): Promise<Map<string, Ordered>> {
  const jobs = await lockJobs(tx, project_id, ids)
  const answers = new Map<string, Ordered>()
  for (const { id, state, order_kind } of jobs) {
    const known = order_kind === order || order_kind === 'cancel'
    answers.set(id, isTerminal(state) ? 'finished' : known ? 'same' : 'ordered')
  }
  const asked = [...answers].filter(([, answer]) => answer === 'ordered').map(([id]) => id)
  if (asked.length === 0) return answers
  const open = await openShards(tx, asked)
  const left = new Set(open.map(({ job_id }) => job_id))
  // All parts have ended, and what joins them has not begun: it is not too late to discard them.
  if (order === 'cancel')
    for (const { id, shards_total, merge_state } of jobs)
      if (asked.includes(id) && shards_total > 1 && merge_state === null) left.add(id)
  for (const id of asked) if (!left.has(id)) answers.set(id, 'finished')
  if (left.size === 0) return answers
  await tx
    .updateTable('jobs')
    .set({ order_kind: order, order_at: now })
    .where('id', 'in', [...left])
    .execute()
  // A stop keeps what there is, which a merge is about to put together.
  const ordered = open.filter(({ role }) => order === 'cancel' || role === 'work')
  await tx
    .updateTable('shards')
    .set({
      order_kind: order,
      facts_version: sql`facts_version + 1`,
      order_version: sql`facts_version + 1`,
      due_at: now,
    })
    .where(sql<boolean>`id = any(${ordered.map(({ id }) => id)}::text[])`)
    .execute()
  return answers
}

/**
 * Locks the shards of the jobs; answers those that an order can still reach. The shards' lock is also the reports': the
 * first of finish and order that is recorded wins.
 */
async function openShards(tx: Tx, job_ids: readonly string[]) {
  const shards = await tx
    .selectFrom('shards')
    .select(['id', 'job_id', 'state', 'role'])
    .where('job_id', 'in', [...job_ids])
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  const finished = await tx
    .selectFrom('attempts')
    .select('shard_id')
    .where('job_id', 'in', [...job_ids])
    .where('outcome', 'is', null)
    .where(sql<boolean>`finished->>'exit_code' = '0' and finished->>'failure' is null`)
    .execute()
  const decided = new Set(finished.map(({ shard_id }) => shard_id))
  return shards.filter(({ id, state }) => !isTerminal(state) && !decided.has(id))
}

/** Hides a finished job; its artifacts and logs go later. Throws AppError: not_found, job_not_finished. */
export async function deleteJob(deps: Deps, project_id: string, job_id: string): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const [job] = await lockJobs(tx, project_id, [job_id])
    if (!job) throw new AppError('not_found', `There is no job ${job_id.slice(0, 100)}.`)
    if (!isTerminal(job.state))
      throw new AppError('job_not_finished', `${job_id} is ${job.state}: cancel it first.`)
    await hideJobs(tx, project_id, [job_id], now)
  })
}

/** Hides jobs that have finished. */
export async function hideJobs(tx: Tx, project_id: string, ids: readonly string[], now: Date): Promise<void> {
  const finished = (await lockJobs(tx, project_id, ids)).filter(({ state }) => isTerminal(state))
  if (finished.length === 0) return
  const gone = finished.map(({ id }) => id)
  await tx.updateTable('jobs').set({ deleted_at: now }).where('id', 'in', gone).execute()
  await relist(
    tx,
    finished.map((from) => ({ from, to: null })),
  )
  // Those that were given their results keep them; nobody else gets them any more.
  await tx.deleteFrom('result_cache').where('job_id', 'in', gone).execute()
}

// In one order for all, so that no two wait for each other.
async function lockJobs(tx: Tx, project_id: string, ids: readonly string[]) {
  return tx
    .selectFrom('jobs')
    .select(['id', 'project_id', 'kind', 'labels', 'providers', 'state', 'order_kind'])
    .select(['shards_total', 'merge_state'])
    .where('project_id', '=', project_id)
    .where('id', 'in', [...ids])
    .where('deleted_at', 'is', null)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
}
