import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { policyRequest, putPolicy, readPolicies } from '../jobs/policy.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

const tags = ['rules']

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/policy',
  operationId: 'readPolicy',
  summary: 'What no job of the project may override',
  tags,
  responses: { 200: json200(policyRequest, 'The policy'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    return c.json((await readPolicies(deps.db, [project_id])).get(project_id) ?? {}, 200)
  }

export const putRoute = createRoute({
  method: 'put',
  path: '/v1/policy',
  operationId: 'putPolicy',
  summary: 'Replace the policy of the project; it holds for what is launched from now on (admin)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: policyRequest } } } },
  responses: { 200: json200(policyRequest, 'The policy'), ...problemAnswers },
})

export const put =
  (deps: Deps): RouteHandler<typeof putRoute, Env> =>
  async (c) => {
    return c.json(
      await putPolicy(deps, actorOf(c, deps), c.get('principal').project_id, c.req.valid('json')),
      200,
    )
  }
