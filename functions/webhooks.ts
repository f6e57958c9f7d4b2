import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { canonicalSha256 } from '../jobs/canonical.ts'
import type { Deps } from '../jobs/deps.ts'
import {
  changeEndpoint,
  createEndpoint,
  deleteEndpoint,
  endpointPatch,
  endpointRequest,
  listEndpoints,
  readEndpoint,
  rotateRequest,
  rotateSecret,
} from '../jobs/endpoints.ts'
import { eventTypes } from '../jobs/state.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idempotencyHeader, idParam, json200, page } from './_schemas.ts'

const tags = ['webhooks']
const at = z.iso.datetime()

const webhook = z
  .object({
    id: z.string().meta({ example: 'whk_01jd3m4k5nep7r8r9s0t1v2w3x' }),
    url: z.string(),
    description: z.string(),
    events: z.array(z.enum(eventTypes)).nullable(),
    state: z.enum(['enabled', 'disabled']),
    disabled_reason: z
      .enum(['user', 'gone', 'failing'])
      .nullable()
      .meta({ description: 'gone: it answered 410; failing: it took nothing for five days.' }),
    disabled_at: at.nullable(),
    failures: z.int().min(0).meta({ description: 'Failed attempts since the last that succeeded.' }),
    failing_since: at.nullable(),
    next_try_at: at.nullable().meta({ description: 'It seems to be down: nothing is sent before then.' }),
    old_secrets_until: z.array(at).meta({ description: 'Until when secrets before the newest sign too.' }),
    created_at: at,
    updated_at: at,
  })
  .meta({ id: 'Webhook' })
const withSecret = webhook
  .extend({ secret: z.string().meta({ description: 'Shown once: `whsec_...`' }) })
  .meta({ id: 'WebhookWithSecret' })

export const openRoute = createRoute({
  method: 'post',
  path: '/v1/webhooks',
  operationId: 'createWebhook',
  summary: 'Register an endpoint that is told of the project’s events (admin)',
  tags,
  request: {
    headers: idempotencyHeader,
    body: { required: true, content: { 'application/json': { schema: endpointRequest } } },
  },
  responses: { 201: json200(withSecret, 'The webhook, with its secret'), ...problemAnswers },
})

export const create =
  (deps: Deps): RouteHandler<typeof openRoute, Env> =>
  async (c) => {
    const key = c.req.valid('header')['idempotency-key']
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(await c.req.json()) }
    const made = await createEndpoint(
      deps,
      actorOf(c, deps),
      c.get('principal').project_id,
      c.req.valid('json'),
      idempotency,
    )
    c.header('Location', `/v1/webhooks/${made.id}`)
    c.header('Cache-Control', 'no-store')
    return c.json(made, 201)
  }

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks',
  operationId: 'listWebhooks',
  summary: 'The endpoints of the project, newest first (member)',
  tags,
  responses: { 200: json200(page(webhook), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) => {
    return c.json({ items: await listEndpoints(deps, c.get('principal').project_id), next_cursor: null }, 200)
  }

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks/{id}',
  operationId: 'getWebhook',
  summary: 'One endpoint and how it does (member)',
  tags,
  request: { params: idParam },
  responses: { 200: json200(webhook, 'The webhook'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) => {
    return c.json(await readEndpoint(deps, c.get('principal').project_id, c.req.valid('param').id), 200)
  }

export const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/webhooks/{id}',
  operationId: 'changeWebhook',
  summary: 'Change, enable or disable an endpoint (admin)',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: endpointPatch } } },
  },
  responses: { 200: json200(webhook, 'The webhook'), ...problemAnswers },
})

export const patch =
  (deps: Deps): RouteHandler<typeof patchRoute, Env> =>
  async (c) => {
    const { id } = c.req.valid('param')
    return c.json(
      await changeEndpoint(deps, actorOf(c, deps), c.get('principal').project_id, id, c.req.valid('json')),
      200,
    )
  }

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/webhooks/{id}',
  operationId: 'deleteWebhook',
  summary: 'Delete an endpoint; what waits for it is given up (admin)',
  tags,
  request: { params: idParam },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deleteEndpoint(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('param').id)
    return c.body(null, 204)
  }

export const rotateRoute = createRoute({
  method: 'post',
  path: '/v1/webhooks/{id}/rotate',
  operationId: 'rotateWebhookSecret',
  summary: 'Make a new secret; the old one signs beside it for a day unless told otherwise (admin)',
  tags,
  request: {
    params: idParam,
    body: { required: false, content: { 'application/json': { schema: rotateRequest } } },
  },
  responses: { 200: json200(withSecret, 'The webhook, with its new secret'), ...problemAnswers },
})

export const rotate =
  (deps: Deps): RouteHandler<typeof rotateRoute, Env> =>
  async (c) => {
    const { id } = c.req.valid('param')
    // Without a body the validator is not asked.
    const request = rotateRequest.parse(c.req.valid('json') ?? {})
    c.header('Cache-Control', 'no-store')
    return c.json(await rotateSecret(deps, actorOf(c, deps), c.get('principal').project_id, id, request), 200)
  }
