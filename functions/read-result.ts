import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { findJob } from '../jobs/read.ts'
import { isTerminal } from '../jobs/state.ts'
import type { Json } from '../jobs/view.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200 } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/result',
  operationId: 'readResult',
  summary: 'The result.json of the job’s program',
  tags: ['jobs'],
  request: { params: idParam },
  responses: { 200: json200(anyJson, 'The result'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    if (job.result !== null) return c.json(job.result as Json, 200)
    if (!isTerminal(job.state))
      throw new AppError(
        'job_not_finished',
        `${job.id} is ${job.state}: ask again later, or with GET /v1/jobs/${job.id}?wait_s=30.`,
      )
    throw new AppError('no_result', `${job.id} has ${job.state} without a result.`)
  }
