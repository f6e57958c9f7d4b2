// Invitations to a project: for one address, good for some days, and accepted once.
import { hash } from 'node:crypto'
import { type Selectable, sql } from 'kysely'
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId, newId } from './ids.ts'
import type { Principal, Role } from './keys.ts'
import { links, mails, sendLater } from './mails.ts'
import { maxMembers, memberRoles, mustRank } from './members.ts'
import type { Database, Tables, Tx } from './store/schema.ts'

/** That are open, of a project. */
const maxOpen = 200
const good_s = 7 * 86_400

/** As it is stored: in lower case. */
export const email = z
  .email()
  .max(254)
  .transform((text) => text.toLowerCase())

export const invitationRequest = z
  .strictObject({ email, role: z.enum(memberRoles).default('member') })
  .meta({ id: 'InvitationRequest' })

export interface InvitationView {
  id: string
  email: string
  role: Role
  created_at: string
  expires_at: string
}
/** The token is shown once; where mails are sent, it is in one too. */
export type NewInvitation = InvitationView & { token: string; link: string; mailed: boolean }

type Row = Selectable<Tables['invitations']>

/** Those that are open, newest first. */
export async function listInvitations(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  project_id: string,
): Promise<InvitationView[]> {
  const rows = await open(db, clock.now())
    .where('project_id', '=', project_id)
    .orderBy('id', 'desc')
    .limit(maxOpen)
    .execute()
  return rows.map(viewOf)
}

/** An older one for the same address is withdrawn. Throws AppError forbidden, invalid_request. */
export async function invite(
  deps: Deps,
  actor: Actor,
  principal: Principal,
  { email: to, role }: z.output<typeof invitationRequest>,
): Promise<NewInvitation> {
  const { project_id } = principal
  const now = deps.clock.now()
  const token = Buffer.from(deps.random(32)).toString('base64url')
  const { row, project } = await deps.db.transaction().execute(async (tx) => {
    const project = await lockProject(tx, project_id)
    await mustRank(tx, principal, [role])
    await mustBeNew(tx, now, project_id, to)
    await tx
      .updateTable('invitations')
      .set({ ended_at: now })
      .where('project_id', '=', project_id)
      .where('email', '=', to)
      .where('ended_at', 'is', null)
      .execute()
    const row = await tx
      .insertInto('invitations')
      .values({
        id: newId('inv', now, deps.random),
        project_id,
        email: to,
        role,
        token_sha256: sha256(token),
        invited_by: principal.id,
        created_at: now,
        expires_at: new Date(now.getTime() + good_s * 1_000),
        ended_at: null,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
    const change = { project_id, action: 'member.invited', subject: row.id, after: { email: to, role } }
    await audit({ ...deps, db: tx }, actor, change)
    return { row, project }
  })
  const link = links.invitation(deps, token)
  sendLater(deps, mails.invitation(to, project.name, link))
  return { ...viewOf(row), token, link, mailed: deps.send_mail !== null }
}

/** Throws AppError not_found. */
export async function withdraw(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  { project_id, id }: { project_id: string; id: string },
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const { numUpdatedRows } = await tx
      .updateTable('invitations')
      .set({ ended_at: clock.now() })
      .where('id', '=', isId('inv', id) ? id : '')
      .where('project_id', '=', project_id)
      .where('ended_at', 'is', null)
      .executeTakeFirst()
    if (numUpdatedRows === 0n)
      throw new AppError('not_found', `There is no invitation ${id.slice(0, 100)} that is open.`)
    await audit({ db: tx, clock }, actor, { project_id, action: 'invitation.withdrawn', subject: id })
  })
}

/** What an invitation is for. Throws AppError invalid_request for one that is not good, or not for this address. */
export async function readInvitation(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  token: string,
  to: string,
): Promise<Row> {
  const row = await open(db, clock.now()).where('token_sha256', '=', sha256(token)).executeTakeFirst()
  if (row?.email === to) return row
  const message = 'is not good, or not for this address: ask for another one'
  throw new AppError('invalid_request', `The invitation ${message}.`, {
    errors: [{ path: 'token', message }],
  })
}

/** Makes a user a member, once. Who is one already keeps the higher role. Throws AppError invalid_request. */
export async function acceptInvitation(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  { user_id, email: to, token }: { user_id: string; email: string; token: string },
): Promise<string> {
  return db.transaction().execute(async (tx) => {
    const { id, project_id, role } = await readInvitation({ db: tx, clock }, token, to)
    await lockProject(tx, project_id)
    const ended = await tx
      .updateTable('invitations')
      .set({ ended_at: clock.now() })
      .where('id', '=', id)
      .where('ended_at', 'is', null)
      .executeTakeFirst()
    // Another request has just accepted or withdrawn it.
    if (ended.numUpdatedRows === 0n) await readInvitation({ db: tx, clock }, token, to)
    await addMember(tx, { project_id, user_id, role, created_at: clock.now() })
    const change = { project_id, action: 'member.joined', subject: user_id, after: { role, invitation: id } }
    await audit({ db: tx, clock }, actor, change)
    return project_id
  })
}

/** Throws AppError invalid_request where there is no room. */
export async function addMember(
  tx: Tx,
  member: { project_id: string; user_id: string; role: Role; created_at: Date },
): Promise<void> {
  const { count } = await tx
    .selectFrom('project_members')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('project_id', '=', member.project_id)
    .executeTakeFirstOrThrow()
  if (Number(count) >= maxMembers)
    throw new AppError('invalid_request', `A project has at most ${maxMembers} members.`)
  await tx
    .insertInto('project_members')
    .values(member)
    .onConflict((conflict) =>
      conflict.columns(['project_id', 'user_id']).doUpdateSet({ role: member.role })
        .where(sql<boolean>`array_position(${ranks}, project_members.role)
          > array_position(${ranks}, excluded.role)`),
    )
    .execute()
}

/** The highest first. */
const ranks = sql`array['owner', 'admin', 'member', 'viewer']`

const open = (db: Database, now: Date) =>
  db.selectFrom('invitations').selectAll().where('ended_at', 'is', null).where('expires_at', '>', now)

async function mustBeNew(tx: Tx, now: Date, project_id: string, to: string): Promise<void> {
  const member = await tx
    .selectFrom('project_members')
    .innerJoin('users', 'users.id', 'project_members.user_id')
    .select('user_id')
    .where('project_id', '=', project_id)
    .where('email', '=', to)
    .executeTakeFirst()
  if (member) {
    const message = 'belongs to the project already: change the role instead'
    throw new AppError('invalid_request', `email ${message}.`, { errors: [{ path: 'email', message }] })
  }
  const others = await open(tx, now).where('project_id', '=', project_id).where('email', '!=', to).execute()
  if (others.length >= maxOpen)
    throw new AppError('invalid_request', `A project has at most ${maxOpen} open invitations: withdraw one.`)
}

const lockProject = (tx: Tx, id: string) =>
  tx
    .selectFrom('projects')
    .select(['id', 'name'])
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow()

const sha256 = (text: string) => hash('sha256', text)

const viewOf = (row: Row): InvitationView => ({
  id: row.id,
  email: row.email,
  role: row.role,
  created_at: row.created_at.toISOString(),
  expires_at: row.expires_at.toISOString(),
})
