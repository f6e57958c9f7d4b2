// API keys: shown once, stored as a prefix to look up and a sha256 to compare.
import { createHash } from 'node:crypto'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import type { Tables } from './store/schema.ts'
import { sameToken } from './tokens.ts'

export type Role = Tables['api_keys']['role']
export interface Principal {
  key_id: string
  project_id: string
  role: Role
}

/** Makes a key and answers it in clear, the only time. `berth_<prefix>_<secret>` */
export async function createKey(
  deps: Pick<Deps, 'db' | 'clock' | 'random'>,
  project_id: string,
  name: string,
  role: Role,
): Promise<string> {
  const prefix = Buffer.from(deps.random(6)).toString('hex')
  const key = `berth_${prefix}_${Buffer.from(deps.random(32)).toString('base64url')}`
  const now = deps.clock.now()
  await deps.db
    .insertInto('api_keys')
    .values({
      id: newId('key', now, deps.random),
      project_id,
      name,
      prefix,
      sha256: sha256(key),
      role,
      created_at: now,
    })
    .execute()
  return key
}

/** Whose key this is. Throws AppError unauthorized without saying what is wrong with it. */
export async function checkKey(deps: Pick<Deps, 'db' | 'clock'>, key: string): Promise<Principal> {
  const prefix = /^berth_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/.exec(key)?.[1]
  const row =
    prefix &&
    (await deps.db.selectFrom('api_keys').selectAll().where('prefix', '=', prefix).executeTakeFirst())
  const now = deps.clock.now()
  if (
    !row ||
    !sameToken(row.sha256, sha256(key)) ||
    row.revoked_at ||
    (row.expires_at && row.expires_at <= now)
  )
    throw new AppError('unauthorized', 'Send a valid API key as "Authorization: Bearer <key>".', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  return { key_id: row.id, project_id: row.project_id, role: row.role }
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
