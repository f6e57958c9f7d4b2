import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findPlace, latest, type Place, placeText, readFeed } from '../jobs/feed.ts'
import type { Followers } from '../jobs/followers.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { feedEventSchema, json200, limit, page } from './_schemas.ts'
import { streamEvents, wantsStream } from './_sse.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/events',
  operationId: 'readFeed',
  summary: 'Events of the project: a page, or a stream with `Accept: text/event-stream`; none is passed over',
  tags: ['events'],
  request: {
    query: z.strictObject({
      limit,
      after: z
        .string()
        .max(64)
        .optional()
        .meta({
          description:
            'The `id` of the last event that is known, a `next_cursor`, or `latest` for what is to come. Left out: the ' +
            'oldest event that is kept. 410 `cursor_expired` where events after it are gone.',
        }),
      cursor: z.string().max(64).optional().meta({ description: 'The same as `after`.' }),
    }),
    headers: z.object({ 'last-event-id': z.string().max(64).optional() }),
  },
  responses: {
    200: json200(
      page(feedEventSchema),
      'A page, the oldest first; next_cursor is null when there is no more for now: go on after the last `id`',
    ),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps, followers: Followers): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const { limit: most, after, cursor } = c.req.valid('query')
    const asked = c.req.valid('header')['last-event-id'] || after || cursor || null
    const place = await findPlace(deps, project_id, asked)
    if (!wantsStream(c)) {
      const { events, place: to } = await readFeed(deps, project_id, place, most)
      const more = events.length === most || asked === latest
      return c.json({ items: events, next_cursor: more ? placeText(to) : null }, 200)
    }
    const follower = followers.join(project_id)
    const at = (text: string | null): Place => placeOf(text, place)
    return streamEvents(
      c,
      deps,
      {
        start: placeText(place),
        async next(from) {
          const found = await follower.next(at(from))
          return { messages: found.messages, cursor: placeText(found.place), over: false }
        },
        wait: follower.wait,
      },
      follower.leave,
    ) as never
  }

function placeOf(text: string | null, start: Place): Place {
  const [epoch = start.epoch, xid = start.xid, id = start.id] = text?.split('-').map(Number) ?? []
  return { epoch, xid, id }
}
