import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { cancelJobs } from '../jobs/orders.ts'
import { checkCursor, filterOf } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { jobCursor, jobFilter, json200 } from './_schemas.ts'

const names = Object.keys(jobFilter)
const request = z
  .strictObject({ ...jobFilter, cursor: jobCursor })
  .refine((given) => names.some((name) => given[name as keyof typeof jobFilter] !== undefined), {
    message: `Name at least one of ${names.join(', ')}: everything up to now is { "created_before": "<now>" }.`,
  })
  .meta({ id: 'CancelJobs' })

const answer = z
  .object({
    cancelled: z.int().meta({ description: 'Jobs that this request has told to end.' }),
    next_cursor: z
      .string()
      .nullable()
      .meta({ description: 'Send it as `cursor`, with the same filters, to go on; null: that was all.' }),
  })
  .meta({ id: 'CancelledJobs' })

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs/cancel',
  operationId: 'cancelJobs',
  summary: 'Cancel every job that a filter finds, up to 1,000 at a time',
  tags: ['jobs'],
  request: { body: { required: true, content: { 'application/json': { schema: request } } } },
  responses: { 202: json200(answer, 'The orders are recorded'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { cursor, ...filter } = c.req.valid('json')
    const { project_id } = c.get('principal')
    checkCursor(cursor)
    return c.json(await cancelJobs(deps, project_id, filterOf(filter), cursor), 202)
  }
