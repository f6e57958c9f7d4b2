import type { UpdateObject } from 'kysely'
import type { JobRow, ShardRow } from '../plan.ts'
import {
  type AttemptState,
  attemptTransitions,
  type JobState,
  jobTransitions,
  type ShardState,
  shardTransitions,
} from '../state.ts'
import type { Tables, Tx } from './schema.ts'

/** Moves an attempt along the table of transitions; throws when that is not legal. */
export async function moveAttempt(
  tx: Tx,
  id: string,
  to: AttemptState,
  values: UpdateObject<Tables, 'attempts'>,
): Promise<void> {
  const from = Object.entries(attemptTransitions)
    .filter(([, next]) => (next as readonly string[]).includes(to))
    .map(([state]) => state as AttemptState)
  const { numUpdatedRows } = await tx
    .updateTable('attempts')
    .set({ ...values, state: to })
    .where('id', '=', id)
    .where('state', 'in', from)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw new Error(`attempt ${id} cannot become ${to}`)
}

/** Moves the locked shard along the table of transitions; throws when that is not legal. */
export async function moveShard(
  tx: Tx,
  shard: ShardRow,
  to: ShardState,
  values: UpdateObject<Tables, 'shards'>,
): Promise<void> {
  const next: readonly string[] = shardTransitions[shard.state]
  if (!next.includes(to)) throw new Error(`shard ${shard.id} cannot go from ${shard.state} to ${to}`)
  await tx
    .updateTable('shards')
    .set({ ...values, state: to })
    .where('id', '=', shard.id)
    .execute()
  Object.assign(shard, { state: to })
}

/** Moves the locked job along the table of transitions, or leaves it where it is; throws when that is not legal. */
export async function moveJob(
  tx: Tx,
  job: Pick<JobRow, 'id' | 'state'>,
  to: JobState,
  values: UpdateObject<Tables, 'jobs'>,
): Promise<void> {
  const next: readonly string[] = jobTransitions[job.state]
  if (to !== job.state && !next.includes(to))
    throw new Error(`job ${job.id} cannot go from ${job.state} to ${to}`)
  await tx
    .updateTable('jobs')
    .set({ ...values, state: to })
    .where('id', '=', job.id)
    .execute()
}
