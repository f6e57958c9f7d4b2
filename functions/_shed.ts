import type { MiddlewareHandler } from 'hono'
import { AppError } from '../jobs/errors.ts'
import type { Env } from './_env.ts'

/**
 * Requests under way at once, those that wait for a job's end and uploads too; a stream counts until it has begun. Each may hold a
 * body of a megabyte or so, and they share some ten connections to the database: more would only wait longer.
 */
const maxUnderWay = 4_096
/** What ends within a second or two makes room. */
const retry_s = 1

/** Whether a server is well is asked most when it is not. */
const always = ['/healthz', '/readyz']

/** Refuses what comes while too many requests are under way, before anything is read of it. */
export function shedLoad(most = maxUnderWay): MiddlewareHandler<Env> {
  let underWay = 0
  return async (c, next) => {
    if (always.includes(c.req.path)) return next()
    if (underWay >= most)
      throw new AppError('busy', 'Too many requests are under way: try again in a moment.', {
        headers: { 'Retry-After': String(retry_s) },
      })
    underWay++
    try {
      await next()
    } finally {
      underWay--
    }
  }
}
