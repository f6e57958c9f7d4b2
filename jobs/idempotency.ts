// Idempotency keys: the same key and body answer with what they made before.
import { sql } from 'kysely'
import { AppError, type Refusal } from './errors.ts'
import type { Tx } from './store/schema.ts'

/** How long an Idempotency-Key answers for its resource. */
const kept_ms = 24 * 3_600_000

export interface IdempotencyKey {
  key: string
  /** sha256 of the canonical body, so that another body under the same key is refused. */
  body_sha256: string
}

/** What one spec of a request became. */
export type Made = { job_id: string } | { problem: Refusal }

/**
 * What was made under the key, as it is now; null: nothing. Two requests with one key at once: the second waits here
 * for the first's transaction. Throws AppError idempotency_key_reused.
 */
export async function claimKey(
  tx: Tx,
  project_id: string,
  key: IdempotencyKey,
  now: Date,
): Promise<Made[] | null> {
  const row = await findKey(tx, project_id, key, now)
  return row && withoutDeleted(tx, row.items ?? (row.resource_id ? [{ job_id: row.resource_id }] : []))
}

/** The same for a request that makes one thing that is no job: its id. */
export async function claimResource(
  tx: Tx,
  project_id: string,
  key: IdempotencyKey,
  now: Date,
): Promise<string | null> {
  return (await findKey(tx, project_id, key, now))?.resource_id ?? null
}

async function findKey(
  tx: Tx,
  project_id: string,
  { key, body_sha256 }: IdempotencyKey,
  now: Date,
): Promise<{ resource_id: string | null; items: Made[] | null } | null> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`${project_id}/${key}`}, 1))`.execute(tx)
  const row = await tx
    .selectFrom('idempotency')
    .select(['body_sha256', 'resource_id', 'items', 'created_at'])
    .where('project_id', '=', project_id)
    .where('key', '=', key)
    .executeTakeFirst()
  if (!row) return null
  if (now.getTime() - row.created_at.getTime() > kept_ms) {
    await tx.deleteFrom('idempotency').where('project_id', '=', project_id).where('key', '=', key).execute()
    return null
  }
  if (row.body_sha256 !== body_sha256)
    throw new AppError(
      'idempotency_key_reused',
      'This Idempotency-Key was used with another body: use a new key.',
    )
  return row
}

export async function keepResource(
  tx: Tx,
  project_id: string,
  { key, body_sha256 }: IdempotencyKey,
  resource_id: string,
  now: Date,
): Promise<void> {
  await tx
    .insertInto('idempotency')
    .values({ project_id, key, body_sha256, resource_id, created_at: now })
    .execute()
}

export async function keepKey(
  tx: Tx,
  project_id: string,
  { key, body_sha256 }: IdempotencyKey,
  items: readonly Made[],
  now: Date,
): Promise<void> {
  const [job_id = null] = jobsOf(items)
  await tx
    .insertInto('idempotency')
    .values({
      project_id,
      key,
      body_sha256,
      resource_id: job_id,
      items: JSON.stringify(items),
      created_at: now,
    })
    .execute()
}

/** The ids among what was made. */
export const jobsOf = (items: readonly Made[]): string[] =>
  items.flatMap((item) => ('job_id' in item ? [item.job_id] : []))

async function withoutDeleted(tx: Tx, items: readonly Made[]): Promise<Made[]> {
  const ids = jobsOf(items)
  if (ids.length === 0) return [...items]
  const deleted = await tx
    .selectFrom('jobs')
    .select('id')
    .where('id', 'in', ids)
    .where('deleted_at', 'is not', null)
    .execute()
  const gone = new Set(deleted.map(({ id }) => id))
  return items.map((item) =>
    'job_id' in item && gone.has(item.job_id)
      ? {
          problem: {
            code: 'gone',
            detail: `${item.job_id} was made with this key and then deleted.`,
            errors: [],
          },
        }
      : item,
  )
}
