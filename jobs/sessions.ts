// Sessions of people: whose they are, what they may in a project, and their end.
import { sql } from 'kysely'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Proof } from './identity.ts'
import { isId } from './ids.ts'
import type { Caller, Grant } from './keys.ts'
import { countedChanges } from './store/count-change.ts'
import { hasEndpoints } from './store/messages.ts'

/** Shown of one user: who logs in more often in two weeks sees the newest. */
const mostSessions = 200

interface Found {
  id: string
  user_id: string
  expires_at: Date
  project_id: string | null
  role: Grant['role'] | null
  is_operator: boolean | null
  changes: number
  has_endpoints: boolean
}

/**
 * Who this is, in the project that is named or else the one that they have belonged to longest. Reads the session's row each time, so
 * that one that has ended is good nowhere, whatever token it gave out. Throws AppError unauthorized, not_found.
 */
export async function checkSession(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  proof: Proof,
  project: string | null,
): Promise<Caller> {
  // Named at the front, so that each text is prepared once by a connection.
  const found = 'token' in proof ? sql`/* find session by token */` : sql`/* find session by id */`
  const whose =
    'token' in proof
      ? sql`sessions.token = ${proof.token}`
      : sql`sessions.id = ${proof.session_id} and sessions.user_id = ${proof.user_id}`
  const { rows } = await sql<Found>`${found}
    select sessions.id, sessions.user_id, sessions.expires_at, member.project_id, member.role,
      projects.is_operator, ${countedChanges} as changes, ${hasEndpoints} as has_endpoints
    from sessions left join lateral (
      select project_id, role from project_members
      where user_id = sessions.user_id and (${project}::text is null or project_id = ${project})
      order by created_at, project_id limit 1
    ) member on true left join projects on projects.id = member.project_id
    where ${whose}`.execute(db)
  const [row] = rows
  if (!row || row.expires_at <= clock.now())
    throw new AppError('unauthorized', 'This session has ended: log in.')
  const who = { by: 'user', id: row.user_id, session_id: row.id } as const
  const { project_id, role, is_operator, changes, has_endpoints } = row
  if (project_id !== null && role !== null && is_operator !== null)
    return { ...who, project_id, role, is_operator, changes, has_endpoints }
  if (project !== null)
    throw new AppError(
      'not_found',
      `You belong to no project ${project.slice(0, 100)}: see GET /v1/projects.`,
    )
  return { ...who, project_id: null }
}

export interface SessionView {
  id: string
  created_at: string
  expires_at: string
  address: string | null
  user_agent: string | null
  /** Whether it is the one that asks. */
  is_current: boolean
}

/** Those of a user that have not ended, the newest first. */
export async function listSessions(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  { id: user_id, session_id }: { id: string; session_id: string },
): Promise<SessionView[]> {
  const rows = await db
    .selectFrom('sessions')
    .selectAll()
    .where('user_id', '=', user_id)
    .where('expires_at', '>', clock.now())
    .orderBy('id', 'desc')
    .limit(mostSessions)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at.toISOString(),
    address: row.ip_address || null,
    user_agent: row.user_agent || null,
    is_current: row.id === session_id,
  }))
}

/** Ends one session of a user, with all tokens that it gave out. Throws AppError not_found. */
export async function endSession(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  { user_id, session_id }: { user_id: string; session_id: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const ended = isId('ses', session_id)
      ? await tx
          .deleteFrom('sessions')
          .where('id', '=', session_id)
          .where('user_id', '=', user_id)
          .returning('id')
          .execute()
      : []
    if (ended.length === 0)
      throw new AppError('not_found', `There is no session ${session_id.slice(0, 100)} of yours.`)
    const change = { project_id: null, action: 'session.ended', subject: session_id }
    await audit({ db: tx, clock }, actor, change)
  })
}

/** Ends all sessions of a user but one; answers how many. */
export async function endOtherSessions(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  { user_id, but_session_id }: { user_id: string; but_session_id: string },
): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const ended = await tx
      .deleteFrom('sessions')
      .where('user_id', '=', user_id)
      .where('id', '!=', but_session_id)
      .returning('id')
      .execute()
    if (ended.length > 0)
      await audit({ db: tx, clock }, actor, {
        project_id: null,
        action: 'session.ended_others',
        subject: user_id,
        after: { ended: ended.length },
      })
    return ended.length
  })
}
