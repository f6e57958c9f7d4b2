import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { type Deps, topics } from '../jobs/deps.ts'
import { changeProject, projectPatch, readProject } from '../jobs/project.ts'
import { actorOf, requireRight } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { json200 } from './_schemas.ts'

const tags = ['rules']
export const projectSchema = z
  .object({ id: z.string(), name: z.string(), weight: z.number(), created_at: z.iso.datetime() })
  .meta({ id: 'Project' })

export const getRoute = createRoute({
  method: 'get',
  path: '/v1/project',
  operationId: 'readProject',
  summary: 'The project of the key',
  tags,
  responses: { 200: json200(projectSchema, 'The project'), ...problemAnswers },
})

export const get =
  (deps: Deps): RouteHandler<typeof getRoute, Env> =>
  async (c) =>
    c.json(await readProject(deps, c.get('principal').project_id), 200)

export const patchRoute = createRoute({
  method: 'patch',
  path: '/v1/project',
  operationId: 'changeProject',
  summary: 'Change the name of the project, or its share of what is launched (admin; the share: operator)',
  tags,
  request: { body: { required: true, content: { 'application/json': { schema: projectPatch } } } },
  responses: { 200: json200(projectSchema, 'The project'), ...problemAnswers },
})

export const patch =
  (deps: Deps): RouteHandler<typeof patchRoute, Env> =>
  async (c) =>
    c.json(await patchProject(deps, c, c.req.valid('json')), 200)

/** Changes the project that the caller was let into, however it was named. */
export async function patchProject(deps: Deps, c: Context<Env>, patch: z.infer<typeof projectPatch>) {
  // More of it is less for every other project.
  if (patch.weight !== undefined) requireRight(c.get('principal'), 'operator')
  const changed = await changeProject(deps, actorOf(c, deps), c.get('principal').project_id, patch)
  deps.waker.wake(topics.pass)
  return changed
}
