// What a person sees and changes of themselves.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { endOtherSessions, endSession, listSessions } from '../jobs/sessions.ts'
import { usageOfProjects } from '../jobs/profile.ts'
import { changeProfile, profilePatch, readUser } from '../jobs/users.ts'
import { actorOf, personOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, page } from './_schemas.ts'
import { tags, userSchema } from './auth.ts'

const at = z.iso.datetime()
const session = z
  .object({
    id: z.string(),
    created_at: at,
    expires_at: at,
    address: z.string().nullable(),
    user_agent: z.string().nullable(),
    is_current: z.boolean(),
  })
  .meta({ id: 'Session' })

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/auth/sessions',
  operationId: 'listSessions',
  summary: 'The own sessions, newest first',
  tags,
  responses: { 200: json200(page(session), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listSessions(deps, personOf(c)), next_cursor: null }, 200)

export const endRoute = createRoute({
  method: 'delete',
  path: '/v1/auth/sessions/{id}',
  operationId: 'endSession',
  summary: 'End one of the own sessions: its tokens work nowhere from then on',
  tags,
  request: { params: idParam },
  responses: { 204: { description: 'Ended' }, ...problemAnswers },
})

export const end =
  (deps: Deps): RouteHandler<typeof endRoute, Env> =>
  async (c) => {
    const session_id = c.req.valid('param').id
    await endSession(deps, actorOf(c, deps), { user_id: personOf(c).id, session_id })
    return c.body(null, 204)
  }

export const endOthersRoute = createRoute({
  method: 'delete',
  path: '/v1/auth/sessions',
  operationId: 'endOtherSessions',
  summary: 'End all of the own sessions but this one',
  tags,
  responses: { 200: json200(z.object({ ended: z.int() }), 'How many'), ...problemAnswers },
})

export const endOthers =
  (deps: Deps): RouteHandler<typeof endOthersRoute, Env> =>
  async (c) => {
    const { id: user_id, session_id: but_session_id } = personOf(c)
    return c.json({ ended: await endOtherSessions(deps, actorOf(c, deps), { user_id, but_session_id }) }, 200)
  }

const profile = userSchema
  .extend({
    usage: z
      .array(z.object({ project_id: z.string(), attempts: z.int(), usd: z.number() }))
      .meta({ description: 'Of each project: attempts and their cost that were settled this month (UTC).' }),
  })
  .meta({ id: 'Profile' })

export const profileRoute = createRoute({
  method: 'get',
  path: '/v1/auth/profile',
  operationId: 'readProfile',
  summary: 'Who one is, and what the own projects used this month',
  tags,
  responses: { 200: json200(profile, 'The profile'), ...problemAnswers },
})

export const readProfile =
  (deps: Deps): RouteHandler<typeof profileRoute, Env> =>
  async (c) => {
    const { id } = personOf(c)
    const [user, usage] = [await readUser(deps.db, id), await usageOfProjects(deps, id)]
    return c.json({ ...user, usage }, 200)
  }

export const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/auth/profile',
  operationId: 'changeProfile',
  summary: 'Change the own name or organisation',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: profilePatch } } } },
  responses: { 200: json200(userSchema, 'The user'), ...problemAnswers },
})

export const patch =
  (deps: Deps): RouteHandler<typeof patchRoute, Env> =>
  async (c) =>
    c.json(await changeProfile(deps, actorOf(c, deps), personOf(c).id, c.req.valid('json')), 200)
