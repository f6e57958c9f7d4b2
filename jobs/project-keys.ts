// The API keys of a project, as its admins make, list, rotate and revoke them. A key is shown once.
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId } from './ids.ts'
import { createKey, type KeyRole, type Principal } from './keys.ts'
import type { Selectable } from 'kysely'
import type { Database, Tables } from './store/schema.ts'

/** That work, of a project: one for each person and program of a desk. Those that have ended are no bound. */
const maxKeys = 200
/** Ended ones are listed this long, for who asks what a key was. */
const shown_ms = 90 * 86_400_000
/** Two keys work while programs are given the new one; longer is forgotten. */
const maxOverlap_s = 30 * 86_400
const roles = ['viewer', 'member', 'admin'] as const satisfies readonly KeyRole[]

const expiry = z.iso
  .datetime({ offset: true })
  .nullable()
  .default(null)
  .meta({ description: 'From then on it works no more; null: until it is revoked.' })

export const keyRequest = z
  .strictObject({
    name: z.string().trim().min(1).max(200).meta({ description: 'What it is for.' }),
    role: z.enum(roles).default('member'),
    expires_at: expiry,
  })
  .meta({ id: 'ApiKeyRequest' })

export const rotation = z
  .strictObject({
    overlap_s: z
      .int()
      .min(0)
      .max(maxOverlap_s)
      .default(86_400)
      .meta({ description: 'How long the old key works beside the new one.' }),
    expires_at: expiry,
  })
  .meta({ id: 'ApiKeyRotation' })

export interface KeyView {
  id: string
  name: string
  role: KeyRole
  /** What it begins with: `berth_<prefix>_`. */
  prefix: string
  created_at: string
  expires_at: string | null
  revoked_at: string | null
  /** To the minute, about; null: never. */
  last_used_at: string | null
}
export type NewKey = KeyView & { key: string }

type KeyRow = Selectable<Tables['api_keys']>

/** Those that work, newest first, and those that ended in the last 90 days. */
export async function listKeys(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  project_id: string,
): Promise<KeyView[]> {
  const since = new Date(clock.now().getTime() - shown_ms)
  const rows = await db
    .selectFrom('api_keys')
    .selectAll()
    .where('project_id', '=', project_id)
    .where((where) => where.or([where('revoked_at', 'is', null), where('revoked_at', '>', since)]))
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', since)]))
    .orderBy('id', 'desc')
    .limit(2 * maxKeys)
    .execute()
  return rows.map(viewOf)
}

/** Answers the key in clear, the only time. Throws AppError invalid_request. */
export async function makeKey(
  deps: Pick<Deps, 'db' | 'clock' | 'random'>,
  actor: Actor,
  project_id: string,
  { name, role, expires_at }: z.output<typeof keyRequest>,
): Promise<NewKey> {
  const ends = endOf(deps, expires_at)
  return deps.db.transaction().execute(async (db) => {
    await mustHaveRoom(db, deps, project_id)
    const made = await newKey({ ...deps, db }, project_id, { name, role, ends })
    await audit({ ...deps, db }, actor, {
      project_id,
      action: 'key.created',
      subject: made.id,
      after: told(made),
    })
    return made
  })
}

/** A new key of the same name and role; the old one works for the overlap. Throws AppError not_found, invalid_request. */
export async function rotateKey(
  deps: Pick<Deps, 'db' | 'clock' | 'random'>,
  actor: Actor,
  project_id: string,
  id: string,
  { overlap_s, expires_at }: z.output<typeof rotation>,
): Promise<NewKey> {
  const ends = endOf(deps, expires_at)
  const now = deps.clock.now()
  const until = new Date(now.getTime() + overlap_s * 1_000)
  return deps.db.transaction().execute(async (db) => {
    await mustHaveRoom(db, deps, project_id)
    const old = await lockKey(db, project_id, id)
    if (hasEnded(old, now)) throw unknown(id)
    if (old.expires_at === null || old.expires_at > until)
      await db.updateTable('api_keys').set({ expires_at: until }).where('id', '=', id).execute()
    const made = await newKey({ ...deps, db }, project_id, { name: old.name, role: old.role, ends })
    const change = {
      before: { expires_at: old.expires_at },
      after: { expires_at: until, rotated_to: made.id },
    }
    await audit({ ...deps, db }, actor, { project_id, action: 'key.rotated', subject: id, ...change })
    return made
  })
}

/**
 * From now on it works nowhere; of one that has ended already nothing changes. Not the key that asks, so that nobody locks
 * themselves out. Throws AppError not_found, key_in_use.
 */
export async function revokeKey(
  deps: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  { project_id, id: own }: Pick<Principal, 'project_id' | 'id'>,
  id: string,
): Promise<void> {
  if (id === own)
    throw new AppError('key_in_use', 'This request was made with that key: revoke it with another.')
  await deps.db.transaction().execute(async (db) => {
    const row = await lockKey(db, project_id, id)
    if (row.revoked_at !== null) return
    await db.updateTable('api_keys').set({ revoked_at: deps.clock.now() }).where('id', '=', id).execute()
    const change = { project_id, action: 'key.revoked', subject: id, before: told(viewOf(row)) }
    await audit({ ...deps, db }, actor, change)
  })
}

async function newKey(
  deps: Pick<Deps, 'db' | 'clock' | 'random'>,
  project_id: string,
  { name, role, ends }: { name: string; role: KeyRole; ends: Date | null },
): Promise<NewKey> {
  const key = await createKey(deps, project_id, name, role, ends)
  const prefix = key.split('_')[1] ?? ''
  const row = await deps.db
    .selectFrom('api_keys')
    .selectAll()
    .where('prefix', '=', prefix)
    .executeTakeFirstOrThrow()
  return { ...viewOf(row), key }
}

/** Two that come at once must not both find the last room. Throws AppError invalid_request. */
async function mustHaveRoom(db: Database, { clock }: Pick<Deps, 'clock'>, project_id: string): Promise<void> {
  await db.selectFrom('projects').select('id').where('id', '=', project_id).forNoKeyUpdate().execute()
  const { count } = await db
    .selectFrom('api_keys')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('project_id', '=', project_id)
    .where('revoked_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', clock.now())]))
    .executeTakeFirstOrThrow()
  if (Number(count) >= maxKeys)
    throw new AppError('invalid_request', `A project has at most ${maxKeys} keys that work: revoke one.`)
}

async function lockKey(db: Database, project_id: string, id: string): Promise<KeyRow> {
  const row = isId('key', id)
    ? await db
        .selectFrom('api_keys')
        .selectAll()
        .where('id', '=', id)
        .where('project_id', '=', project_id)
        .forUpdate()
        .executeTakeFirst()
    : undefined
  if (!row) throw unknown(id)
  return row
}

function endOf({ clock }: Pick<Deps, 'clock'>, expires_at: string | null): Date | null {
  if (expires_at === null) return null
  const ends = new Date(expires_at)
  if (ends > clock.now()) return ends
  const message = 'must be in the future'
  throw new AppError('invalid_request', `expires_at ${message}.`, {
    errors: [{ path: 'expires_at', message }],
  })
}

const told = ({ name, role, prefix, expires_at }: KeyView) => ({ name, role, prefix, expires_at })

const hasEnded = ({ revoked_at, expires_at }: KeyRow, now: Date) =>
  revoked_at !== null || (expires_at !== null && expires_at <= now)
const unknown = (id: string) => new AppError('not_found', `There is no key ${id.slice(0, 100)} that works.`)

const viewOf = (row: KeyRow): KeyView => ({
  id: row.id,
  name: row.name,
  role: row.role,
  prefix: row.prefix,
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at?.toISOString() ?? null,
  revoked_at: row.revoked_at?.toISOString() ?? null,
  last_used_at: row.last_used_at?.toISOString() ?? null,
})
