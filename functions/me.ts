import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { hasRole, type Caller } from '../jobs/keys.ts'
import { projectsOf } from '../jobs/projects.ts'
import { nameOf } from '../jobs/profile.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { type Right, rights } from './_rights.ts'
import { isInScope } from './_scopes.ts'
import { json200 } from './_schemas.ts'
import { membership } from './projects.ts'

const role = z.enum(['owner', 'admin', 'member', 'viewer'])
const me = z
  .object({
    by: z.enum(['key', 'user']),
    id: z.string().meta({ description: 'Of the key or the user.' }),
    name: z.string(),
    email: z.string().nullable(),
    role: role.nullable().meta({ description: 'In the project; null: there is none.' }),
    project: z.object({ id: z.string(), name: z.string() }).nullable(),
    projects: z.array(membership),
    is_operator: z.boolean().meta({ description: 'Whether the admins of the project run the installation.' }),
    scopes: z.array(z.string()).nullable().meta({ description: 'What a key is narrowed to; null: nothing.' }),
    may: z.array(z.string()).meta({ description: 'Operations of this document that are answered here.' }),
  })
  .meta({ id: 'Me' })

export const route = createRoute({
  method: 'get',
  path: '/v1/me',
  operationId: 'readMe',
  summary: 'Who asks, in which project, and what they may',
  tags: ['people'],
  responses: { 200: json200(me, 'Who asks'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const caller = c.get('caller')
    const projects = await projectsOf(deps, caller)
    const own = projects.find(({ id }) => id === caller.project_id)
    const answer = {
      by: caller.by,
      id: caller.id,
      ...(await nameOf(deps.db, caller)),
      role: own?.role ?? null,
      project: own ? { id: own.id, name: own.name } : null,
      projects,
      is_operator: own?.is_operator ?? false,
      scopes: caller.by === 'key' && caller.scopes ? [...caller.scopes] : null,
      may: Object.entries(rights).flatMap(([name, right]) => (mayAsk(caller, right, name) ? [name] : [])),
    }
    return c.json(answer, 200)
  }

function mayAsk(caller: Caller, right: Right, name: string): boolean {
  if (right === 'runner' || right === 'bootstrap' || right === 'scraper') return false
  if (right === 'nothing' || right === 'caller') return true
  if (right === 'session') return caller.by === 'user'
  if (caller.project_id === null || !isInScope(caller, name)) return false
  const isOperator = caller.is_operator && hasRole(caller.role, 'admin')
  if (right === 'owner or operator') return isOperator || hasRole(caller.role, 'owner')
  return right === 'operator' ? isOperator : hasRole(caller.role, right)
}
