import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'

const ok = z.object({ status: z.literal('ok') })
// Not by functions/_schemas.ts: what starts a server answers before the other shapes are made.
const json200 = (description: string) => ({ description, content: { 'application/json': { schema: ok } } })

export const liveRoute = createRoute({
  method: 'get',
  path: '/healthz',
  operationId: 'healthz',
  summary: 'Whether the process answers',
  tags: ['server'],
  responses: { 200: json200('It does') },
})

export const readyRoute = createRoute({
  method: 'get',
  path: '/readyz',
  operationId: 'readyz',
  summary: 'Whether the server can take work: its database answers and has the schema it needs',
  tags: ['server'],
  responses: { 200: json200('It can'), ...problemAnswers },
})

export const live = (): RouteHandler<typeof liveRoute, Env> => (c) => c.json({ status: 'ok' as const }, 200)

export const ready =
  (deps: Deps): RouteHandler<typeof readyRoute, Env> =>
  async (c) => {
    try {
      await sql`select 1 from installation`.execute(deps.db)
    } catch (cause) {
      throw new AppError('busy', 'The database does not answer.', { cause, headers: { 'Retry-After': '5' } })
    }
    return c.json({ status: 'ok' as const }, 200)
  }
