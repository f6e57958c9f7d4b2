// A person's own data: taken along, or deleted.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { deletePerson, exportPerson } from '../jobs/privacy.ts'
import { deletion } from '../jobs/users.ts'
import { entry } from './audit.ts'
import { actorOf, personOf } from './_auth.ts'
import { takeCookie } from './_cookie.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'
import { tags, userSchema } from './auth.ts'
import { membership } from './projects.ts'
import { session } from './sessions.ts'

export const exportRoute = createRoute({
  method: 'get',
  path: '/v1/auth/export',
  operationId: 'exportPerson',
  summary: 'All that is kept of oneself',
  tags,
  responses: {
    200: json200(
      z.object({
        user: userSchema,
        projects: z.array(membership),
        sessions: z.array(session),
        audit: z.array(entry).meta({ description: 'What one did, newest first.' }),
      }),
      'The data',
    ),
    ...problemAnswers,
  },
})

export const exportOwn =
  (deps: Deps): RouteHandler<typeof exportRoute, Env> =>
  async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(await exportPerson(deps, personOf(c)), 200)
  }

export const deleteRoute = createRoute({
  method: 'post',
  path: '/v1/auth/delete',
  operationId: 'deletePerson',
  summary: 'Delete oneself, with sessions and memberships; what one submitted stays with its project',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: deletion } } } },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const deleteOwn =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deletePerson(deps, actorOf(c, deps), personOf(c), c.req.valid('json').password)
    takeCookie(c, deps)
    return c.body(null, 204)
  }
