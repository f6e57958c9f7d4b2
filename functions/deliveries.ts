import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { listDeliveries, readDelivery, redeliver, testEndpoint } from '../jobs/deliveries.ts'
import type { Deps } from '../jobs/deps.ts'
import { readEndpoint } from '../jobs/endpoints.ts'
import { findJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, limit, page } from './_schemas.ts'

const tags = ['webhooks']
const at = z.iso.datetime()
const count = z.int().min(0)
const states = ['pending', 'delivered', 'exhausted'] as const

const attempt = z
  .object({
    number: count,
    at,
    duration_ms: count,
    status: z.int().nullable().meta({ description: 'null: no answer came; `error` says why.' }),
    error: z.string().nullable(),
    response: z.string().nullable().meta({ description: 'The beginning of what was answered.' }),
  })
  .meta({ id: 'DeliveryAttempt' })
const delivery = z
  .object({
    id: z.string().meta({ description: 'Its `webhook-id`, the same in every attempt.' }),
    webhook_id: z.string().nullable().meta({ description: 'null: of the job’s own webhook.' }),
    job_id: z.string().nullable(),
    sequence: count,
    type: z.string(),
    url: z.string(),
    state: z.enum(states).meta({ description: 'exhausted: given up; redeliver sends it again.' }),
    attempts: count,
    created_at: at,
    next_attempt_at: at.nullable(),
    ended_at: at.nullable(),
    last_attempt: attempt.nullable(),
  })
  .meta({ id: 'Delivery' })
const whole = delivery
  .extend({ body: anyJson, history: z.array(attempt).meta({ description: 'Newest first, at most 50.' }) })
  .meta({ id: 'WholeDelivery' })
const query = z.strictObject({
  limit,
  cursor: z.string().max(64).optional(),
  state: z.enum(states).optional(),
})

export const ofWebhookRoute = createRoute({
  method: 'get',
  path: '/v1/webhooks/{id}/deliveries',
  operationId: 'listWebhookDeliveries',
  summary: 'What an endpoint was told, newest first (member)',
  tags,
  request: { params: idParam, query },
  responses: { 200: json200(page(delivery), 'A page'), ...problemAnswers },
})

export const ofWebhook =
  (deps: Deps): RouteHandler<typeof ofWebhookRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = await readEndpoint(deps, project_id, c.req.valid('param').id)
    return c.json(await listDeliveries(deps, project_id, { webhook_id: id }, c.req.valid('query')), 200)
  }

export const ofJobRoute = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/deliveries',
  operationId: 'listJobDeliveries',
  summary: 'Who was told of a job, newest first (member)',
  tags,
  request: { params: idParam, query },
  responses: { 200: json200(page(delivery), 'A page'), ...problemAnswers },
})

export const ofJob =
  (deps: Deps): RouteHandler<typeof ofJobRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = await findJob(deps, project_id, c.req.valid('param').id)
    return c.json(await listDeliveries(deps, project_id, { job_id: id }, c.req.valid('query')), 200)
  }

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/deliveries/{id}',
  operationId: 'getDelivery',
  summary: 'One delivery with its message and its attempts (member)',
  tags,
  request: { params: idParam },
  responses: { 200: json200(whole, 'The delivery'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) => {
    return c.json(await readDelivery(deps, c.get('principal').project_id, c.req.valid('param').id), 200)
  }

export const redeliverRoute = createRoute({
  method: 'post',
  path: '/v1/deliveries/{id}/redeliver',
  operationId: 'redeliver',
  summary: 'Send a message again, under the same `webhook-id`',
  tags,
  request: { params: idParam },
  responses: { 202: json200(whole, 'It waits to be sent'), ...problemAnswers },
})

export const again =
  (deps: Deps): RouteHandler<typeof redeliverRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = c.req.valid('param')
    await redeliver(deps, project_id, id)
    return c.json(await readDelivery(deps, project_id, id), 202)
  }

export const testRoute = createRoute({
  method: 'post',
  path: '/v1/webhooks/{id}/test',
  operationId: 'testWebhook',
  summary: 'Send a `webhook.test` message now, once, and say what was answered',
  tags,
  request: { params: idParam },
  responses: { 200: json200(whole, 'What came of it'), ...problemAnswers },
})

export const test =
  (deps: Deps): RouteHandler<typeof testRoute, Env> =>
  async (c) =>
    c.json(await testEndpoint(deps, c.get('principal').project_id, c.req.valid('param').id), 200)
