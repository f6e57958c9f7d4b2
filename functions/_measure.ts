import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Meter } from '../jobs/figures.ts'
import type { Env } from './_env.ts'

/** Measures each request by its route, never by its path: what clients make up must not become a label. */
export function measure(meter: Meter): MiddlewareHandler<Env> {
  return async (c, next) => {
    const began_ms = performance.now()
    try {
      await next()
    } finally {
      const path = routePath(c, -1)
      const labels = {
        method: methods.includes(c.req.method) ? c.req.method : 'other',
        route: path === '' || path.includes('*') ? 'none' : path,
        status: String(c.res.status),
      }
      meter.observe('berth_http_request_seconds', labels, (performance.now() - began_ms) / 1_000)
    }
  }
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
