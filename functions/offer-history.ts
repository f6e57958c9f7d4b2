import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { offerRefusals, type OfferRefusal } from '../jobs/check-offers.ts'
import type { Deps } from '../jobs/deps.ts'
import { readOfferHistory } from '../jobs/offer-history.ts'
import { sourceView } from '../jobs/offer-view.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { flag, rate } from './inventory.ts'
import { json200, limit, page } from './_schemas.ts'

const tags = ['inventory']
const name = z.string().max(300).optional()
const time = z.iso.datetime({ offset: true }).optional()
const at = z.iso.datetime()
const count = z.int().min(0)

const change = z
  .object({
    provider: z.string(),
    account: z.string(),
    region: z.string(),
    offer: z.string(),
    spot: z.boolean(),
    at: at.meta({ description: 'It holds from then until the next change of the same offer.' }),
    usd_per_hour: z.number(),
    currency: z.string(),
    per_hour: z.number().meta({ description: 'In that currency.' }),
    available: z.number().nullable().meta({ description: 'Stock; null: the vendor does not say how many.' }),
    listed: z.boolean().meta({ description: 'false: from then on it is not offered.' }),
  })
  .meta({ id: 'OfferChange' })

export const historyRoute = createRoute({
  method: 'get',
  path: '/v1/offers/history',
  operationId: 'listOfferHistory',
  summary: 'How prices and stock have changed, oldest first',
  description:
    'Changes alone, of one offer at most one in five minutes, kept as long as logs. With `offer` the first one is the last change before `from`: what held then.',
  tags,
  request: {
    query: z.strictObject({
      provider: name,
      account: name,
      offer: name,
      region: name,
      spot: flag,
      from: time,
      to: time,
      limit,
      cursor: z.string().max(100).optional(),
    }),
  },
  responses: { 200: json200(page(change), 'A page'), ...problemAnswers },
})

export const history =
  (deps: Deps): RouteHandler<typeof historyRoute, Env> =>
  async (c) =>
    c.json(await readOfferHistory(deps, c.req.valid('query')), 200)

const reasons = Object.keys(offerRefusals) as [OfferRefusal, ...OfferRefusal[]]
const source = z
  .object({
    provider: z.string(),
    account: z.string(),
    state: z
      .enum(['ok', 'partial', 'failed', 'none'])
      .meta({ description: 'Whether it answered the last time; `none`: it never has.' }),
    asked_at: at.nullable().meta({ description: 'When it last answered.' }),
    age_s: count.nullable(),
    tried_at: at.nullable(),
    next_at: at,
    error: z.string().nullable(),
    offers: count,
    stale: count.meta({ description: 'Of them, those that it could not be asked for since.' }),
    missing: z.array(z.object({ name: z.string(), error: z.string() })),
    refused: z.array(
      z.object({ reason: z.enum(reasons), text: z.string(), count, examples: z.array(z.string()) }),
    ),
    rates: z.array(rate.extend({ currency: z.string() })),
  })
  .meta({ id: 'OfferSource' })

export const sourcesRoute = createRoute({
  method: 'get',
  path: '/v1/offers/sources',
  operationId: 'listOfferSources',
  summary: 'When each account was last asked for its offers, and what was wrong with its answer',
  tags,
  responses: { 200: json200(page(source), 'All of them'), ...problemAnswers },
})

export const sources =
  (deps: Deps): RouteHandler<typeof sourcesRoute, Env> =>
  (c) => {
    const now = deps.clock.now()
    return c.json(
      { items: deps.offer_sources().map((each) => sourceView(each, now)), next_cursor: null },
      200,
    )
  }
