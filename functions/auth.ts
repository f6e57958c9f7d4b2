// People register, log in, and get tokens. What a browser and a program hold is in jobs/identity.ts.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { access_s } from '../jobs/identity.ts'
import { endSession } from '../jobs/sessions.ts'
import { logIn, loginRequest, register as registerUser, registration } from '../jobs/users.ts'
import { addressOf } from './_address.ts'
import { actorOf, createCallerCheck, personOf } from './_auth.ts'
import { giveCookie, requireSameSite, takeCookie } from './_cookie.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

export const tags = ['people']
const at = z.iso.datetime()
/** Who logs in has nothing to show yet. */
const security: Record<string, string[]>[] = []

export const userSchema = z
  .object({
    id: z.string(),
    email: z.string(),
    name: z.string(),
    organisation: z.string().nullable(),
    email_verified: z.boolean(),
    created_at: at,
  })
  .meta({ id: 'User' })

const jsonBody = <Schema extends z.ZodType>(schema: Schema) => ({
  body: { required: true, content: { 'application/json': { schema } } },
})

export const registerRoute = createRoute({
  method: 'post',
  path: '/v1/auth/register',
  operationId: 'register',
  summary: 'Become a user: by invitation, by an operator’s key, or, where registration is open, by oneself',
  tags,
  security: [...security, { key: [] }, {}],
  request: jsonBody(registration),
  responses: {
    201: json200(
      z.object({
        email: z.string(),
        must_verify: z.boolean().meta({ description: 'Whether the link of a mail comes before the log-in.' }),
      }),
      'Registered; the same is said of an address that is known, unless an operator or an invited person asks',
    ),
    ...problemAnswers,
  },
})

export function register(deps: Deps): RouteHandler<typeof registerRoute, Env> {
  const check = createCallerCheck(deps)
  return async (c) => {
    const given = c.req.valid('json')
    const by = c.req.header('authorization') === undefined ? null : await check(c, null)
    if (by) c.set('caller', by)
    const operator = by === null || by.project_id === null ? null : by
    return c.json(await registerUser(deps, actorOf(c, deps), given, operator), 201)
  }
}

export const loginRoute = createRoute({
  method: 'post',
  path: '/v1/auth/login',
  operationId: 'logIn',
  summary: 'Log in: a browser gets a cookie, a program two tokens',
  tags,
  security,
  request: jsonBody(loginRequest),
  responses: {
    200: json200(
      z.object({
        user: userSchema,
        session_id: z.string(),
        expires_at: at.meta({ description: 'When the session ends, whatever is done with it.' }),
        access_token: z
          .string()
          .nullable()
          .meta({ description: `A JWT, good for ${access_s} seconds, until the session ends.` }),
        refresh_token: z
          .string()
          .nullable()
          .meta({ description: 'As the bearer of POST /v1/auth/token it gives the next one.' }),
      }),
      'Logged in',
    ),
    ...problemAnswers,
  },
})

export const login =
  (deps: Deps): RouteHandler<typeof loginRoute, Env> =>
  async (c) => {
    const given = c.req.valid('json')
    // Another site must not log somebody in as another person.
    if (given.as === 'cookie' && c.req.header('origin') !== undefined) requireSameSite(c, deps)
    const { secret, ...opened } = await logIn(deps, given, {
      address: addressOf(c, deps.settings.is_proxy),
      user_agent: c.req.header('user-agent')?.slice(0, 400) ?? null,
    })
    if (given.as === 'cookie') giveCookie(c, deps, secret)
    c.header('Cache-Control', 'no-store')
    return c.json(opened, 200)
  }

export const logoutRoute = createRoute({
  method: 'post',
  path: '/v1/auth/logout',
  operationId: 'logOut',
  summary: 'Log out: the session ends, and every token that it gave out',
  tags,
  responses: { 204: { description: 'Logged out' }, ...problemAnswers },
})

export const logout =
  (deps: Deps): RouteHandler<typeof logoutRoute, Env> =>
  async (c) => {
    const { id: user_id, session_id } = personOf(c)
    await endSession(deps, actorOf(c, deps), { user_id, session_id })
    takeCookie(c, deps)
    return c.body(null, 204)
  }

export const tokenRoute = createRoute({
  method: 'post',
  path: '/v1/auth/token',
  operationId: 'issueToken',
  summary: 'A new access token of the session',
  tags,
  responses: {
    200: json200(
      z.object({ access_token: z.string(), token_type: z.literal('Bearer'), expires_in: z.int() }),
      'The token',
    ),
    ...problemAnswers,
  },
})

export const token =
  (deps: Deps): RouteHandler<typeof tokenRoute, Env> =>
  async (c) => {
    const { id: user_id, session_id } = personOf(c)
    const access_token = await deps.identity.issueToken({ user_id, session_id })
    c.header('Cache-Control', 'no-store')
    return c.json({ access_token, token_type: 'Bearer' as const, expires_in: access_s }, 200)
  }

export const publicKeysRoute = createRoute({
  method: 'get',
  path: '/v1/auth/jwks',
  operationId: 'readPublicKeys',
  summary: 'The public keys of access tokens (RFC 7517)',
  tags,
  security,
  responses: {
    200: json200(z.object({ keys: z.array(z.record(z.string(), z.unknown())) }), 'The keys'),
    ...problemAnswers,
  },
})

export const publicKeys =
  (deps: Deps): RouteHandler<typeof publicKeysRoute, Env> =>
  async (c) => {
    // Services that check tokens ask often, and keys change once a month.
    c.header('Cache-Control', 'public, max-age=300')
    return c.json(await deps.identity.publicKeys(), 200)
  }

export const optionsRoute = createRoute({
  method: 'get',
  path: '/v1/auth/options',
  operationId: 'readLoginOptions',
  summary: 'What the page to log in can offer',
  tags,
  security,
  responses: {
    200: json200(
      z.object({
        registration: z.enum(['open', 'invitation', 'closed']),
        mails: z.boolean().meta({ description: 'Whether a forgotten password is replaced by mail.' }),
      }),
      'What is offered',
    ),
    ...problemAnswers,
  },
})

export const options =
  ({ settings, send_mail }: Deps): RouteHandler<typeof optionsRoute, Env> =>
  (c) =>
    c.json({ registration: settings.registration, mails: send_mail !== null }, 200)
