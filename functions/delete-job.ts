import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { deleteJob } from '../jobs/orders.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam } from './_schemas.ts'

export const route = createRoute({
  method: 'delete',
  path: '/v1/jobs/{id}',
  operationId: 'deleteJob',
  summary: 'Delete a finished job',
  tags: ['jobs'],
  request: { params: idParam },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    await deleteJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.body(null, 204)
  }
