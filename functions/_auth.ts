import type { Context, MiddlewareHandler } from 'hono'
import type { Actor } from '../jobs/audit.ts'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { type Caller, createKeyCheck, hasRole, type Principal, type Role } from '../jobs/keys.ts'
import { checkSession } from '../jobs/sessions.ts'
import { readToken, type RunnerKey } from '../jobs/tokens.ts'
import { addressOf } from './_address.ts'
import { readCookie, requireSameSite } from './_cookie.ts'
import type { Env } from './_env.ts'

/** Who asks; a person in the project that is named, or else the one that they have belonged to longest. */
export type CallerCheck = (c: Context<Env>, project: string | null) => Promise<Caller>

/** In which project a person asks; a key has one of its own. */
export const projectHeader = 'Berth-Project'

/** By an API key, by a token of a session, or by a browser's cookie, which is taken from no other site. */
export function createCallerCheck(deps: Deps): CallerCheck {
  const checkKey = createKeyCheck(deps)
  return async (c, project) => {
    const cookie = c.req.header('authorization') === undefined ? readCookie(c, deps) : undefined
    if (cookie !== undefined) {
      requireSameSite(c, deps)
      return checkSession(deps, deps.identity.readSecret(cookie) ?? notOurs(), project)
    }
    const token = bearer(c)
    if (token.startsWith('brs_'))
      return checkSession(deps, deps.identity.readSecret(token) ?? notOurs(), project)
    if (/^ey[\w-]+\.[\w-]+\.[\w-]+$/.test(token))
      return checkSession(deps, (await deps.identity.readToken(token)) ?? notOurs(), project)
    return checkKey(token)
  }
}

function notOurs(): never {
  throw new AppError('unauthorized', 'This token is not ours, or too old: log in, or ask for a new one.')
}

/** Lets in who may this in a project: that of the path where it names one, else of the header. */
export function requirePrincipal(
  check: CallerCheck,
  right: Role | 'operator',
  inPath = false,
): MiddlewareHandler<Env> {
  return async (c, next) => {
    const named = inPath ? (c.req.param('id') ?? '') : (c.req.header(projectHeader) ?? null)
    const find = async (): Promise<Principal> => {
      const caller = await check(c, named)
      if (caller.project_id === null)
        throw new AppError('forbidden', 'You belong to no project yet: make one, or accept an invitation.')
      if (inPath && caller.project_id !== named)
        throw new AppError('not_found', `There is no project ${named?.slice(0, 100)} of this key.`)
      requireRight(caller, right)
      return caller
    }
    c.set('principal', await find())
    c.set('check_again', async () => void (await find()))
    await next()
  }
}

/**
 * Lets in who owns the project in the path, and operators, who need not belong to it. Whose it is not gets what they would if it were not
 * there.
 */
export function requireOwnerOrOperator(check: CallerCheck): MiddlewareHandler<Env> {
  const asOwner = requirePrincipal(check, 'owner', true)
  return async (c, next) => {
    const own = c.req.header(projectHeader) ?? null
    const caller = await check(c, own).catch((error: unknown) => {
      if (error instanceof AppError && error.code === 'not_found') return null
      throw error
    })
    if (!caller || caller.project_id === null || !isOperator(caller)) return asOwner(c, next)
    c.set('principal', caller)
    await next()
  }
}

const isOperator = ({ role, is_operator }: Principal) => is_operator && hasRole(role, 'admin')

/** Lets in a key, or a person, who needs no project. `session`: a person alone. */
export function requireCaller(check: CallerCheck, right: 'caller' | 'session'): MiddlewareHandler<Env> {
  return async (c, next) => {
    const caller = await check(c, c.req.header(projectHeader) ?? null)
    if (right === 'session' && caller.by === 'key')
      throw new AppError('forbidden', 'This is for people who have logged in, not for keys.')
    c.set('caller', caller)
    await next()
  }
}

/** Throws AppError forbidden unless somebody has at least this right. */
export function requireRight({ by, role, is_operator }: Principal, right: Role | 'operator'): void {
  const needed = right === 'operator' ? 'admin' : right
  const has = by === 'key' ? 'this key is' : 'in this project you are'
  if (!hasRole(role, needed))
    throw new AppError('forbidden', `This needs the role ${needed}; ${has} ${role}.`)
  if (right === 'operator' && !is_operator)
    throw new AppError('forbidden', 'This is for admins of the project that runs this installation.')
}

/** Who the audit log says did it. */
export function actorOf(c: Context<Env>, deps: Deps): Actor {
  const who = c.get('principal') ?? c.get('caller')
  return {
    by: who?.by ?? 'berth',
    id: who?.id ?? null,
    address: addressOf(c, deps.settings.is_proxy),
    request_id: c.get('request_id'),
  }
}

/** The person who asks, behind the right `session`. */
export function personOf(c: Context<Env>): Caller & { by: 'user' } {
  const caller = c.get('caller')
  if (caller.by !== 'user') throw new Error('an operation for people is guarded by the right `session`')
  return caller
}

/**
 * Lets in who sends a token that was made for the attempt in the path; whether it still holds is for the handler to find. No
 * database is asked, so that a stranger costs nothing.
 */
export function requireRunner(runner_key: RunnerKey): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!readToken(runner_key, c.req.param('id') ?? '', bearer(c)))
      throw new AppError('unauthorized', 'This is not the token of this attempt.')
    await next()
  }
}

/** Lets in who sends any token: whose it is stands in the body. */
export const requireToken: MiddlewareHandler<Env> = async (c, next) => {
  bearer(c)
  await next()
}

/** A signed token of a session is the longest. */
const bearerForm = /^Bearer ([\x21-\x7e]{1,2048})$/i

/** The bearer token; throws AppError unauthorized without one. */
export function bearer(c: Context<Env>): string {
  const match = bearerForm.exec(c.req.header('authorization') ?? '')
  if (!match?.[1])
    throw new AppError('unauthorized', 'Send "Authorization: Bearer <key>".', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  return match[1]
}
