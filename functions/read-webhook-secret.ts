import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { webhookSecret } from '../jobs/webhooks.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/webhooks/secret',
  operationId: 'readWebhookSecret',
  summary: 'The secret that signs the webhooks of this project’s jobs (admin)',
  tags: ['webhooks'],
  responses: { 200: json200(z.object({ secret: z.string() }), 'The secret'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json({ secret: await webhookSecret(deps, c.get('principal').project_id) }, 200)
  }
