import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import {
  accountPatch,
  accountRequest,
  changeAccount,
  createAccount,
  deleteAccount,
  listAccounts,
  readAccount,
} from '../jobs/accounts.ts'
import type { Deps } from '../jobs/deps.ts'
import { healthStates } from '../jobs/health-view.ts'
import { testAccount } from '../jobs/test-account.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, page } from './_schemas.ts'

const tags = ['providers']
const at = z.iso.datetime()

const check = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() })
const figures = {
  calls: z.int().min(0),
  success_rate: z
    .number()
    .nullable()
    .meta({ description: 'Share that the vendor answered, refusals for stock or quota too.' }),
  p50_ms: z.number().nullable().meta({ description: 'Upper bound.' }),
  p95_ms: z.number().nullable(),
}
const health = z
  .object({
    state: z.enum(healthStates).meta({
      description:
        'degraded: a tenth or more of the last calls went without an answer; open: it does not answer, and is tried now and then; ' +
        'parked: its credentials or its balance need a person.',
    }),
    reason: z.string().nullable(),
    detail: z.string().nullable(),
    since: at.nullable(),
    next_try_at: at
      .nullable()
      .meta({ description: 'When a parked account is tried again, without spending.' }),
    ...figures,
    by_call: z.array(
      z.object({
        call: z.string().meta({ example: 'launch' }),
        ...figures,
        errors: z.record(z.string(), z.int()).meta({ description: 'By code.' }),
      }),
    ),
    last_error: z.object({ call: z.string(), code: z.string(), detail: z.string(), at }).nullable(),
  })
  .meta({ id: 'ProviderHealth', description: 'Of the last hour, as all servers have seen it.' })
const account = z
  .object({
    id: z.string().nullable().meta({ description: 'null: set by the environment, and changed there.' }),
    provider: z.string(),
    account: z.string(),
    settings: z.record(z.string(), anyJson),
    credentials: z.array(z.string()).meta({ description: 'The names of what was given; never the values.' }),
    regions: z.array(z.string()).nullable(),
    enabled: z.boolean(),
    draining: z.boolean(),
    running: z.int().min(0).meta({ description: 'Attempts there that have not ended.' }),
    health,
    checks: z.array(check).nullable().meta({ description: 'What the last test saw.' }),
    checked_at: at.nullable(),
    created_at: at.nullable(),
    updated_at: at.nullable(),
  })
  .meta({ id: 'ProviderAccount' })
const tested = z.object({ ok: z.boolean(), checks: z.array(check) }).meta({ id: 'ProviderAccountTest' })

export const openRoute = createRoute({
  method: 'post',
  path: '/v1/provider-accounts',
  operationId: 'createProviderAccount',
  summary: 'Add an account at a provider (operator)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: accountRequest } } } },
  responses: { 201: json200(account, 'The account'), ...problemAnswers },
})

export const create =
  (deps: Deps): RouteHandler<typeof openRoute, Env> =>
  async (c) => {
    const made = await createAccount(deps, actorOf(c, deps), c.req.valid('json'))
    c.header('Location', `/v1/provider-accounts/${made.id}`)
    return c.json(made, 201)
  }

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/provider-accounts',
  operationId: 'listProviderAccounts',
  summary: 'Accounts at providers (operator)',
  tags,
  responses: { 200: json200(page(account), 'All of them, by provider and name'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) => {
    return c.json({ items: await listAccounts(deps), next_cursor: null }, 200)
  }

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/provider-accounts/{id}',
  operationId: 'getProviderAccount',
  summary: 'One account (operator)',
  tags,
  request: { params: idParam },
  responses: { 200: json200(account, 'The account'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) => {
    return c.json(await readAccount(deps, c.req.valid('param').id), 200)
  }

export const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/provider-accounts/{id}',
  operationId: 'changeProviderAccount',
  summary: 'Change, drain or disable an account (operator)',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: accountPatch } } },
  },
  responses: { 200: json200(account, 'The account'), ...problemAnswers },
})

export const patch =
  (deps: Deps): RouteHandler<typeof patchRoute, Env> =>
  async (c) => {
    return c.json(
      await changeAccount(deps, actorOf(c, deps), c.req.valid('param').id, c.req.valid('json')),
      200,
    )
  }

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/provider-accounts/{id}',
  operationId: 'deleteProviderAccount',
  summary: 'Remove an account that is disabled and where nothing runs (operator)',
  tags,
  request: { params: idParam },
  responses: { 204: { description: 'Removed' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    await deleteAccount(deps, actorOf(c, deps), c.req.valid('param').id)
    return c.body(null, 204)
  }

export const testRoute = createRoute({
  method: 'post',
  path: '/v1/provider-accounts/{id}/test',
  operationId: 'testProviderAccount',
  summary: 'Try each permission that the account needs, without spending (operator)',
  tags,
  request: { params: idParam },
  responses: { 200: json200(tested, 'What was seen, and what to do'), ...problemAnswers },
})

export const test =
  (deps: Deps): RouteHandler<typeof testRoute, Env> =>
  async (c) => {
    return c.json(await testAccount(deps, c.req.valid('param').id), 200)
  }
