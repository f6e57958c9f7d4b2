// Idempotency keys: the same key and body answer with what they made before.
import { type RawBuilder, sql } from 'kysely'
import { AppError, type Refusal } from './errors.ts'
import type { Database, Tx } from './store/schema.ts'
import { type Given, statement } from './store/statement.ts'

/** How long an Idempotency-Key answers for its resource. */
const kept_ms = 24 * 3_600_000

export interface IdempotencyKey {
  key: string
  /** sha256 of the canonical body, so that another body under the same key is refused. */
  body_sha256: string
}

/** What one spec of a request became. */
export type Made = { job_id: string } | { problem: Refusal }

/** A key, whose it is, and what is made under it if it is free. */
export interface Claim extends IdempotencyKey {
  project_id: string
  items: readonly Made[]
}
/** What was made under a key before. */
export interface Kept {
  body_sha256: string
  items: readonly Made[]
}

export const nameOf = ({ project_id, key }: Pick<Claim, 'project_id' | 'key'>) => `${project_id}/${key}`

/** A column of the rows that `claiming` returns. */
export const nameIn = sql`project_id || '/' || key as name`

/** Keys that are taken at one moment. */
export interface Claims {
  claims: readonly Claim[]
  now: Date
}

/**
 * The statement that takes the keys that are free, each once, and returns those. Two requests with one key at once: the
 * second waits here for the first's transaction.
 */
export function claiming(given: Given<Claims>): RawBuilder<unknown> {
  const column = (of: (claim: Claim) => string | null) => given(({ claims }) => claims.map(of))
  // In one order for all, so that no two batches wait for each other.
  return sql`
    insert into idempotency as kept (project_id, key, body_sha256, resource_id, items, created_at)
    select project_id, key, body_sha256, resource_id, items::json, ${given(({ now }) => now)}::timestamptz
    from unnest(${column(({ project_id }) => project_id)}::text[], ${column(({ key }) => key)}::text[],
      ${column(({ body_sha256 }) => body_sha256)}::text[],
      ${column(({ items }) => jobsOf(items)[0] ?? null)}::text[],
      ${column(({ items }) => JSON.stringify(items))}::text[])
      as claim(project_id, key, body_sha256, resource_id, items)
    order by project_id, key
    on conflict (project_id, key) do update set body_sha256 = excluded.body_sha256,
      resource_id = excluded.resource_id, items = excluded.items, created_at = excluded.created_at
      where kept.created_at < ${given(({ now }) => new Date(now.getTime() - kept_ms))}`
}

const takeKeys = statement<Claims, { name: string }>((given) => sql`${claiming(given)} returning ${nameIn}`)

/**
 * Takes a key for a request that makes one thing that is no job; answers what was made under it before, or null.
 * Throws AppError idempotency_key_reused.
 */
export async function claimResource(
  tx: Tx,
  claim: IdempotencyKey & { project_id: string },
  resource_id: string,
  now: Date,
): Promise<string | null> {
  const taken = await takeKeys(tx, { claims: [{ ...claim, items: [{ job_id: resource_id }] }], now })
  if (taken.length > 0) return null
  const row = await tx
    .selectFrom('idempotency')
    .select(['body_sha256', 'resource_id'])
    .where('project_id', '=', claim.project_id)
    .where('key', '=', claim.key)
    .executeTakeFirst()
  if (row?.body_sha256 !== claim.body_sha256) throw keyReused()
  return row.resource_id
}

export const keyReused = () =>
  new AppError('idempotency_key_reused', 'This Idempotency-Key was used with another body: use a new key.')

/** What was made under keys, as it is now, by their names; those that are free are left out. */
export async function readKept(
  db: Database,
  claims: readonly Claim[],
  now: Date,
): Promise<Map<string, Kept>> {
  if (claims.length === 0) return new Map()
  const { rows } = await sql<Kept & { project_id: string; key: string; resource_id: string | null }>`
    select kept.project_id, kept.key, body_sha256, items, resource_id
    from unnest(${claims.map(({ project_id }) => project_id)}::text[], ${claims.map(({ key }) => key)}::text[])
      as claim(project_id, key)
    join idempotency kept on kept.project_id = claim.project_id and kept.key = claim.key
    where created_at >= ${new Date(now.getTime() - kept_ms)}`.execute(db)
  const made = rows.map(({ items, resource_id, ...row }) => ({
    ...row,
    items: items ?? (resource_id === null ? [] : [{ job_id: resource_id }]),
  }))
  const gone = await deletedOf(
    db,
    made.flatMap(({ items }) => jobsOf(items)),
  )
  return new Map(
    made.map(({ body_sha256, items, ...row }) => [
      nameOf(row),
      { body_sha256, items: items.map((item) => withoutDeleted(item, gone)) },
    ]),
  )
}

/** The ids among what was made. */
export const jobsOf = (items: readonly Made[]): string[] =>
  items.flatMap((item) => ('job_id' in item ? [item.job_id] : []))

async function deletedOf(db: Database, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0) return new Set()
  const { rows } = await sql<{ id: string }>`
    select id from jobs where id = any(${[...ids]}::text[]) and deleted_at is not null`.execute(db)
  return new Set(rows.map(({ id }) => id))
}

const withoutDeleted = (item: Made, gone: ReadonlySet<string>): Made =>
  'job_id' in item && gone.has(item.job_id)
    ? {
        problem: {
          code: 'gone',
          detail: `${item.job_id} was made with this key and then deleted.`,
          errors: [],
        },
      }
    : item
