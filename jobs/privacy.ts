// What is kept of a person: given to them, and deleted when they ask.
import { type Actor, audit } from './audit.ts'
import { type AuditEntry, readAudit } from './audit-log.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Caller } from './keys.ts'
import { forgiveLogin, guardLogin } from './login-guard.ts'
import { type Membership, projectsOf } from './projects.ts'
import { listSessions, type SessionView } from './sessions.ts'
import { readUser, type UserView } from './users.ts'

/** The newest of what they did; older ones are in the log of the installation. */
const mostEntries = 10_000

type Person = Caller & { by: 'user' }

export interface PersonalData {
  user: UserView
  projects: Membership[]
  sessions: SessionView[]
  audit: AuditEntry[]
}

/** All that is kept of a person but the hash of their password. What they submitted is their projects'. */
export async function exportPerson(deps: Deps, person: Person): Promise<PersonalData> {
  const done = await readAudit(deps, { project_id: null, actor: person.id }, { limit: mostEntries })
  return {
    user: await readUser(deps.db, person.id),
    projects: await projectsOf(deps, person),
    sessions: await listSessions(deps, person),
    audit: done.items,
  }
}

/**
 * Deletes a person with sessions, password and memberships. The audit log keeps what they did under an id that names nobody any more.
 * Throws AppError invalid_request, last_owner, rate_limited.
 */
export async function deletePerson(
  deps: Deps,
  actor: Actor,
  { id }: Person,
  password: string,
): Promise<void> {
  await guardLogin(deps, id, actor.address)
  if (!(await deps.identity.isPassword(id, password))) {
    const message = 'is not your password'
    throw new AppError('invalid_request', `password ${message}`, { errors: [{ path: 'password', message }] })
  }
  await forgiveLogin(deps, id, actor.address)
  await deps.db.transaction().execute(async (tx) => {
    const owned = await tx
      .selectFrom('project_members')
      .innerJoin('projects', 'projects.id', 'project_members.project_id')
      .select(['projects.id', 'projects.name'])
      .where('user_id', '=', id)
      .where('role', '=', 'owner')
      .orderBy('projects.id')
      .forNoKeyUpdate('projects')
      .execute()
    for (const project of owned) {
      const other = await tx
        .selectFrom('project_members')
        .select('user_id')
        .where('project_id', '=', project.id)
        .where('role', '=', 'owner')
        .where('user_id', '!=', id)
        .limit(1)
        .executeTakeFirst()
      if (!other)
        throw new AppError('last_owner', `You are the last owner of ${project.name}: make another one first.`)
    }
    const { email } = await readUser(tx, id)
    await tx.deleteFrom('verifications').where('value', '=', id).execute()
    await tx.deleteFrom('invitations').where('email', '=', email).execute()
    await tx.deleteFrom('users').where('id', '=', id).execute()
    await audit({ ...deps, db: tx }, actor, { project_id: null, action: 'user.deleted', subject: id })
  })
}
