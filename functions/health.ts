import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { sql } from 'kysely'
import type { Clock, Deps } from '../jobs/deps.ts'
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
  summary:
    'Whether the server can take work: its database answers, takes writes, and has the schema it needs',
  tags: ['server'],
  responses: { 200: json200('It can'), ...problemAnswers },
})

export const live = (): RouteHandler<typeof liveRoute, Env> => (c) => c.json({ status: 'ok' as const }, 200)

/** How often the database is asked where many ask for it. */
const fresh_ms = 1_000
/**
 * While it is asked anew, its last answer holds until this age: the question waits as long as every other of a busy server, and a
 * balancer that took the server off for that would leave the more to the others.
 */
const holds_ms = 3_000

export const ready = (deps: Deps): RouteHandler<typeof readyRoute, Env> => {
  const ask = async () => {
    const { rows } = await sql<{ takes_writes: boolean }>`
      select current_setting('transaction_read_only') = 'off' as takes_writes from installation`.execute(
      deps.db,
    )
    if (rows[0]?.takes_writes === false) throw new Error('the database takes no writes')
  }
  const answers = deps.gather === null ? ask : shared(ask, deps.clock)
  return async (c) => {
    try {
      await answers()
    } catch (cause) {
      throw new AppError('busy', 'The database does not answer, or takes no writes.', {
        cause,
        headers: { 'Retry-After': '5' },
      })
    }
    return c.json({ status: 'ok' as const }, 200)
  }
}

/** Asks once for all that come; a question that fails ends what the last one said. */
function shared(ask: () => Promise<unknown>, clock: Clock): () => Promise<unknown> {
  let answered_ms = Number.NEGATIVE_INFINITY
  let asked: Promise<unknown> | null = null
  const begin = async () => {
    const began_ms = clock.now().getTime()
    try {
      await ask()
      answered_ms = began_ms
    } catch (error) {
      answered_ms = Number.NEGATIVE_INFINITY
      throw error
    } finally {
      asked = null
    }
  }
  return async () => {
    const since_ms = clock.now().getTime() - answered_ms
    // A database that took over may go by an earlier time: then how old the answer is is not known.
    const age_ms = since_ms < 0 ? Number.POSITIVE_INFINITY : since_ms
    if (age_ms <= fresh_ms) return
    asked ??= begin()
    if (age_ms > holds_ms) return asked
    asked.catch(() => undefined)
  }
}
