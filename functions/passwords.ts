// Passwords that are forgotten or changed, and addresses that are verified.
import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import {
  changePassword,
  forgotPassword,
  mailRequest,
  passwordChange,
  resetPassword,
  resetRequest,
  secretRequest,
  verifyAgain,
  verifyEmail,
} from '../jobs/users.ts'
import { addressOf } from './_address.ts'
import { personOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { tags } from './auth.ts'

const security: Record<string, string[]>[] = []
const mailBody = { body: { required: true, content: { 'application/json': { schema: mailRequest } } } }
const sent = { description: 'A link is sent, if there is such a user; this is not told' }

export const forgotRoute = createRoute({
  method: 'post',
  path: '/v1/auth/password/forgot',
  operationId: 'forgotPassword',
  summary: 'Have a link sent to choose a new password',
  tags,
  security,
  request: mailBody,
  responses: { 202: sent, ...problemAnswers },
})

export const forgot =
  (deps: Deps): RouteHandler<typeof forgotRoute, Env> =>
  async (c) => {
    await forgotPassword(deps, c.req.valid('json').email, addressOf(c, deps.settings.is_proxy))
    return c.body(null, 202)
  }

export const resetRoute = createRoute({
  method: 'post',
  path: '/v1/auth/password/reset',
  operationId: 'resetPassword',
  summary: 'Choose a new password by the token of a link; all sessions end',
  tags,
  security,
  request: { body: { required: true, content: { 'application/json': { schema: resetRequest } } } },
  responses: { 204: { description: 'It is the password from now on' }, ...problemAnswers },
})

export const reset =
  (deps: Deps): RouteHandler<typeof resetRoute, Env> =>
  async (c) => {
    await resetPassword(deps, c.req.valid('json'), addressOf(c, deps.settings.is_proxy))
    return c.body(null, 204)
  }

export const changeRoute = createRoute({
  method: 'post',
  path: '/v1/auth/password',
  operationId: 'changePassword',
  summary: 'Change the own password; the other sessions end',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: passwordChange } } } },
  responses: { 204: { description: 'It is the password from now on' }, ...problemAnswers },
})

export const change =
  (deps: Deps): RouteHandler<typeof changeRoute, Env> =>
  async (c) => {
    await changePassword(deps, personOf(c), c.req.valid('json'), addressOf(c, deps.settings.is_proxy))
    return c.body(null, 204)
  }

export const verifyRoute = createRoute({
  method: 'post',
  path: '/v1/auth/email/verify',
  operationId: 'verifyEmail',
  summary: 'Verify an address by the token of a link',
  tags,
  security,
  request: { body: { required: true, content: { 'application/json': { schema: secretRequest } } } },
  responses: { 204: { description: 'Verified' }, ...problemAnswers },
})

export const verify =
  (deps: Deps): RouteHandler<typeof verifyRoute, Env> =>
  async (c) => {
    await verifyEmail(deps, c.req.valid('json').token, addressOf(c, deps.settings.is_proxy))
    return c.body(null, 204)
  }

export const againRoute = createRoute({
  method: 'post',
  path: '/v1/auth/email/link',
  operationId: 'verifyAgain',
  summary: 'Have the link sent again that verifies an address',
  tags,
  security,
  request: mailBody,
  responses: { 202: sent, ...problemAnswers },
})

export const again =
  (deps: Deps): RouteHandler<typeof againRoute, Env> =>
  async (c) => {
    await verifyAgain(deps, c.req.valid('json').email, addressOf(c, deps.settings.is_proxy))
    return c.body(null, 202)
  }
