import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { microsToUsd } from '../jobs/cost.ts'
import type { Deps } from '../jobs/deps.ts'
import { estimate } from '../jobs/estimate.ts'
import { cachedJob } from '../jobs/prepare.ts'
import { jobSpec } from '../jobs/spec.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { rankingShape } from './_ranking.ts'
import { json200 } from './_schemas.ts'

const estimated = z
  .object({
    ...rankingShape,
    estimated_usd: z
      .number()
      .nullable()
      .meta({ description: 'At the offer that would be taken now; null: nobody can tell.' }),
    shards: z.int().meta({
      description: 'Parts that it would be cut into: durations are of one of them, costs of all.',
    }),
    cached: z.string().nullable().meta({ description: 'The job whose result would be given at once.' }),
    warnings: z.array(z.object({ code: z.string(), message: z.string() })),
  })
  .meta({ id: 'Estimate' })

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs/estimate',
  operationId: 'estimateJob',
  summary: 'Where a job would go, how long it should take and what it should cost; nothing is stored',
  tags: ['jobs'],
  request: { body: { required: true, content: { 'application/json': { schema: jobSpec } } } },
  responses: { 200: json200(estimated, 'The ranking that a launch now would use'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const spec = c.req.valid('json')
    const { estimated_micros, ...rest } = await estimate(deps, project_id, spec)
    const cached = await cachedJob(deps, project_id, spec)
    const estimated_usd = estimated_micros === null ? null : microsToUsd(estimated_micros)
    return c.json({ ...rest, estimated_usd, cached }, 200)
  }
