import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../jobs/errors.ts'
import type { KeyCheck, Role } from '../jobs/keys.ts'
import type { Env } from './_env.ts'

const ranks: Record<Role, number> = { viewer: 0, member: 1, admin: 2 }

/** Lets in who sends a valid key; reading needs a viewer, everything else a member. */
export function requireKey(checkKey: KeyCheck): MiddlewareHandler<Env> {
  return async (c, next) => {
    c.set('principal', await checkKey(bearer(c)))
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') requireRole(c, 'member')
    await next()
  }
}

/** Throws AppError forbidden unless the key has at least this role. */
export function requireRole(c: Context<Env>, role: Role): void {
  const { role: has } = c.get('principal')
  if (ranks[has] < ranks[role])
    throw new AppError('forbidden', `This needs a key with the role ${role}; this one is ${has}.`)
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
