import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { readJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, jobSchema, json200 } from './_schemas.ts'
import { waitForEnd } from './_wait.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}',
  operationId: 'getJob',
  summary: 'Read a job',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.object({ wait_s: z.coerce.number().min(0).max(60).default(0) }),
  },
  responses: { 200: json200(jobSchema, 'The job'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = c.req.valid('param')
    await waitForEnd(deps, project_id, id, c.req.valid('query').wait_s)
    return c.json(await readJob(deps, project_id, id), 200)
  }
