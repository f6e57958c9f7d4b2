import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import type { Deps } from '../jobs/deps.ts'
import { advance, type LogLine, maxLogPage, readLogs } from '../jobs/logs.ts'
import { findJob } from '../jobs/read.ts'
import { searchLogs } from '../jobs/search-logs.ts'
import { isTerminal } from '../jobs/state.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, logSchema, page } from './_schemas.ts'
import { type Source, streamEvents, waitForJob, wantsStream } from './_sse.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/logs',
  operationId: 'readLogs',
  summary: 'The log of a job: a page, text, or a stream with `Accept: text/event-stream`',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      limit: z.coerce.number().int().min(1).max(maxLogPage).default(500),
      cursor: z.string().max(16_384).optional(),
      format: z.enum(['json', 'text']).default('json'),
      search: z.string().min(1).max(200).optional().meta({
        description: 'Lines that hold this text, whatever their case; `next_cursor` goes on with the search.',
      }),
    }),
    headers: z.object({ 'last-event-id': z.string().max(16_384).optional() }),
  },
  responses: {
    200: {
      description: 'A page',
      content: { 'application/json': { schema: page(logSchema) }, 'text/plain': { schema: z.string() } },
    },
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = c.req.valid('param')
    const { limit, cursor, format, search } = c.req.valid('query')
    const start = c.req.valid('header')['last-event-id'] ?? cursor ?? null
    await findJob(deps, project_id, id)
    if (search !== undefined) {
      const { items, cursor: next } = await searchLogs(deps, id, { search, cursor: start, limit })
      return answer(c, { items, next_cursor: next }, format)
    }
    const next: Source['next'] = async (after) => {
      const over = isTerminal((await findJob(deps, project_id, id)).state)
      const { items } = await readLogs(deps, id, after, limit)
      let position = after
      const messages = items.map((line) => {
        position = advance(position, line)
        return { id: position, event: 'log', data: JSON.stringify(line) }
      })
      return { messages, cursor: position, over }
    }
    if (wantsStream(c)) return streamEvents(c, deps, { start, next, wait: waitForJob(deps, id) }) as never
    const found = await readLogs(deps, id, start, limit)
    const next_cursor = found.items.length >= limit ? found.cursor : null
    return answer(c, { items: found.items, next_cursor }, format)
  }

function answer(
  c: Context<Env>,
  page: { items: LogLine[]; next_cursor: string | null },
  format: 'json' | 'text',
) {
  if (format === 'json') return c.json(page, 200)
  if (page.next_cursor !== null) c.header('Berth-Next-Cursor', page.next_cursor)
  return c.text(page.items.map(({ text }) => text).join(''), 200)
}
