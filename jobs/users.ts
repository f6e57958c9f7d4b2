// People: how they come to be users, log in, and get a new password.
import { z } from 'zod'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { passwordLength, session_s } from './identity.ts'
import { acceptInvitation, addMember, email, readInvitation } from './invitations.ts'
import { type Caller, hasRole, type Principal } from './keys.ts'
import { forgiveLogin, guardAddress, guardLogin, guardMail } from './login-guard.ts'
import { links, mails, sendLater } from './mails.ts'
import type { Database } from './store/schema.ts'

const name = z.string().trim().min(1).max(200)
const organisation = z.string().trim().max(200).nullable()
const password = z.string().min(passwordLength.least).max(passwordLength.most)

export const registration = z
  .strictObject({
    email,
    name,
    password,
    organisation: organisation.default(null),
    invitation: z.string().max(100).optional().meta({ description: 'The token of an invitation.' }),
  })
  .meta({ id: 'Registration' })

export const loginRequest = z
  .strictObject({
    email,
    // Whatever it is, it is compared: what is allowed for a new one may change.
    password: z.string().min(1).max(passwordLength.most),
    as: z
      .enum(['cookie', 'token'])
      .default('cookie')
      .meta({ description: 'How the session is held: by a browser’s cookie, or by a program.' }),
  })
  .meta({ id: 'Login' })

export const mailRequest = z.strictObject({ email }).meta({ id: 'MailRequest' })
export const secretRequest = z.strictObject({ token: z.string().min(1).max(2_048) }).meta({ id: 'LinkToken' })
export const resetRequest = secretRequest.extend({ password }).meta({ id: 'PasswordReset' })
export const passwordChange = z
  .strictObject({ current: z.string().min(1).max(passwordLength.most), password })
  .meta({ id: 'PasswordChange' })
export const profilePatch = z
  .strictObject({ name: name.optional(), organisation: organisation.optional() })
  .meta({ id: 'ProfilePatch' })

export interface UserView {
  id: string
  email: string
  name: string
  organisation: string | null
  email_verified: boolean
  created_at: string
}

export interface Registered {
  email: string
  /** Whether a link in a mail comes first. */
  must_verify: boolean
}

/**
 * Makes a user: of who was invited, of whom an operator says, and of everybody where registration is open. There the answer is the same
 * where the address is known, and its owner is told. Throws AppError forbidden, user_exists, invalid_request.
 */
export async function register(
  deps: Deps,
  actor: Actor,
  request: z.output<typeof registration>,
  by: Principal | null,
): Promise<Registered> {
  const { invitation, email: to } = request
  await guardAddress(deps, actor.address)
  const isOperator = by !== null && by.is_operator && hasRole(by.role, 'admin')
  if (invitation !== undefined) await readInvitation(deps, invitation, to)
  else if (deps.settings.registration !== 'open' && !isOperator)
    throw new AppError('forbidden', 'Nobody registers here without an invitation.')
  const user_id = await deps.identity.signUp({ email: to, name: request.name, password: request.password })
  if (invitation === undefined && !isOperator) {
    if (user_id !== null) await welcome(deps, { id: user_id, ...request })
    else sendLater(deps, mails.known(to))
    return { email: to, must_verify: deps.send_mail !== null }
  }
  if (user_id === null) throw new AppError('user_exists', 'There is a user with this address: log in.')
  const verified = { organisation: request.organisation, email_verified: true }
  await deps.db.updateTable('users').set(verified).where('id', '=', user_id).execute()
  if (invitation !== undefined) {
    const themselves: Actor = { ...actor, by: 'user', id: user_id }
    await acceptInvitation(deps, themselves, { user_id, email: to, token: invitation })
  } else if (by !== null) await addByOperator(deps, actor, by.project_id, user_id)
  return { email: to, must_verify: false }
}

async function welcome(
  deps: Deps,
  { id, email: to, organisation: of }: { id: string; email: string; organisation: string | null },
): Promise<void> {
  await deps.db.updateTable('users').set({ organisation: of }).where('id', '=', id).execute()
  if (deps.send_mail === null) return
  sendLater(deps, mails.verify(to, links.verify(deps, await deps.identity.verifySecret({ id, email: to }))))
}

/** Whom an operator registers belongs to the operator's project: its first person owns it, others are members. */
export async function addByOperator(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  project_id: string,
  user_id: string,
): Promise<void> {
  await db.transaction().execute(async (tx) => {
    await tx.selectFrom('projects').select('id').where('id', '=', project_id).forNoKeyUpdate().execute()
    const owner = await tx
      .selectFrom('project_members')
      .select('user_id')
      .where('project_id', '=', project_id)
      .where('role', '=', 'owner')
      .limit(1)
      .executeTakeFirst()
    const role = owner ? 'member' : 'owner'
    await addMember(tx, { project_id, user_id, role, created_at: clock.now() })
    const change = { project_id, action: 'member.joined', subject: user_id, after: { role } }
    await audit({ db: tx, clock }, actor, change)
  })
}

export interface LoggedIn {
  user: UserView
  session_id: string
  expires_at: string
  /** For a program alone: a browser has its cookie. */
  access_token: string | null
  refresh_token: string | null
}

/** Opens a session; answers the cookie's value beside it. Throws AppError unauthorized, forbidden, rate_limited. */
export async function logIn(
  deps: Deps,
  { email: of, password: given, as }: z.output<typeof loginRequest>,
  { address, user_agent }: { address: string | null; user_agent: string | null },
): Promise<LoggedIn & { secret: string }> {
  await guardLogin(deps, of, address)
  const opened = await deps.identity.signIn({ email: of, password: given, address, user_agent })
  if (opened === 'unverified')
    throw new AppError('forbidden', 'Verify your address first: a link was sent to it.')
  if (opened === 'wrong') {
    await noteFailure(deps, of, address)
    throw new AppError('unauthorized', 'The address or the password is wrong.')
  }
  await forgiveLogin(deps, of, address)
  const user = await userBy(deps.db, 'email', of)
  if (!user) throw new AppError('unauthorized', 'The address or the password is wrong.')
  const { session_id, secret } = opened
  const token = as === 'token' ? await deps.identity.issueToken({ session_id, user_id: user.id }) : null
  return {
    user,
    session_id,
    expires_at: new Date(deps.clock.now().getTime() + session_s * 1_000).toISOString(),
    access_token: token,
    refresh_token: as === 'token' ? secret : null,
    secret,
  }
}

/** Of a user that there is: what strangers try with other names is bounded by the guard alone. */
async function noteFailure({ db, clock }: Deps, of: string, address: string | null): Promise<void> {
  const user = await userBy(db, 'email', of)
  if (!user) return
  const actor: Actor = { by: 'berth', id: null, address, request_id: null }
  await audit({ db, clock }, actor, { project_id: null, action: 'login.failed', subject: user.id })
}

/** Sends a link to choose a new password, if there is such a user. Throws AppError rate_limited, no_mail. */
export async function forgotPassword(deps: Deps, to: string, address: string | null): Promise<void> {
  mustMail(deps)
  await guardMail(deps, to, address)
  const user = await userBy(deps.db, 'email', to)
  if (!user) return
  sendLater(deps, mails.reset(to, links.reset(deps, await deps.identity.resetSecret(user.id))))
}

/** Sends the link that verifies an address again, if it is one of a user and not verified. Throws AppError rate_limited, no_mail. */
export async function verifyAgain(deps: Deps, to: string, address: string | null): Promise<void> {
  mustMail(deps)
  await guardMail(deps, to, address)
  const user = await userBy(deps.db, 'email', to)
  if (user && !user.email_verified) await welcome(deps, user)
}

function mustMail({ send_mail }: Deps): void {
  if (send_mail === null)
    throw new AppError(
      'no_mail',
      'This server sends no mails: ask an operator for a link (berth admin users).',
    )
}

/** Throws AppError rate_limited, invalid_request. */
export async function resetPassword(
  deps: Deps,
  { token, password: chosen }: z.output<typeof resetRequest>,
  address: string | null,
): Promise<void> {
  await guardAddress(deps, address)
  if (!(await deps.identity.resetPassword(token, chosen))) throw badLink()
}

/** Throws AppError rate_limited, invalid_request. */
export async function verifyEmail(deps: Deps, token: string, address: string | null): Promise<void> {
  await guardAddress(deps, address)
  if (!(await deps.identity.verifyEmail(token))) throw badLink()
}

function badLink(): AppError {
  const message = 'is not good: it was used, is too old, or was cut'
  return new AppError('invalid_request', `The link ${message}. Ask for another one.`, {
    errors: [{ path: 'token', message }],
  })
}

/** Ends the other sessions. Throws AppError unauthorized, rate_limited. */
export async function changePassword(
  deps: Deps,
  { id, session_id }: Caller & { by: 'user' },
  { current, password: chosen }: z.output<typeof passwordChange>,
  address: string | null,
): Promise<void> {
  // Who has found a session open must not be able to try passwords.
  await guardLogin(deps, id, address)
  if (!(await deps.identity.isPassword(id, current))) {
    const message = 'is not your password'
    throw new AppError('invalid_request', `current ${message}`, { errors: [{ path: 'current', message }] })
  }
  await forgiveLogin(deps, id, address)
  await deps.identity.setPassword(id, chosen, session_id)
}

export async function changeProfile(
  { db, clock }: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  id: string,
  patch: z.output<typeof profilePatch>,
): Promise<UserView> {
  return db.transaction().execute(async (tx) => {
    const before = await readUser(tx, id)
    const after = {
      name: patch.name ?? before.name,
      organisation: patch.organisation === undefined ? before.organisation : patch.organisation,
    }
    await tx
      .updateTable('users')
      .set({ ...after, updated_at: clock.now() })
      .where('id', '=', id)
      .execute()
    const was = { name: before.name, organisation: before.organisation }
    await audit({ db: tx, clock }, actor, {
      project_id: null,
      action: 'user.changed',
      subject: id,
      before: was,
      after,
    })
    return { ...before, ...after }
  })
}

/** Of somebody who has a session. */
export async function readUser(db: Database, id: string): Promise<UserView> {
  const user = await userBy(db, 'id', id)
  // Deleted since the session was looked up.
  if (!user) throw new AppError('unauthorized', 'This user is no more.')
  return user
}

export async function userBy(db: Database, by: 'id' | 'email', value: string): Promise<UserView | null> {
  const row = await db
    .selectFrom('users')
    .select(['id', 'email', 'name', 'organisation', 'email_verified', 'created_at'])
    .where(by, '=', value)
    .executeTakeFirst()
  return row ? { ...row, created_at: row.created_at.toISOString() } : null
}
