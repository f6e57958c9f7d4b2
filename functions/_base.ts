// What every part of the API stands on, however many of its routes are there.
import { OpenAPIHono } from '@hono/zod-openapi'
import { newId } from '../jobs/ids.ts'
import type { Deps } from '../jobs/deps.ts'
import { tellAccess } from './_access.ts'
import type { Env } from './_env.ts'
import { createGuards, guardRoutes, notServed } from './_gate.ts'
import { allowOrigins, tellBrowsers } from './_headers.ts'
import { problemOf } from './_problem.ts'
import { measure } from './_measure.ts'
import { shedLoad } from './_shed.ts'

export type Shared = ReturnType<typeof shareAll>

/** What counts requests, and remembers who asks, whichever part answers. */
export const shareAll = (deps: Deps) => ({ guardsOf: createGuards(deps), shed: shedLoad() })

/** What goes for every route: request ids, problems, keys, bounds, and the document. */
export function createBase(deps: Deps, { guardsOf, shed }: Shared) {
  const app = new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw result.error
    },
  })
  app.onError((error, c) => problemOf(error, c, deps.log))
  app.use(async (c, next) => {
    const request_id = newId('req', deps.clock.now(), deps.random)
    c.set('request_id', request_id)
    c.header('X-Request-Id', request_id)
    await next()
  })
  const { cors_origins } = deps.settings
  app.use(tellBrowsers(deps), ...(cors_origins.length > 0 ? [allowOrigins(cors_origins)] : []))
  const { meter, access } = deps
  if (access) app.use(tellAccess(access, deps))
  if (meter) app.use(measure(meter))
  app.use(shed)
  app.notFound(notServed(app))
  app.openAPIRegistry.registerComponent('securitySchemes', 'key', {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, or a token of a person’s session.',
  })
  // A browser's cookie has another name over plain http.
  const cookie = {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-berth',
    description: 'A person asks in the project that the header Berth-Project names, else in their first.',
  } as const
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', cookie)
  return { app, complete: guardRoutes(app, guardsOf).complete }
}
