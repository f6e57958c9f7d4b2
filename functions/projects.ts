// The projects of a person or a key.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { projectPatch, readProject } from '../jobs/project.ts'
import { createProject, projectRequest, projectsOf } from '../jobs/projects.ts'
import { actorOf, personOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam, json200, page } from './_schemas.ts'
import { patchProject, projectSchema } from './project.ts'

const tags = ['people']
export const membership = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(['owner', 'admin', 'member', 'viewer']),
    is_operator: z.boolean().meta({ description: 'Whether its admins run the installation.' }),
    created_at: z.iso.datetime(),
  })
  .meta({ id: 'Membership' })

export const listRoute = createRoute({
  method: 'get',
  path: '/v1/projects',
  operationId: 'listProjects',
  summary: 'The projects that one belongs to; the first is meant where none is named',
  tags,
  responses: { 200: json200(page(membership), 'All of them'), ...problemAnswers },
})

export const list =
  (deps: Deps): RouteHandler<typeof listRoute, Env> =>
  async (c) =>
    c.json({ items: await projectsOf(deps, c.get('caller')), next_cursor: null }, 200)

export const openRoute = createRoute({
  method: 'post',
  path: '/v1/projects',
  operationId: 'createProject',
  summary: 'Make a project, and own it (operators; everybody where registration is open)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: projectRequest } } } },
  responses: {
    201: { description: 'The project', content: { 'application/json': { schema: membership } } },
    ...problemAnswers,
  },
})

export const create =
  (deps: Deps): RouteHandler<typeof openRoute, Env> =>
  async (c) => {
    const made = { user_id: personOf(c).id, name: c.req.valid('json').name }
    return c.json(await createProject(deps, actorOf(c, deps), made), 201)
  }

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/projects/{id}',
  operationId: 'getProject',
  summary: 'One of the own projects',
  tags,
  request: { params: idParam },
  responses: { 200: json200(projectSchema, 'The project'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) =>
    c.json(await readProject(deps, c.get('principal').project_id), 200)

export const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/projects/{id}',
  operationId: 'patchProject',
  summary: 'Change the name of a project, or its share of what is launched (admin; the share: operator)',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: projectPatch } } },
  },
  responses: { 200: json200(projectSchema, 'The project'), ...problemAnswers },
})

export const patch =
  (deps: Deps): RouteHandler<typeof patchRoute, Env> =>
  async (c) =>
    c.json(await patchProject(deps, c, c.req.valid('json')), 200)
