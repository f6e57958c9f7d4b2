import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { orderJob } from '../jobs/orders.ts'
import { readJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, jobSchema, json200 } from './_schemas.ts'

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs/{id}/stop',
  operationId: 'stopJob',
  summary: 'Stop a job and keep the best so far',
  tags: ['jobs'],
  request: { params: idParam },
  responses: { 202: json200(jobSchema, 'The order is recorded'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = c.req.valid('param')
    await orderJob(deps, project_id, id, 'stop')
    return c.json(await readJob(deps, project_id, id), 202)
  }
