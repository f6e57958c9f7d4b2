import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import { defaultPoints, leastPoints, mostPoints, readSeries, seriesColumns } from '../jobs/series.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200 } from './_schemas.ts'

const curve = z.array(z.number().nullable()).optional()
const answer = z
  .object({
    rank: z.int(),
    symbol: z.string().nullable(),
    symbols: z.array(z.string()).meta({ description: 'Of the run.' }),
    shared: z.boolean().meta({ description: 'Whether the symbols share one purse.' }),
    cash: z
      .number()
      .nullable()
      .meta({ description: 'That the curve starts with; null: the program does not say.' }),
    rows: z.int().min(0).meta({ description: 'Dates between `from` and `to`.' }),
    sampled: z.boolean().meta({ description: 'Whether fewer are shown.' }),
    series: z.object({
      date: z.array(z.string()),
      equity: curve,
      drawdown: curve,
      position: curve,
      price: curve,
      hold: curve,
    }),
    left_out: z.array(z.object({ column: z.enum(seriesColumns), reason: z.string(), text: z.string() })),
  })
  .meta({ id: 'Series' })

export const rank = z.coerce
  .number()
  .pipe(z.int().min(1).max(1_000_000))
  .default(1)
  .meta({ description: 'Of the best points that were kept (`output.top_k`), from 1.' })
export const symbol = z.string().min(1).max(100).optional()
const time = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).optional()
const columns = z
  .string()
  .max(100)
  .default('equity,drawdown')
  .transform((text, context) => {
    const found = z
      .array(z.enum(seriesColumns))
      .min(1)
      .safeParse([...new Set(text.split(','))])
    if (found.success) return found.data
    context.addIssue({ code: 'custom', message: `must be some of ${seriesColumns.join(',')}` })
    return z.NEVER
  })
  .meta({
    type: 'string',
    maxLength: 100,
    description: `Of ${seriesColumns.join(', ')}, with commas between. \`price\`: the symbol’s close as the job read it. \`hold\`: the same cash held in equal parts in the symbols from their first close, without costs.`,
  })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/series',
  operationId: 'readSeries',
  summary: 'Curves of one of the best points of a backtest',
  description:
    'Without `symbol` all accounts of the run together. Where there are more dates than `max_points`, buckets of equally many dates keep their first, their last, and of each column the date of its least and of its greatest value: no drawdown is lost. What cannot be had is left out, with the reason.',
  tags: ['jobs'],
  request: {
    params: idParam,
    query: z.strictObject({
      rank,
      symbol,
      columns,
      from: time,
      to: time,
      max_points: z.coerce.number().pipe(z.int().min(leastPoints).max(mostPoints)).default(defaultPoints),
    }),
  },
  responses: { 200: json200(answer, 'The curves'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json(await readSeries(deps, job, c.req.valid('query')), 200)
  }
