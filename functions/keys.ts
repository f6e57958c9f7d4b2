import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { keyRequest, listKeys, makeKey, revokeKey, rotateKey, rotation } from '../jobs/project-keys.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200, page } from './_schemas.ts'

const tags = ['keys']
const at = z.iso.datetime()
const key = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(['viewer', 'member', 'admin']),
    prefix: z.string().meta({ description: 'The key begins with `berth_<prefix>_`.' }),
    created_at: at,
    expires_at: at.nullable(),
    revoked_at: at.nullable(),
    last_used_at: at.nullable().meta({ description: 'To the minute, about; null: never.' }),
  })
  .meta({ id: 'ApiKey' })
const newKey = key
  .extend({ key: z.string().meta({ description: 'Shown this once.' }) })
  .meta({ id: 'NewApiKey' })
const idParam = z.object({
  id: z
    .string()
    .max(200)
    .meta({ param: { name: 'id', in: 'path' } }),
})
const created = { content: { 'application/json': { schema: newKey } }, description: 'The key, this once' }

export const openRoute = createRoute({
  method: 'post',
  path: '/v1/keys',
  operationId: 'createApiKey',
  summary: 'Make an API key of the project; it is shown once (admin)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: keyRequest } } } },
  responses: { 201: created, ...problemAnswers },
})

export const create =
  (deps: Deps): RouteHandler<typeof openRoute, Env> =>
  async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(
      await makeKey(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('json')),
      201,
    )
  }

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/keys',
  operationId: 'listApiKeys',
  summary: 'The keys of the project that work, and those that ended in the last 90 days (admin)',
  tags,
  responses: { 200: json200(page(key), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listKeys(deps, c.get('principal').project_id), next_cursor: null }, 200)

export const rotateRoute = createRoute({
  method: 'post',
  path: '/v1/keys/{id}/rotate',
  operationId: 'rotateApiKey',
  summary: 'Make a key in the place of another, which works for a while beside it (admin)',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: rotation } } },
  },
  responses: { 201: created, ...problemAnswers },
})

export const rotate =
  (deps: Deps): RouteHandler<typeof rotateRoute, Env> =>
  async (c) => {
    c.header('Cache-Control', 'no-store')
    const { project_id } = c.get('principal')
    return c.json(
      await rotateKey(deps, actorOf(c, deps), project_id, c.req.valid('param').id, c.req.valid('json')),
      201,
    )
  }

export const revokeRoute = createRoute({
  method: 'delete',
  path: '/v1/keys/{id}',
  operationId: 'revokeApiKey',
  summary: 'Revoke a key: from then on it works nowhere (admin)',
  tags,
  request: { params: idParam },
  responses: { 204: { description: 'Revoked' }, ...problemAnswers },
})

export const revoke =
  (deps: Deps): RouteHandler<typeof revokeRoute, Env> =>
  async (c) => {
    await revokeKey(deps, actorOf(c, deps), c.get('principal'), c.req.valid('param').id)
    return c.body(null, 204)
  }
