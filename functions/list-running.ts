import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listRunning } from '../jobs/running.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { attemptSchema, json200, limit, page } from './_schemas.ts'

const name = z.string().max(200).optional()
const running = attemptSchema
  .extend({
    job_id: z.string(),
    job: z.string().nullable().meta({ description: 'The name of the job.' }),
    kind: z.string(),
    project_id: z.string(),
    project: z.string(),
    usd_so_far: z.number(),
    heard_at: z.iso.datetime().nullable().meta({ description: 'When its runner spoke last.' }),
  })
  .meta({ id: 'RunningAttempt' })

export const route = createRoute({
  method: 'get',
  path: '/v1/attempts',
  operationId: 'listRunning',
  summary: 'Everything that runs at providers, of all projects, newest first (operator)',
  tags: ['providers'],
  request: {
    query: z.strictObject({ provider: name, account: name, limit, cursor: z.string().max(64).optional() }),
  },
  responses: { 200: json200(page(running), 'Attempts that have not ended'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) =>
    c.json(await listRunning(deps, c.req.valid('query')), 200)
