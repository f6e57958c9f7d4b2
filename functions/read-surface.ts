import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import { readSurface, reductions } from '../jobs/surface.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200 } from './_schemas.ts'

const name = z.string().min(1).max(64)
const axis = z.object({ name: z.string(), values: z.array(z.number()) })
const place = z.int().min(0)
const answer = z
  .object({
    x: axis,
    y: axis,
    value: z.string(),
    reduce: z.enum(reductions),
    points: z.int().min(0).meta({ description: 'That were put together.' }),
    cells: z.array(
      z.object({ x: place, y: place, value: z.number(), points: z.int() }).meta({
        description: 'Places among the values; cells without a value are left out.',
      }),
    ),
  })
  .meta({ id: 'Surface' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/surface',
  operationId: 'readSurface',
  summary: 'All points of a finished sweep, over two of its parameters',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      x: name.meta({ description: 'A parameter.' }),
      y: name.meta({ description: 'Another.' }),
      value: name.default('objective').meta({ description: '`objective`, or a metric.' }),
      reduce: z.enum(reductions).default('max').meta({
        description: 'What is shown of the points that differ in other parameters.',
      }),
    }),
  },
  responses: { 200: json200(answer, 'The surface'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json(await readSurface(deps, job, c.req.valid('query')), 200)
  }
