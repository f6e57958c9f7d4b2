import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listJobs } from '../jobs/read.ts'
import { jobStates } from '../jobs/state.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { jobSchema, json200, limit, page } from './_schemas.ts'

const at = z.iso.datetime({ offset: true }).optional()

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs',
  operationId: 'listJobs',
  summary: 'List jobs, newest first',
  tags: ['jobs'],
  request: {
    query: z.strictObject({
      state: z.enum(jobStates).optional(),
      kind: z.string().max(64).optional(),
      label: z.string().max(320).optional().meta({ description: '`name:value`' }),
      provider: z.string().max(64).optional(),
      created_after: at,
      created_before: at,
      limit,
      cursor: z.string().max(64).optional(),
    }),
  },
  responses: { 200: json200(page(jobSchema), 'A page'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) =>
    c.json(await listJobs(deps, c.get('principal').project_id, c.req.valid('query')), 200)
