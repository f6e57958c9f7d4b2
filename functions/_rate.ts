import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Env } from './_env.ts'

/** Buckets remembered at once; a forgotten one starts full, so the bound can only be generous. */
const maxBuckets = 10_000
/** A project with many keys gets no more than this many of them could send. */
const keysEach = 10

interface Bucket {
  tokens: number
  at_ms: number
}

/**
 * Refuses a key that sends more than `per_s` requests a second, and a project that sends ten times that; a second's worth may
 * come at once. Every answer says what is left, in the headers of the IETF's draft-ietf-httpapi-ratelimit-headers-07.
 */
export function limitRate(clock: Clock, per_s: number | null): MiddlewareHandler<Env> {
  if (per_s === null) return (_, next) => next()
  const keys = createBuckets(per_s)
  const projects = createBuckets(per_s * keysEach)
  return async (c, next) => {
    const now_ms = clock.now().getTime()
    const { id, project_id } = c.get('principal') ?? c.get('caller')
    const [key, project] = [
      keys.look(id, now_ms),
      project_id === null ? Number.POSITIVE_INFINITY : projects.look(project_id, now_ms),
    ]
    const isOver = key < 1 || project < 1
    const [left, most] =
      key / per_s <= project / (per_s * keysEach) ? [key, per_s] : [project, per_s * keysEach]
    const after = isOver ? left : left - 1
    const headers = {
      'RateLimit-Limit': String(most),
      'RateLimit-Remaining': String(Math.max(0, Math.floor(after))),
      'RateLimit-Reset': String(Math.ceil((most - after) / most)),
    }
    if (isOver) {
      const who =
        key < 1
          ? `This key or person may send ${per_s}`
          : `The keys and people of this project together may send ${per_s * keysEach}`
      // A fraction of a second: the headers count whole ones.
      throw new AppError('rate_limited', `${who} requests a second.`, {
        headers: { ...headers, 'Retry-After': '1' },
      })
    }
    keys.take(id, key, now_ms)
    if (project_id !== null) projects.take(project_id, project, now_ms)
    for (const [name, value] of Object.entries(headers)) c.header(name, value)
    await next()
  }
}

function createBuckets(per_s: number) {
  const buckets = new Map<string, Bucket>()
  return {
    /** How many it may send now. */
    look(id: string, now_ms: number): number {
      const { tokens, at_ms } = buckets.get(id) ?? { tokens: per_s, at_ms: now_ms }
      return Math.min(per_s, tokens + ((now_ms - at_ms) / 1_000) * per_s)
    },
    take(id: string, tokens: number, now_ms: number): void {
      buckets.delete(id)
      buckets.set(id, { tokens: tokens - 1, at_ms: now_ms })
      const [oldest] = buckets.keys()
      if (buckets.size > maxBuckets && oldest !== undefined) buckets.delete(oldest)
    },
  }
}
