// API keys: shown once, stored as a prefix to look up and a sha256 to compare.
import { hash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { createGroup } from './group.ts'
import { newId } from './ids.ts'
import type { MemberRole } from './store/identity-tables.ts'
import type { Tables } from './store/schema.ts'
import { countedChanges } from './store/count-change.ts'
import { hasEndpoints } from './store/messages.ts'
import { statement } from './store/statement.ts'
import { sameToken } from './tokens.ts'

export type KeyRole = Tables['api_keys']['role']
/** Of a person in a project: `owner` is an admin who makes owners. */
export type Role = MemberRole

/** What somebody may in one project. */
export interface Grant {
  project_id: string
  role: Role
  /** Whether its project runs the installation. */
  is_operator: boolean
  /** How many changes of the market had been counted when it was checked (store/queue.ts). */
  changes: number
  /** Whether there were endpoints then that hear of its events. */
  has_endpoints: boolean
}
/** Who asks, and as what. */
export type Principal = Grant &
  (
    | { by: 'key'; id: string; scopes: readonly string[] | null }
    | { by: 'user'; id: string; session_id: string }
  )
/** The same where a person needs no project. */
export type Caller = Principal | { by: 'user'; id: string; session_id: string; project_id: null }

const ranks: Record<Role, number> = { viewer: 0, member: 1, admin: 2, owner: 3 }
/** Whether a role includes another. */
export const hasRole = (role: Role, needed: Role): boolean => ranks[role] >= ranks[needed]

/** Makes a key and answers it in clear, the only time. `berth_<prefix>_<secret>` */
export async function createKey(
  deps: Pick<Deps, 'db' | 'clock' | 'random'>,
  project_id: string,
  name: string,
  role: KeyRole,
  expires_at: Date | null = null,
  scopes: readonly string[] | null = null,
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
      expires_at,
      scopes: scopes === null ? null : [...scopes],
    })
    .execute()
  return key
}

/**
 * Whose key this is. Rejects with AppError unauthorized without saying what is wrong with it. Every check reads the row,
 * one statement for all that come meanwhile, so a key that is revoked works nowhere from then on.
 */
export type KeyCheck = (key: string) => Promise<Principal & { by: 'key' }>

/** Keys in one statement: more would wait for a later one anyway. */
const mostKeys = 500

export function createKeyCheck({
  db,
  clock,
  gather,
  key_use,
}: Pick<Deps, 'db' | 'clock' | 'gather' | 'key_use'>): KeyCheck {
  const find = createGroup<string, KeyRow | null>({
    name: 'requests',
    clock,
    gather,
    most_weight: mostKeys,
    async run(prefixes) {
      const rows = await findKeys(db, [...new Set(prefixes)])
      const found = new Map(rows.map((row) => [row.prefix, row]))
      return prefixes.map((prefix) => ({ value: found.get(prefix) ?? null }))
    },
  })
  return async (key) => {
    const prefix = /^berth_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/.exec(key)?.[1]
    const row = prefix ? await find(prefix) : null
    const now = clock.now()
    if (
      !row ||
      !sameToken(row.sha256, sha256(key)) ||
      row.revoked_at ||
      (row.expires_at && row.expires_at <= now)
    )
      throw new AppError('unauthorized', 'Send a valid API key as "Authorization: Bearer <key>".', {
        headers: { 'WWW-Authenticate': 'Bearer' },
      })
    key_use?.used(row.id, now)
    const { id, project_id, role, is_operator, changes, has_endpoints, scopes } = row
    return { by: 'key', id, project_id, role, is_operator, changes, has_endpoints, scopes }
  }
}

type KeyRow = Pick<
  Selectable<Tables['api_keys']>,
  'id' | 'project_id' | 'prefix' | 'sha256' | 'role' | 'scopes' | 'expires_at' | 'revoked_at'
> &
  Pick<Grant, 'changes' | 'is_operator' | 'has_endpoints'>

const findKeys = statement<readonly string[], KeyRow>(
  (
    given,
  ) => sql`/* find keys */ select api_keys.id, api_keys.project_id, prefix, sha256, role, scopes, expires_at,
      revoked_at, projects.is_operator, ${countedChanges} as changes, ${hasEndpoints} as has_endpoints
    from api_keys join projects on projects.id = api_keys.project_id
    where prefix = any((select ${given((prefixes) => prefixes)}::text[])::text[])`,
)

const sha256 = (text: string) => hash('sha256', text)
