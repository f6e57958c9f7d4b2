// What a client asks of a job that runs: recorded here, carried out by the pass.
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import { isTerminal, type Order } from './state.ts'
import type { Tx } from './store/schema.ts'
import { sql } from 'kysely'

/**
 * Records a stop (best so far is kept) or a cancel (discards). A second order of the same kind changes
 * nothing; a cancel outranks a stop. Throws AppError: not_found, job_finished.
 */
export async function orderJob(deps: Deps, project_id: string, job_id: string, order: Order): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const job = await lockJob(tx, project_id, job_id)
    if (isTerminal(job.state)) throw new AppError('job_finished', `${job_id} has ${job.state}.`)
    if (job.order_kind === order || job.order_kind === 'cancel') return
    // The shards' lock is also the reports': the first of finish and order that is recorded wins.
    const shards = await tx
      .selectFrom('shards')
      .select(['id', 'state', 'role'])
      .where('job_id', '=', job_id)
      .orderBy('id')
      .forNoKeyUpdate()
      .execute()
    const finished = await tx
      .selectFrom('attempts')
      .select('shard_id')
      .where('job_id', '=', job_id)
      .where('outcome', 'is', null)
      .where(sql<boolean>`finished->>'exit_code' = '0' and finished->>'failure' is null`)
      .execute()
    const decided = new Set(finished.map(({ shard_id }) => shard_id))
    const left = shards.filter(({ id, state }) => !isTerminal(state) && !decided.has(id))
    // All parts have ended, and what joins them has not begun: it is not too late to discard them.
    const joinless = order === 'cancel' && job.shards_total > 1 && job.merge_state === null
    if (left.length === 0 && !joinless) throw new AppError('job_finished', `${job_id} has finished.`)
    await tx.updateTable('jobs').set({ order_kind: order, order_at: now }).where('id', '=', job_id).execute()
    // A stop keeps what there is, which the merge is about to put together.
    const open = left.filter(({ role }) => order === 'cancel' || role === 'work')
    if (open.length === 0) return
    await tx
      .updateTable('shards')
      .set({
        order_kind: order,
        facts_version: sql`facts_version + 1`,
        order_version: sql`facts_version + 1`,
        due_at: now,
      })
      .where(
        'id',
        'in',
        open.map(({ id }) => id),
      )
      .execute()
  })
  deps.waker.wake(topics.pass)
}

/** Hides a finished job; its artifacts and logs go later. Throws AppError: not_found, job_not_finished. */
export async function deleteJob(deps: Deps, project_id: string, job_id: string): Promise<void> {
  const now = deps.clock.now()
  await deps.db.transaction().execute(async (tx) => {
    const job = await lockJob(tx, project_id, job_id)
    if (!isTerminal(job.state))
      throw new AppError('job_not_finished', `${job_id} is ${job.state}: cancel it first.`)
    await tx.updateTable('jobs').set({ deleted_at: now }).where('id', '=', job_id).execute()
    // Those that were given its result keep it; nobody else gets it any more.
    await tx.deleteFrom('result_cache').where('job_id', '=', job_id).execute()
  })
}

async function lockJob(tx: Tx, project_id: string, job_id: string) {
  const job = await tx
    .selectFrom('jobs')
    .select(['state', 'order_kind', 'shards_total', 'merge_state'])
    .where('project_id', '=', project_id)
    .where('id', '=', job_id)
    .where('deleted_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!job) throw new AppError('not_found', `There is no job ${job_id.slice(0, 100)}.`)
  return job
}
