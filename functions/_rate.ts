import type { MiddlewareHandler } from 'hono'
import type { Clock } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Env } from './_env.ts'

/** Keys remembered at once; a forgotten one starts with a full bucket, so the bound can only be generous. */
const maxKeys = 10_000

/** Refuses a key that sends more than `per_s` requests a second; a second's worth may come at once. */
export function limitRate(clock: Clock, per_s: number | null): MiddlewareHandler<Env> {
  const buckets = new Map<string, { tokens: number; at_ms: number }>()
  return async (c, next) => {
    if (per_s === null) return next()
    const now_ms = clock.now().getTime()
    const { key_id } = c.get('principal')
    const before = buckets.get(key_id) ?? { tokens: per_s, at_ms: now_ms }
    const tokens = Math.min(per_s, before.tokens + ((now_ms - before.at_ms) / 1_000) * per_s)
    if (tokens < 1)
      throw new AppError('rate_limited', `This key may send ${per_s} requests a second.`, {
        headers: { 'Retry-After': '1' },
      })
    buckets.delete(key_id)
    buckets.set(key_id, { tokens: tokens - 1, at_ms: now_ms })
    const [oldest] = buckets.keys()
    if (buckets.size > maxKeys && oldest !== undefined) buckets.delete(oldest)
    return next()
  }
}
