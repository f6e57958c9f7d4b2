// Who belongs to a project, and as what.
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { hasRole, type Principal, type Role } from './keys.ts'
import type { Database, Tx } from './store/schema.ts'

export const memberRoles = ['owner', 'admin', 'member', 'viewer'] as const satisfies readonly Role[]

/** More people than this are no desk. */
export const maxMembers = 1_000

export const memberPatch = z.strictObject({ role: z.enum(memberRoles) }).meta({ id: 'MemberPatch' })

export interface MemberView {
  user_id: string
  name: string
  email: string
  role: Role
  since: string
}

type Given = Pick<Deps, 'db' | 'clock'>

/** All of them, those first who came first. */
export async function listMembers(db: Database, project_id: string, user_id?: string): Promise<MemberView[]> {
  const rows = await db
    .selectFrom('project_members')
    .innerJoin('users', 'users.id', 'project_members.user_id')
    .select(['user_id', 'name', 'email', 'role', 'project_members.created_at'])
    .where('project_id', '=', project_id)
    .$if(user_id !== undefined, (members) => members.where('user_id', '=', user_id ?? ''))
    .orderBy('project_members.created_at')
    .orderBy('user_id')
    .limit(maxMembers)
    .execute()
  return rows.map(({ created_at, ...row }) => ({ ...row, since: created_at.toISOString() }))
}

/** Throws AppError not_found, forbidden, last_owner. */
export async function changeMember(
  { db, clock }: Given,
  actor: Actor,
  principal: Principal,
  { user_id, role }: { user_id: string; role: Role },
): Promise<MemberView> {
  const { project_id } = principal
  return db.transaction().execute(async (tx) => {
    const before = await lockMember(tx, project_id, user_id)
    await mustRank(tx, principal, [before.role, role])
    if (before.role === 'owner' && role !== 'owner') await mustLeaveOwner(tx, project_id, user_id)
    await tx
      .updateTable('project_members')
      .set({ role })
      .where('project_id', '=', project_id)
      .where('user_id', '=', user_id)
      .execute()
    const change = { project_id, action: 'member.changed', subject: user_id, before, after: { role } }
    await audit({ db: tx, clock }, actor, change)
    const [member] = await listMembers(tx, project_id, user_id)
    return member ?? raise(unknown(user_id))
  })
}

/** Anybody may leave; others are removed by admins. Throws AppError not_found, forbidden, last_owner. */
export async function removeMember(
  { db, clock }: Given,
  actor: Actor,
  principal: Principal,
  user_id: string,
): Promise<void> {
  const { project_id } = principal
  await db.transaction().execute(async (tx) => {
    const before = await lockMember(tx, project_id, user_id)
    const isSelf = principal.by === 'user' && principal.id === user_id
    if (!isSelf && !hasRole(principal.role, 'admin'))
      throw new AppError('forbidden', 'Others are removed by admins of the project.')
    if (!isSelf) await mustRank(tx, principal, [before.role])
    if (before.role === 'owner') await mustLeaveOwner(tx, project_id, user_id)
    await tx
      .deleteFrom('project_members')
      .where('project_id', '=', project_id)
      .where('user_id', '=', user_id)
      .execute()
    await audit({ db: tx, clock }, actor, { project_id, action: 'member.removed', subject: user_id, before })
  })
}

/** Owners are made and unmade by owners; by admins too where there is none yet. Throws AppError forbidden. */
export async function mustRank(
  db: Database,
  { project_id, role }: Principal,
  roles: readonly Role[],
): Promise<void> {
  if (!roles.includes('owner') || role === 'owner') return
  const owner = await db
    .selectFrom('project_members')
    .select('user_id')
    .where('project_id', '=', project_id)
    .where('role', '=', 'owner')
    .limit(1)
    .executeTakeFirst()
  if (owner) throw new AppError('forbidden', 'Owners are made, changed and removed by owners.')
}

/** Members are changed one at a time, so that two who leave at once do not both find another owner. */
async function lockMember(tx: Tx, project_id: string, user_id: string): Promise<{ role: Role }> {
  await tx.selectFrom('projects').select('id').where('id', '=', project_id).forNoKeyUpdate().execute()
  const member = await tx
    .selectFrom('project_members')
    .select('role')
    .where('project_id', '=', project_id)
    .where('user_id', '=', user_id)
    .executeTakeFirst()
  return member ?? raise(unknown(user_id))
}

async function mustLeaveOwner(tx: Tx, project_id: string, user_id: string): Promise<void> {
  const other = await tx
    .selectFrom('project_members')
    .select('user_id')
    .where('project_id', '=', project_id)
    .where('role', '=', 'owner')
    .where('user_id', '!=', user_id)
    .limit(1)
    .executeTakeFirst()
  if (!other)
    throw new AppError('last_owner', 'This is the last owner of the project: make another one first.')
}

const unknown = (user_id: string) =>
  new AppError('not_found', `The project has no member ${user_id.slice(0, 100)}.`)

function raise(error: AppError): never {
  throw error
}
