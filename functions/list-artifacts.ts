import { createRoute, type RouteHandler } from '@hono/zod-openapi'
import { listArtifacts } from '../jobs/artifacts.ts'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { artifactSchema, idParam, json200, page } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/artifacts',
  operationId: 'listArtifacts',
  summary: 'The files that a job produced',
  tags: ['jobs'],
  request: { params: idParam },
  responses: { 200: json200(page(artifactSchema), 'All of them'), ...problemAnswers },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const job = await findJob(deps, c.get('principal').project_id, c.req.valid('param').id)
    return c.json({ items: await listArtifacts(deps, job), next_cursor: null }, 200)
  }
