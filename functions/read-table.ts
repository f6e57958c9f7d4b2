import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import { defaultRows, mostRows, readRows } from '../jobs/tables.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200 } from './_schemas.ts'

const answer = z
  .object({
    name: z.string(),
    rows: z.int().min(0).meta({ description: 'In the file, or those that `where` finds.' }),
    sampled: z.boolean().meta({ description: 'Whether fewer are shown.' }),
    columns: z.record(z.string(), z.array(z.union([z.number(), z.string(), z.null()]))),
  })
  .meta({ id: 'Table' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/tables/{name}',
  operationId: 'readTable',
  summary: 'Rows of a Parquet file that a job left, as JSON',
  description:
    'Columns of numbers, dates and texts; lists are left out. Where there are more rows than `max_rows`, one of each of so many equal stretches is shown.',
  tags: ['jobs'],
  request: {
    params: idParam.extend({
      name: z
        .string()
        .max(255)
        .meta({ param: { name: 'name', in: 'path' } }),
    }),
    query: z.strictObject({
      columns: z
        .string()
        .max(1_000)
        .transform((text) => [...new Set(text.split(','))])
        .optional()
        .meta({
          type: 'string',
          maxLength: 1_000,
          description: 'Names with commas between; all that can be read unless named.',
        }),
      where: z.string().max(200).optional().meta({ description: '`column:value`: rows that have it alone.' }),
      max_rows: z.coerce.number().pipe(z.int().min(1).max(mostRows)).default(defaultRows),
    }),
  },
  responses: { 200: json200(answer, 'Rows by column'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { id, name } = c.req.valid('param')
    const job = await findJob(deps, c.get('principal').project_id, id)
    return c.json(await readRows(deps, job, { name, ...c.req.valid('query') }), 200)
  }
