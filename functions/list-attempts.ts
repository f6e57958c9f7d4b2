import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob, listAttempts } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { attemptSchema, idParam, json200, limit, page } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/attempts',
  operationId: 'listAttempts',
  summary: 'All attempts of a job, newest first',
  tags: ['jobs'],
  request: { params: idParam, query: z.strictObject({ limit, cursor: z.string().max(64).optional() }) },
  responses: { 200: json200(page(attemptSchema), 'A page'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    const { limit: most, cursor } = c.req.valid('query')
    return c.json(await listAttempts(deps, job.id, most, cursor), 200)
  }
