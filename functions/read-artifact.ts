import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { openArtifact } from '../jobs/artifacts.ts'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { findJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { jobParam, octets } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/artifacts/{name}',
  operationId: 'readArtifact',
  summary: 'One file that a job produced',
  tags: ['jobs'],
  request: {
    params: jobParam.extend({
      name: z
        .string()
        .max(255)
        .meta({ param: { name: 'name', in: 'path' } }),
    }),
  },
  responses: {
    200: octets('Its bytes'),
    ...problemAnswers,
  },
})

/** A page that a program made is shown, but alone: no script of it reaches our origin. */
const sandbox =
  "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { id, name } = c.req.valid('param')
    const job = await findJob(deps, c.get('principal').project_id, id)
    const found = await openArtifact(deps, job.cached_from ?? job.id, name)
    if (!found) throw new AppError('not_found', `${job.id} has no artifact ${JSON.stringify(name)}.`)
    return c.body(found.body, 200, {
      'Content-Type': found.content_type,
      'Content-Length': String(found.bytes),
      'Content-Security-Policy': sandbox,
      'X-Content-Type-Options': 'nosniff',
      ETag: `"${found.sha256}"`,
    }) as never
  }
