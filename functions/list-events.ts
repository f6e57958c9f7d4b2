import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { findJob, listEvents } from '../jobs/read.ts'
import { isTerminal } from '../jobs/state.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { eventSchema, idParam, json200, limit, page } from './_schemas.ts'
import { type Source, streamEvents, waitForJob, wantsStream } from './_sse.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/events',
  operationId: 'listEvents',
  summary: 'Events of a job: a page, or a stream with `Accept: text/event-stream`',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({ limit, cursor: z.string().max(20).optional() }),
    headers: z.object({ 'last-event-id': z.string().max(20).optional() }),
  },
  responses: { 200: json200(page(eventSchema), 'A page'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { id } = c.req.valid('param')
    const { limit: most, cursor } = c.req.valid('query')
    const start = sequenceOf(c.req.valid('header')['last-event-id'] ?? cursor)
    await findJob(deps, project_id, id)
    if (!wantsStream(c)) {
      const items = await listEvents(deps, id, start, most)
      return c.json(
        { items, next_cursor: items.length === most ? String(items.at(-1)?.sequence) : null },
        200,
      )
    }
    const next: Source['next'] = async (after) => {
      const over = isTerminal((await findJob(deps, project_id, id)).state)
      const events = await listEvents(deps, id, Number(after), most)
      const messages = events.map((event) => ({
        id: String(event.sequence),
        event: event.type,
        data: JSON.stringify(event),
      }))
      return { messages, cursor: messages.at(-1)?.id ?? after, over }
    }
    return streamEvents(c, deps, { start: String(start), next, wait: waitForJob(deps, id) }) as never
  }

function sequenceOf(text: string | undefined): number {
  if (text === undefined || text === '') return 0
  if (!/^\d{1,9}$/.test(text)) throw new AppError('invalid_cursor', 'An event cursor is a sequence number.')
  return Number(text)
}
