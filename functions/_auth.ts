import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../jobs/errors.ts'
import type { KeyCheck, Principal, Role } from '../jobs/keys.ts'
import { readToken, type RunnerKey } from '../jobs/tokens.ts'
import type { Env } from './_env.ts'

const ranks: Record<Role, number> = { viewer: 0, member: 1, admin: 2 }

/** Lets in who sends a valid key with this right. */
export function requireKey(checkKey: KeyCheck, right: Role | 'operator'): MiddlewareHandler<Env> {
  return async (c, next) => {
    const principal = await checkKey(bearer(c))
    requireRight(principal, right)
    c.set('principal', principal)
    await next()
  }
}

/** Throws AppError forbidden unless the key has at least this right. */
export function requireRight({ role, is_operator }: Principal, right: Role | 'operator'): void {
  const needed = right === 'operator' ? 'admin' : right
  if (ranks[role] < ranks[needed])
    throw new AppError('forbidden', `This needs a key with the role ${needed}; this one is ${role}.`)
  if (right === 'operator' && !is_operator)
    throw new AppError('forbidden', 'This is for admins of the project that runs this installation.')
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

/** The bearer token; throws AppError unauthorized without one. */
export function bearer(c: Context<Env>): string {
  const match = /^Bearer ([\x21-\x7e]{1,512})$/i.exec(c.req.header('authorization') ?? '')
  if (!match?.[1])
    throw new AppError('unauthorized', 'Send "Authorization: Bearer <key>".', {
      headers: { 'WWW-Authenticate': 'Bearer' },
    })
  return match[1]
}

/** What a proxy on this machine adds for whom it speaks; without one of them its requests are its own. */
const forwarded = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/** Whether a request comes from this machine and for nobody else. Where the runtime has no sockets nobody is. */
export function isFromHere(c: Context<Env>): boolean {
  const { incoming } = (c.env ?? {}) as { incoming?: { socket?: { remoteAddress?: string } } }
  const address = incoming?.socket?.remoteAddress ?? ''
  const isLoopback = address === '::1' || /^(::ffff:)?127\./.test(address)
  return isLoopback && !forwarded.some((name) => c.req.header(name) !== undefined)
}
