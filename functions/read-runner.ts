import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { octets } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/runner/{file}',
  operationId: 'readRunner',
  summary: 'The runner, which a container of a custom job fetches: no key is needed, it holds no secret',
  tags: ['runner'],
  security: [],
  request: {
    params: z.object({
      file: z.enum(['runner.pyz', 'runner.sh']).meta({ param: { name: 'file', in: 'path' } }),
    }),
  },
  responses: { 200: octets('A zip application of Python, or a script of POSIX sh'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const bytes = (await deps.runner_files())[c.req.valid('param').file]
    c.header('Content-Type', 'application/octet-stream')
    return c.body(bytes) as never
  }
