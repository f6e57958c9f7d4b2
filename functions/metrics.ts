import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'

export const route = createRoute({
  method: 'get',
  path: '/metrics',
  operationId: 'readMetrics',
  summary: 'Figures of this server and the installation, for Prometheus; no key is needed from this machine',
  tags: ['server'],
  responses: {
    200: {
      content: { 'text/plain': { schema: z.string() } },
      description: 'In the text format of Prometheus, version 0.0.4',
    },
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    if (!deps.meter) throw new AppError('not_found', 'This server counts nothing.')
    return c.text(await deps.meter.text(), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    })
  }
