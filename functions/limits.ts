import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { type Deps, topics } from '../jobs/deps.ts'
import { deleteLimit, limitRequest, limitScopes, listLimits, putLimit } from '../jobs/limits.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, page } from './_schemas.ts'

const tags = ['rules']
const limit = z
  .object({
    id: z.string().nullable().meta({ description: 'null: a default.' }),
    scope: z.enum(limitScopes),
    key: z.string(),
    max_running: z.int(),
  })
  .meta({ id: 'Limit' })

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/limits',
  operationId: 'listLimits',
  summary: 'How many attempts may run at once, by project, kind, account and device',
  tags,
  responses: {
    200: json200(page(limit), 'All of them, defaults too; of projects only the own, but for operators'),
    ...problemAnswers,
  },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listLimits(deps, c.get('principal')), next_cursor: null }, 200)

export const putRoute = createRoute({
  method: 'put',
  path: '/v1/limits',
  operationId: 'putLimit',
  summary: 'Set a limit; what runs already goes on (operator)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: limitRequest } } } },
  responses: { 200: json200(limit, 'The limit'), ...problemAnswers },
})

export const put =
  (deps: Deps): RouteHandler<typeof putRoute, Env> =>
  async (c) => {
    const made = await putLimit(deps, actorOf(c, deps), c.req.valid('json'))
    deps.waker.wake(topics.pass)
    return c.json(made, 200)
  }

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/limits/{id}',
  operationId: 'deleteLimit',
  summary: 'Delete a limit; a default comes back (operator)',
  tags,
  request: {
    params: idParam,
  },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deleteLimit(deps, actorOf(c, deps), c.req.valid('param').id)
    return c.body(null, 204)
  }
