import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { findArtifact } from '../jobs/artifacts.ts'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { findJob } from '../jobs/read.ts'
import type { Env } from './_env.ts'
import { objectAnswers, sendObject } from './_object.ts'
import { problemAnswers } from './_problem.ts'
import { idParam } from './_schemas.ts'

export const route = createRoute({
  method: 'get',
  path: '/v1/jobs/{id}/artifacts/{name}',
  operationId: 'readArtifact',
  summary: 'One file that a job produced',
  tags: ['jobs'],
  request: {
    params: idParam.extend({
      name: z
        .string()
        .max(255)
        .meta({ param: { name: 'name', in: 'path' } }),
    }),
  },
  responses: { ...objectAnswers, ...problemAnswers },
})

/** What a browser runs. */
const pages = /^(text\/html|image\/svg\+xml)\b/
/** A page that a program made is shown, but alone: no script of it reaches our origin. */
const sandbox =
  "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { id, name } = c.req.valid('param')
    const job = await findJob(deps, c.get('principal').project_id, id)
    const found = await findArtifact(deps, job.cached_from ?? job.id, name)
    const sent =
      found &&
      (await sendObject(c, deps.store, found, {
        // The store would show a page on an origin of its own and without this.
        redirect: !pages.test(found.content_type),
        headers: {
          'Content-Security-Policy': sandbox,
          'X-Content-Type-Options': 'nosniff',
          ETag: `"${found.sha256}"`,
        },
      }))
    if (!sent) throw new AppError('not_found', `${job.id} has no artifact ${JSON.stringify(name)}.`)
    return sent as never
  }
