import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { budgetRequest, deleteBudget, listBudgets, putBudget } from '../jobs/budgets.ts'
import type { Deps } from '../jobs/deps.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, page } from './_schemas.ts'

const tags = ['money']
const usd = z.number()
const at = z.iso.datetime().nullable()
const budget = z
  .object({
    id: z.string(),
    scope: z.enum(['project', 'label']),
    label: z.object({ name: z.string(), value: z.string() }).nullable(),
    period: z.enum(['month', 'total']),
    limit_usd: usd,
    spent_usd: usd.meta({ description: 'Settled in the period that runs now.' }),
    reserved_usd: usd.meta({ description: 'Held by attempts that run, for the next minute and a stop.' }),
    warned_at: at,
    exhausted_at: at,
  })
  .meta({ id: 'Budget' })

export const putRoute = createRoute({
  method: 'put',
  path: '/v1/budgets',
  operationId: 'putBudget',
  summary: 'Set the limit of a budget by project or label, a month or in all (admin)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: budgetRequest } } } },
  responses: { 200: json200(budget, 'The budget'), ...problemAnswers },
})

export const put =
  (deps: Deps): RouteHandler<typeof putRoute, Env> =>
  async (c) => {
    return c.json(
      await putBudget(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('json')),
      200,
    )
  }

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/budgets',
  operationId: 'listBudgets',
  summary: 'Budgets with what is spent and reserved now',
  tags,
  responses: { 200: json200(page(budget), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listBudgets(deps, c.get('principal').project_id), next_cursor: null }, 200)

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/budgets/{id}',
  operationId: 'deleteBudget',
  summary: 'Delete a budget (admin)',
  tags,
  request: {
    params: idParam,
  },
  responses: { 204: { description: 'Deleted' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deleteBudget(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('param').id)
    return c.body(null, 204)
  }
