// Accepts a job: one transaction with the job, its shard, its first event and the idempotency row.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import type { JobRow } from './plan.ts'
import type { JobSpec } from './spec.ts'
import { appendEvent, enqueueDelivery } from './store/fold.ts'
import { newShard } from './store/queue.ts'
import type { Tx, Warning } from './store/schema.ts'

/** How long an Idempotency-Key answers for its resource. */
export const idempotency_ms = 24 * 3_600_000

export interface Submitted {
  job_id: string
  /** The key had been used with this body: nothing new was made. */
  replayed: boolean
}
export interface IdempotencyKey {
  key: string
  /** sha256 of the canonical body, so that another body under the same key is refused. */
  body_sha256: string
}

export interface SubmitOptions {
  idempotency: IdempotencyKey | null
  warnings: Warning[]
  estimated_micros: number | null
  /** Parts that it is cut into. */
  shards: number
}

/** Stores a job. Throws AppError: queue_full, idempotency_key_reused, gone. */
export async function submitJob(
  deps: Deps,
  project_id: string,
  spec: JobSpec,
  options: SubmitOptions,
): Promise<Submitted> {
  const now = deps.clock.now()
  const submitted = await deps.db.transaction().execute(async (tx) => {
    const earlier = options.idempotency && (await claimKey(tx, project_id, options.idempotency, now))
    if (earlier) return { job_id: earlier, replayed: true }
    await checkQueue(tx, deps.settings.max_queued)
    const job_id = newId('job', now, deps.random)
    const job = await insertJob(tx, { job_id, project_id, spec, now, ...options })
    await insertShards(tx, deps, job, now)
    await appendEvent(tx, job, { type: 'job.queued', sequence: 1, at: now, data: { state: 'queued' } })
    await enqueueDelivery(tx, { ...deps, public_url: deps.settings.public_url, now }, job, {
      type: 'job.queued',
      sequence: 1,
    })
    if (options.idempotency)
      await tx
        .insertInto('idempotency')
        .values({ project_id, ...options.idempotency, resource_id: job_id, created_at: now })
        .execute()
    return { job_id, replayed: false }
  })
  deps.waker.wake(topics.pass)
  return submitted
}

// Two requests with one key at once: the second waits here for the first's transaction.
async function claimKey(
  tx: Tx,
  project_id: string,
  { key, body_sha256 }: IdempotencyKey,
  now: Date,
): Promise<string | null> {
  await sqlLock(tx, `${project_id}/${key}`)
  const row = await tx
    .selectFrom('idempotency')
    .leftJoin('jobs', 'jobs.id', 'idempotency.resource_id')
    .select(['idempotency.body_sha256', 'resource_id', 'idempotency.created_at', 'jobs.deleted_at'])
    .where('idempotency.project_id', '=', project_id)
    .where('key', '=', key)
    .executeTakeFirst()
  if (!row) return null
  if (now.getTime() - row.created_at.getTime() > idempotency_ms) {
    await tx.deleteFrom('idempotency').where('project_id', '=', project_id).where('key', '=', key).execute()
    return null
  }
  if (row.body_sha256 !== body_sha256)
    throw new AppError(
      'idempotency_key_reused',
      'This Idempotency-Key was used with another body: use a new key.',
    )
  if (row.deleted_at)
    throw new AppError('gone', `${row.resource_id} was made with this key and then deleted.`)
  return row.resource_id
}

async function sqlLock(tx: Tx, name: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${name}, 1))`.execute(tx)
}

async function checkQueue(tx: Tx, max_queued: number): Promise<void> {
  // Counts no further than the bound, on the queue's own index.
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from
      (select 1 from shards where state = 'waiting' limit ${max_queued}) as waiting`.execute(tx)
  if ((rows[0]?.count ?? 0) >= max_queued)
    throw new AppError('queue_full', `${max_queued} jobs are waiting already: try again later.`, {
      headers: { 'Retry-After': '30' },
    })
}

interface NewJob {
  job_id: string
  project_id: string
  spec: JobSpec
  now: Date
  warnings: Warning[]
  estimated_micros: number | null
  shards: number
}

async function insertJob(tx: Tx, job: NewJob): Promise<JobRow> {
  const { job_id, project_id, spec, now, warnings, estimated_micros, shards } = job
  return tx
    .insertInto('jobs')
    .values({
      id: job_id,
      project_id,
      kind: spec.kind,
      name: spec.name ?? null,
      spec: JSON.stringify(spec),
      priority: spec.priority ?? 'normal',
      labels: JSON.stringify(spec.labels),
      state: 'queued',
      warnings: JSON.stringify(warnings),
      estimated_micros,
      shards_total: shards,
      shards_waiting: shards,
      shards_active: 0,
      event_sequence: 1,
      created_at: now,
    })
    .returningAll()
    .executeTakeFirstOrThrow()
}

async function insertShards(tx: Tx, deps: Deps, job: JobRow, now: Date): Promise<void> {
  const indexes = Array.from({ length: job.shards_total }, (_, index) => index)
  await tx
    .insertInto('shards')
    .values(indexes.map((index) => newShard(job, { role: 'work', index }, now, deps.random)))
    .execute()
}
