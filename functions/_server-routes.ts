// Whether the server is well.
import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import * as health from './health.ts'
import * as metrics from './metrics.ts'

export function serverRoutes(app: OpenAPIHono<Env>, deps: Deps) {
  return app
    .openapi(metrics.route, metrics.handler(deps))
    .openapi(health.liveRoute, health.live())
    .openapi(health.readyRoute, health.ready(deps))
}
