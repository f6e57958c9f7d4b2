import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { listOrphans, stopOrphan } from '../jobs/orphans.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200 } from './_schemas.ts'

const tags = ['providers']
const at = z.iso.datetime()
const orphan = z
  .object({
    id: z.string(),
    provider: z.string(),
    account: z.string(),
    name: z.string(),
    attempt_id: z.string().nullable(),
    usd_per_hour: z.number(),
    usd_so_far: z.number().meta({ description: 'Since its vendor made it, or since it was first seen.' }),
    first_seen_at: at,
    last_seen_at: at,
    stop_called_at: at.nullable(),
  })
  .meta({ id: 'Orphan' })
const answer = z.object({
  items: z.array(orphan),
  quarantined: z
    .boolean()
    .meta({ description: 'Whether orphans are only shown: the database is a restored copy.' }),
  at_risk_usd_per_hour: z.number().meta({
    description:
      'Price of orphans, of stops that are not confirmed, and of attempts that nobody has seen for 2 min.',
  }),
})

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/orphans',
  operationId: 'listOrphans',
  summary: 'Things at providers that no attempt accounts for, and the money at risk (operator)',
  tags,
  responses: { 200: json200(answer, 'What was seen last'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) => {
    return c.json(await listOrphans(deps), 200)
  }

export const stopRoute = createRoute({
  method: 'post',
  path: '/v1/orphans/{id}/stop',
  operationId: 'stopOrphan',
  summary: 'Stop an orphan now (operator)',
  tags,
  request: {
    params: idParam,
  },
  responses: { 202: json200(answer, 'The stop was called; a later scan confirms it'), ...problemAnswers },
})

export const stop =
  (deps: Deps): RouteHandler<typeof stopRoute, Env> =>
  async (c) => {
    await stopOrphan(deps, actorOf(c, deps), c.req.valid('param').id)
    return c.json(await listOrphans(deps), 202)
  }
