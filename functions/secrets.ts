import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { deleteSecret, listSecrets, putSecret, secretName, secretRequest } from '../jobs/secrets.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200, page } from './_schemas.ts'

const tags = ['secrets']
const secret = z
  .object({
    name: z.string(),
    type: z.enum(['value', 'registry']),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Secret' })
const nameParam = z.object({ name: secretName.meta({ param: { name: 'name', in: 'path' } }) })

export const putRoute = createRoute({
  method: 'put',
  path: '/v1/secrets/{name}',
  operationId: 'putSecret',
  summary: 'Make a secret of the project, or replace its value; nobody reads it again (admin)',
  tags,
  request: {
    params: nameParam,
    body: { required: true, content: { 'application/json': { schema: secretRequest } } },
  },
  responses: { 200: json200(secret, 'Its name'), ...problemAnswers },
})

export const put =
  (deps: Deps): RouteHandler<typeof putRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    return c.json(
      await putSecret(deps, actorOf(c, deps), project_id, c.req.valid('param').name, c.req.valid('json')),
      200,
    )
  }

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/secrets',
  operationId: 'listSecrets',
  summary: 'The names of the project’s secrets',
  tags,
  responses: { 200: json200(page(secret), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listSecrets(deps, c.get('principal').project_id), next_cursor: null }, 200)

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/secrets/{name}',
  operationId: 'deleteSecret',
  summary: 'Delete a secret; jobs that wait with it fail when they start (admin)',
  tags,
  request: { params: nameParam },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deleteSecret(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('param').name)
    return c.body(null, 204)
  }
