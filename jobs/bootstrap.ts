// What a machine exchanges the token in its user data for: once. User data is read by whoever may describe the machine or work on it,
// so it holds no secret that is worth anything afterwards.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { LaunchSecrets } from '../providers/provider.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import type { AttemptRow } from './plan.ts'
import { meetUnknownRunner } from './restore.ts'
import { registryOf } from './secrets.ts'
import { appendEvents, eventRow } from './store/events.ts'
import { enqueueMessages } from './store/messages.ts'
import type { Tx } from './store/schema.ts'
import { readBootstrapToken, runnerToken } from './tokens.ts'

/**
 * An answer that was lost is asked for again: by the same machine, which proves it by a number that it made up and told to nobody else,
 * within this time. A machine that cannot hear Berth for longer has been given up by the start bound of its provider.
 */
const again_ms = 15 * 60_000

export const bootstrapRequest = z
  .strictObject({
    attempt_id: z.string().max(64),
    machine: z
      .string()
      .regex(/^[\w-]{16,128}$/, 'must be 16 to 128 letters, digits, - and _, made up by the machine'),
  })
  .meta({ id: 'BootstrapRequest' })

/** All that a machine needs to start the runner of its attempt. */
export interface Bootstrap {
  berth_url: string
  attempt_id: string
  token: string
  image: string
  command: readonly string[] | null
  gpus: number
  registry: NonNullable<LaunchSecrets['registry']> | null
}

/** Throws AppError unauthorized, quarantined, attempt_over, bootstrap_used. */
export async function exchangeBootstrap(
  deps: Deps,
  { attempt_id, machine }: z.output<typeof bootstrapRequest>,
  token: string,
): Promise<Bootstrap> {
  const bearer = readBootstrapToken(deps.runner_key, attempt_id, token)
  if (!bearer) throw unknown()
  const row = await deps.db.selectFrom('attempts').selectAll().where('id', '=', attempt_id).executeTakeFirst()
  if (!row) await meetUnknownRunner(deps, bearer)
  if (!row || row.nonce !== bearer.nonce) throw unknown()
  if (row.outcome) throw new AppError('attempt_over', `${attempt_id} is over: ${row.outcome}.`)
  const { image, command = null, offer, berth_url } = row.request
  // Before the token is taken: what is refused uses up nothing.
  if (image === null) throw new AppError('invalid_request', 'This attempt runs no image.')
  const job = await deps.db
    .selectFrom('jobs')
    .select(['project_id', 'spec'])
    .where('id', '=', row.job_id)
    .executeTakeFirstOrThrow()
  const registry = await registryOf(deps, job)
  const machine_sha256 = createHash('sha256').update(machine).digest('hex')
  const isTaken = await deps.db.transaction().execute((tx) => take(tx, deps, row, machine_sha256))
  if (!isTaken) {
    deps.waker.wake(topics.job(row.job_id))
    throw new AppError('bootstrap_used', 'This token was used by another machine: end this one.')
  }
  const own = runnerToken(deps.runner_key, bearer)
  return { berth_url, attempt_id, token: own, image, command, gpus: offer.gpu?.count ?? 0, registry }
}

const unknown = () => new AppError('unauthorized', 'This is not the token of the machine of this attempt.')

/** Whether it is this machine's; anybody else is refused, and the first one is told of in the events of the job. */
async function take(
  tx: Tx,
  deps: Pick<Deps, 'clock' | 'random' | 'settings'>,
  { id, job_id, shard_id }: Pick<AttemptRow, 'id' | 'job_id' | 'shard_id'>,
  machine: string,
): Promise<boolean> {
  const now = deps.clock.now()
  // As everybody who writes attempts.
  await tx
    .selectFrom('shards')
    .select('id')
    .where('id', '=', shard_id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  const row = await tx
    .selectFrom('attempts')
    .select(['bootstrapped_at', 'bootstrap_machine', 'bootstrap_refused_at', 'number', 'shard_index'])
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  const change = (values: object) => tx.updateTable('attempts').set(values).where('id', '=', id).execute()
  if (row.bootstrapped_at === null) {
    await change({ bootstrapped_at: now, bootstrap_machine: machine })
    return true
  }
  const isAgain = now.getTime() - row.bootstrapped_at.getTime() <= again_ms
  if (row.bootstrap_machine === machine && isAgain) return true
  if (row.bootstrap_refused_at !== null) return false
  await change({ bootstrap_refused_at: now })
  await tell(tx, deps, job_id, { attempt_id: id, attempt: row.number, shard: row.shard_index })
  return false
}

async function tell(
  tx: Tx,
  { clock, random, settings }: Pick<Deps, 'clock' | 'random' | 'settings'>,
  job_id: string,
  about: Record<string, unknown>,
): Promise<void> {
  const now = clock.now()
  // Its events are numbered under its lock.
  const job = await tx
    .selectFrom('jobs')
    .selectAll()
    .where('id', '=', job_id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()
  const sequence = job.event_sequence + 1
  const data = {
    ...about,
    message: 'The token in the user data of its machine was used twice: somebody else has read it.',
  }
  const event = { type: 'job.bootstrap_refused' as const, sequence, at: now, data }
  await tx.updateTable('jobs').set({ event_sequence: sequence }).where('id', '=', job_id).execute()
  await appendEvents(tx, [eventRow(job, event)])
  await enqueueMessages(tx, { now, random, public_url: settings.public_url }, [{ job, events: [event] }], [])
}
