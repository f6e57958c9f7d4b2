import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listPoints, pointOrders } from '../jobs/points.ts'
import { findJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, limit, page } from './_schemas.ts'

const named = z.record(z.string(), anyJson)
const point = z
  .object({
    point: z.int().meta({ description: 'Its number in the full product of the parameters.' }),
    shard: z.int(),
    objective: z.number().nullable(),
    parameters: named,
    metrics: named,
  })
  .meta({ id: 'Point' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/points',
  operationId: 'listPoints',
  summary: 'The best points of a sweep, also while it runs; all of them are in the artifact points.parquet',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      sort: z
        .enum(pointOrders)
        .default('-objective')
        .meta({ description: '`-objective`: best first. Points without an objective come last.' }),
      limit,
      cursor: z.string().max(200).optional(),
    }),
  },
  responses: { 200: json200(page(point), 'A page'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json(await listPoints(deps, job.cached_from ?? job.id, c.req.valid('query')), 200)
  }
