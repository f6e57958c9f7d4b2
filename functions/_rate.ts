import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Left } from '../jobs/rate-buckets.ts'
import type { Rates } from '../jobs/rates.ts'
import type { Env } from './_env.ts'

/** Of who belongs to no project. */
const unbounded: Left = { tokens: Number.POSITIVE_INFINITY, wait_s: () => 0, most: 1 }

/**
 * Refuses a key that sends more requests a second than its bound, and a project that sends ten times that; a second's worth may come
 * at once. Every answer says what is left here, in the headers of the IETF's draft-ietf-httpapi-ratelimit-headers-07.
 */
export function limitRate(clock: Clock, rates: Rates | null): MiddlewareHandler<Env> {
  if (rates === null) return (_, next) => next()
  const { keys, projects } = rates
  return async (c, next) => {
    const now_ms = clock.now().getTime()
    const { id, project_id } = c.get('principal') ?? c.get('caller')
    const key = keys.ask(id, now_ms)
    const project = project_id === null ? unbounded : projects.ask(project_id, now_ms)
    const isOver = key.tokens < 1 || project.tokens < 1
    const [tighter, per_s] =
      key.tokens / key.most <= project.tokens / project.most ? [key, keys.per_s] : [project, projects.per_s]
    const taken = isOver ? 0 : 1
    const headers = {
      'RateLimit-Limit': String(per_s),
      'RateLimit-Remaining': String(Math.max(0, Math.floor(tighter.tokens - taken))),
      'RateLimit-Reset': String(tighter.wait_s(tighter.most + taken)),
    }
    if (isOver) {
      const who =
        key.tokens < 1
          ? `This key or person may send ${keys.per_s}`
          : `The keys and people of this project together may send ${projects.per_s}`
      const wait_s = Math.max(1, key.wait_s(1), project.wait_s(1))
      throw new AppError('rate_limited', `${who} requests a second.`, {
        headers: { ...headers, 'Retry-After': String(wait_s) },
      })
    }
    keys.take(id, now_ms)
    if (project_id !== null) projects.take(project_id, now_ms)
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
    await next()
  }
}
