import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { readUsage, usageGroups } from '../jobs/budgets.ts'
import type { Deps } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

const at = z.iso.datetime({ offset: true }).optional()
const row = z.object({
  group: z.string(),
  basis: z.enum(['billed', 'modelled']),
  usd: z.number(),
  attempts: z.int(),
  seconds: z.number(),
})

export const route = createRoute({
  method: 'get',
  path: '/v1/usage',
  operationId: 'readUsage',
  summary: 'What was settled, by project, kind, provider, label or day',
  tags: ['money'],
  request: {
    query: z
      .strictObject({
        group_by: z.enum(usageGroups).default('day'),
        label: z.string().max(63).optional().meta({ description: 'The label’s name, for `group_by=label`.' }),
        from: at.meta({ description: 'The last 30 days unless given.' }),
        to: at,
      })
      .refine(({ group_by, label }) => group_by !== 'label' || label !== undefined, {
        path: ['label'],
        message: 'names the label to group by',
      }),
  },
  responses: { 200: json200(z.object({ items: z.array(row) }), 'The groups'), ...problemAnswers },
})

const usual_ms = 30 * 86_400_000

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { group_by, label, from, to } = c.req.valid('query')
    const end = to === undefined ? deps.clock.now() : new Date(to)
    const start = from === undefined ? new Date(end.getTime() - usual_ms) : new Date(from)
    const query = { group_by, label, from: start, to: end }
    return c.json({ items: await readUsage(deps, c.get('principal').project_id, query) }, 200)
  }
