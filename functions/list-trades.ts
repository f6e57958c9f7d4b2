import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import { listTrades, tradeOrders } from '../jobs/trades.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, limit, page } from './_schemas.ts'
import { rank, symbol } from './read-series.ts'

const number = z.number().nullable()
const trade = z
  .object({
    rank: z.int(),
    symbol: z.string(),
    entry_date: z.string(),
    exit_date: z.string().nullable(),
    entry_price: number,
    exit_price: number,
    units: number,
    fees: number,
    pnl: number,
    return: number,
    bars: z.int().nullable(),
    exit_reason: z.string().nullable(),
    open: z.boolean(),
  })
  .meta({ id: 'Trade' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/trades',
  operationId: 'listTrades',
  summary: 'Trades of one of the best points of a backtest',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      rank,
      symbol,
      sort: z.enum(tradeOrders).default('entry_date').meta({ description: '`-`: the greatest first.' }),
      limit,
      cursor: z.string().max(400).optional(),
    }),
  },
  responses: {
    200: json200(
      page(trade).extend({ total: z.int().min(0).meta({ description: 'On all pages.' }) }),
      'A page',
    ),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json(await listTrades(deps, job, c.req.valid('query')), 200)
  }
