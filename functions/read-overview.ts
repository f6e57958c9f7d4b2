import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { readOverview } from '../jobs/overview.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { rankingShape } from './_ranking.ts'
import { json200 } from './_schemas.ts'

const at = z.iso.datetime()
const count = z.int().min(0)
const overview = z
  .object({
    at,
    jobs: z.object({ queued: count, scheduled: count, running: count, cancelling: count }),
    counted_to: count.meta({ description: 'Jobs of a state are counted no further: so many or more.' }),
    attempts: count.meta({ description: 'Attempts of the project that have not ended.' }),
    usd_per_hour: z.number().meta({ description: 'What those cost an hour.' }),
    waiting: z
      .array(
        z.object({
          reason: z.object({ code: z.string(), text: z.string() }),
          jobs: count,
          since: at,
          job_id: z.string().meta({ description: 'One of them: `explain` tells more.' }),
          rejected: rankingShape.rejected,
        }),
      )
      .meta({
        description:
          'Why jobs wait, most jobs first; of the oldest that wait, at most a dozen kinds of wish.',
      }),
    waiting_looked_at: count.meta({ description: 'So many of those that wait were looked at, at most.' }),
  })
  .meta({ id: 'Overview' })

export const route = createRoute({
  method: 'get',
  path: '/v1/overview',
  operationId: 'readOverview',
  summary: 'The project at a glance: what is at work, and why the rest waits',
  tags: ['jobs'],
  responses: { 200: json200(overview, 'As it is now'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) =>
    c.json(await readOverview(deps, c.get('principal').project_id), 200)
