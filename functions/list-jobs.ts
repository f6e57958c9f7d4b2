import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listJobs } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { jobCursor, jobFilter, jobSchema, json200, limit, page } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs',
  operationId: 'listJobs',
  summary: 'List jobs, newest first',
  tags: ['jobs'],
  request: {
    query: z.strictObject({
      ...jobFilter,
      limit,
      cursor: jobCursor,
    }),
  },
  responses: { 200: json200(page(jobSchema), 'A page'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) =>
    c.json(await listJobs(deps, c.get('principal').project_id, c.req.valid('query')), 200)
