import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { explainJob } from '../jobs/explain.ts'
import { jobStates } from '../jobs/state.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { rankingShape } from './_ranking.ts'
import { idParam, json200 } from './_schemas.ts'

const explanation = z
  .object({
    state: z.enum(jobStates),
    reason: z.object({ code: z.string(), text: z.string() }),
    since: z.iso.datetime(),
    queue_position: z
      .int()
      .nullable()
      .meta({ description: 'Among those that wait for the same places; null beyond 10,000.' }),
    eta_s: z.number().nullable(),
    next_try_at: z.iso.datetime().nullable(),
    follows: z.string().nullable(),
    ...rankingShape,
    attempts: z.array(z.object({ id: z.string(), outcome: z.string().nullable(), text: z.string() })),
  })
  .meta({ id: 'Explanation' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/explain',
  operationId: 'explainJob',
  summary: 'Why a job waits, or why it went where it is',
  tags: ['jobs'],
  request: { params: idParam },
  responses: {
    200: json200(explanation, 'The ranking of now while it waits, the stored one once it was launched'),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) =>
    c.json(await explainJob(deps, c.get('principal').project_id, c.req.valid('param').id), 200)
