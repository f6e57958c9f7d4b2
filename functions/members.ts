// Who belongs to a project, and who is invited to.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import {
  acceptInvitation,
  invitationRequest,
  invite,
  listInvitations,
  withdraw,
} from '../jobs/invitations.ts'
import { changeMember, listMembers, memberPatch, memberRoles, removeMember } from '../jobs/members.ts'
import { readUser, secretRequest } from '../jobs/users.ts'
import { actorOf, personOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, page } from './_schemas.ts'

const tags = ['people']
const at = z.iso.datetime()
const role = z.enum(memberRoles)
const member = z
  .object({ user_id: z.string(), name: z.string(), email: z.string(), role, since: at })
  .meta({ id: 'Member' })
const invitation = z
  .object({ id: z.string(), email: z.string(), role, created_at: at, expires_at: at })
  .meta({ id: 'Invitation' })
const newInvitation = invitation
  .extend({
    token: z.string().meta({ description: 'Shown this once: it accepts the invitation.' }),
    link: z.string().meta({ description: 'Where it is accepted; the token is behind the #.' }),
    mailed: z.boolean().meta({ description: 'Whether a mail with the link was sent.' }),
  })
  .meta({ id: 'NewInvitation' })
const path = (name: string) =>
  z
    .string()
    .max(64)
    .meta({ param: { name, in: 'path' } })
const memberParam = z.object({ id: path('id'), user_id: path('user_id') })
const invitationParam = z.object({ id: path('id'), invitation_id: path('invitation_id') })

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/projects/{id}/members',
  operationId: 'listMembers',
  summary: 'Who belongs to the project',
  tags,
  request: { params: idParam },
  responses: { 200: json200(page(member), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await listMembers(deps.db, c.get('principal').project_id), next_cursor: null }, 200)

export const changeRoute = createRoute({
  method: 'patch',
  path: '/v1/projects/{id}/members/{user_id}',
  operationId: 'changeMember',
  summary: 'Give a member another role (admin; of owners: owner)',
  tags,
  request: {
    params: memberParam,
    body: { required: true, content: { 'application/json': { schema: memberPatch } } },
  },
  responses: { 200: json200(member, 'The member'), ...problemAnswers },
})

export const change =
  (deps: Deps): RouteHandler<typeof changeRoute, Env> =>
  async (c) => {
    const wanted = { user_id: c.req.valid('param').user_id, role: c.req.valid('json').role }
    return c.json(await changeMember(deps, actorOf(c, deps), c.get('principal'), wanted), 200)
  }

export const removeRoute = createRoute({
  method: 'delete',
  path: '/v1/projects/{id}/members/{user_id}',
  operationId: 'removeMember',
  summary: 'Remove a member (admin; of owners: owner), or leave',
  tags,
  request: { params: memberParam },
  responses: { 204: { description: 'Removed' }, ...problemAnswers },
})

export const remove =
  (deps: Deps): RouteHandler<typeof removeRoute, Env> =>
  async (c) => {
    await removeMember(deps, actorOf(c, deps), c.get('principal'), c.req.valid('param').user_id)
    return c.body(null, 204)
  }

export const invitationsRoute = createRoute({
  method: 'get',
  path: '/v1/projects/{id}/invitations',
  operationId: 'listInvitations',
  summary: 'The invitations that are open (admin)',
  tags,
  request: { params: idParam },
  responses: { 200: json200(page(invitation), 'All of them'), ...problemAnswers },
})

export const invitations =
  (deps: Deps): RouteHandler<typeof invitationsRoute, Env> =>
  async (c) =>
    c.json({ items: await listInvitations(deps, c.get('principal').project_id), next_cursor: null }, 200)

export const inviteRoute = createRoute({
  method: 'post',
  path: '/v1/projects/{id}/invitations',
  operationId: 'createInvitation',
  summary: 'Invite somebody; good for a week, and for that address alone (admin; owners: owner)',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: invitationRequest } } },
  },
  responses: {
    201: {
      description: 'The invitation, with its token this once',
      content: { 'application/json': { schema: newInvitation } },
    },
    ...problemAnswers,
  },
})

export const create =
  (deps: Deps): RouteHandler<typeof inviteRoute, Env> =>
  async (c) => {
    c.header('Cache-Control', 'no-store')
    return c.json(await invite(deps, actorOf(c, deps), c.get('principal'), c.req.valid('json')), 201)
  }

export const withdrawRoute = createRoute({
  method: 'delete',
  path: '/v1/projects/{id}/invitations/{invitation_id}',
  operationId: 'withdrawInvitation',
  summary: 'Withdraw an invitation (admin)',
  tags,
  request: { params: invitationParam },
  responses: { 204: { description: 'Withdrawn' }, ...problemAnswers },
})

export const withdrawOne =
  (deps: Deps): RouteHandler<typeof withdrawRoute, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    await withdraw(deps, actorOf(c, deps), { project_id, id: c.req.valid('param').invitation_id })
    return c.body(null, 204)
  }

export const acceptRoute = createRoute({
  method: 'post',
  path: '/v1/invitations/accept',
  operationId: 'acceptInvitation',
  summary: 'Join a project by the token of an invitation to the own address',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: secretRequest } } } },
  responses: { 200: json200(z.object({ project_id: z.string() }), 'The project'), ...problemAnswers },
})

export const accept =
  (deps: Deps): RouteHandler<typeof acceptRoute, Env> =>
  async (c) => {
    const { id: user_id } = personOf(c)
    const { email } = await readUser(deps.db, user_id)
    const { token } = c.req.valid('json')
    const project_id = await acceptInvitation(deps, actorOf(c, deps), { user_id, email, token })
    return c.json({ project_id }, 200)
  }
