// What people are told of themselves.
import { sql } from 'kysely'
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import type { Caller } from './keys.ts'
import type { Database } from './store/schema.ts'

export interface ProjectUsage {
  project_id: string
  attempts: number
  usd: number
}

/** Of each project of a user, what was settled since the month began (UTC). */
export async function usageOfProjects(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  user_id: string,
): Promise<ProjectUsage[]> {
  const now = clock.now()
  const since = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), 1))
  const { rows } = await sql<{ project_id: string; attempts: number; micros: number }>`
    select member.project_id, count(entry)::int8 as attempts, coalesce(sum(usd_micros), 0)::int8 as micros
    from project_members member left join ledger on ledger.project_id = member.project_id
      and entry in ('settle', 'adjust') and ledger.at >= ${since}
    where member.user_id = ${user_id}
    group by member.project_id, member.created_at order by member.created_at, member.project_id`.execute(db)
  return rows.map(({ project_id, attempts, micros }) => ({ project_id, attempts, usd: microsToUsd(micros) }))
}

/** What a key or a user is called. */
export async function nameOf(
  db: Database,
  { by, id }: Caller,
): Promise<{ name: string; email: string | null }> {
  if (by === 'user')
    return db.selectFrom('users').select(['name', 'email']).where('id', '=', id).executeTakeFirstOrThrow()
  const key = await db.selectFrom('api_keys').select('name').where('id', '=', id).executeTakeFirstOrThrow()
  return { name: key.name, email: null }
}
