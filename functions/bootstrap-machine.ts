import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { bootstrapRequest, exchangeBootstrap } from '../jobs/bootstrap.ts'
import type { Deps } from '../jobs/deps.ts'
import { shellBootstrap } from '../jobs/shell-spec.ts'
import { bearer } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

const answered = z
  .object({
    berth_url: z.string(),
    attempt_id: z.string(),
    token: z.string().meta({ description: 'BERTH_TOKEN of the runner.' }),
    image: z.string(),
    command: z
      .array(z.string())
      .nullable()
      .meta({ description: 'In place of the entry of the image; null: that entry is the runner.' }),
    gpus: z.int(),
    registry: z.object({ server: z.string(), username: z.string(), password: z.string() }).nullable(),
  })
  .meta({ id: 'Bootstrap' })

export const route = createRoute({
  method: 'post',
  path: '/v1/runner/bootstrap',
  operationId: 'bootstrapMachine',
  summary: 'A machine exchanges the token in its user data, once, for what it is to run',
  tags: ['runner'],
  request: {
    query: z.strictObject({
      format: z
        .enum(['json', 'sh'])
        .default('json')
        .meta({ description: '`sh`: as assignments for a shell.' }),
    }),
    body: { required: true, content: { 'application/json': { schema: bootstrapRequest } } },
  },
  responses: { 200: json200(answered, 'What it is to run'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const bootstrap = await exchangeBootstrap(deps, c.req.valid('json'), bearer(c))
    c.header('Cache-Control', 'no-store')
    if (c.req.valid('query').format === 'sh') return c.text(shellBootstrap(bootstrap)) as never
    return c.json({ ...bootstrap, command: bootstrap.command && [...bootstrap.command] }, 200)
  }
