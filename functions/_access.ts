import type { MiddlewareHandler } from 'hono'
import { routePath } from 'hono/route'
import type { Access, Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'

/** Tells of each request by its route, without its query and its body: they may hold what only its sender is to know. */
export function tellAccess(
  keep: (access: Access) => void,
  { clock }: Pick<Deps, 'clock'>,
): MiddlewareHandler<Env> {
  return async (c, next) => {
    const began_ms = performance.now()
    try {
      await next()
    } finally {
      const caller = c.get('principal') ?? c.get('caller')
      keep({
        time: clock.now().toISOString(),
        request_id: c.get('request_id'),
        method: c.req.method.slice(0, 16),
        route: routePath(c, -1),
        status: c.res.status,
        ms: Math.round(performance.now() - began_ms),
        project: caller?.project_id ?? null,
        by: caller ? `${caller.by}/${caller.id}` : null,
      })
    }
  }
}
