import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { findJob } from '../jobs/read.ts'
import type { JsonObject } from '../jobs/view.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200 } from './_schemas.ts'

const spec = z.record(z.string(), anyJson).meta({ id: 'StoredSpec' })

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/spec',
  operationId: 'readSpec',
  summary: 'What was asked for, with every default: it can be submitted again',
  tags: ['jobs'],
  request: { params: idParam },
  responses: {
    200: json200(spec, 'A body for `POST /v1/jobs`; without its webhook for viewers'),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id, role } = c.get('principal')
    const job = await findJob(deps, project_id, c.req.valid('param').id)
    const { webhook, ...rest } = job.spec
    // The address of a webhook may hold a secret of whoever receives it.
    const shown = webhook === undefined || role === 'viewer' ? rest : { ...rest, webhook }
    return c.json(shown as object as JsonObject, 200)
  }
