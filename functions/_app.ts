// Mounts every function. Runs on any runtime that has fetch: what it needs comes in as Deps.
import type { OpenAPIHono } from '@hono/zod-openapi'
import { Scalar } from '@scalar/hono-api-reference'
import type { Deps } from '../jobs/deps.ts'
import { createBase, shareAll } from './_base.ts'
import type { Env } from './_env.ts'
import { jobRoutes } from './_job-routes.ts'
import { otherRoutes } from './_other-routes.ts'
import { runnerRoutes } from './_runner-routes.ts'
import { serverRoutes } from './_server-routes.ts'

type SchemaOf<Routes extends (...given: never[]) => unknown> =
  ReturnType<Routes> extends OpenAPIHono<Env, infer Schema> ? Schema : never

export type App = OpenAPIHono<
  Env,
  SchemaOf<typeof jobRoutes> &
    SchemaOf<typeof otherRoutes> &
    SchemaOf<typeof runnerRoutes> &
    SchemaOf<typeof serverRoutes>
>

/** The whole API as one fetch handler. Throws for a route of which functions/_rights.ts does not say who may. */
export function createApp(deps: Deps, shared = shareAll(deps)): App {
  const { app, complete } = createBase(deps, shared)
  app.doc31('/openapi.json', openapiInfo)
  app.get('/reference', Scalar({ url: '/openapi.json', pageTitle: 'Berth API' }))
  app.get('/', (c) => c.redirect('/reference'))
  for (const add of [jobRoutes, otherRoutes, runnerRoutes, serverRoutes]) add(app, deps)
  complete()
  return app as App
}

/** Head of the OpenAPI document; the rest follows from the routes. */
export const openapiInfo = {
  openapi: '3.1.0',
  info: {
    title: 'Berth',
    version: '0.1.0',
    description: 'A serverless cloud-GPU job orchestrator for quantitative finance.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  servers: [{ url: '/' }],
  security: [{ key: [] }, { session: [] }],
}
