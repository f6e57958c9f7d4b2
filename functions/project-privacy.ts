// All of a project: taken along, or deleted.
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { deleteProject } from '../jobs/delete-project.ts'
import type { Deps } from '../jobs/deps.ts'
import { exportProject } from '../jobs/export-project.ts'
import { streamOf } from '../jobs/stream.ts'
import { actorOf } from './_auth.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idParam } from './_schemas.ts'

const tags = ['people']

export const exportRoute = createRoute({
  method: 'get',
  path: '/v1/project/export',
  operationId: 'exportProject',
  summary: 'All that is kept of the project, as lines of JSON (admin)',
  description:
    'A line for each thing, `{ type, data }`, whose `type` is project, member, invitation, key, secret, webhook, budget, policy, dataset, job, cost or audit. Of keys, secrets and webhooks it says all but the secret. Files of jobs are named with their addresses, and so is each job’s log.',
  tags,
  responses: {
    200: {
      description: 'The file',
      content: { 'application/x-ndjson': { schema: z.string() } },
    },
    ...problemAnswers,
  },
})

export const exportAll =
  (deps: Deps): RouteHandler<typeof exportRoute, Env> =>
  (c) => {
    const lines = streamOf(exportProject(deps, c.get('principal').project_id))
    const answer = c.body(lines.pipeThrough(new TextEncoderStream()), 200, {
      'Content-Type': 'application/x-ndjson',
      'Content-Disposition': 'attachment; filename="project.ndjson"',
      'Cache-Control': 'no-store',
    })
    // The types take whatever ends in "json" for one value.
    return answer as never
  }

export const deleteRoute = createRoute({
  method: 'delete',
  path: '/v1/projects/{id}',
  operationId: 'deleteProject',
  summary: 'Delete a project with all that it has (its owner, or an operator)',
  description:
    'Nobody gets in from then on: keys are revoked, people belong to it no more. Jobs, files, logs, datasets, secrets and webhooks are removed within minutes, and cannot be had back; what was paid, and the audit log, stay. Refused while jobs have not ended, unless they are to be cancelled.',
  tags,
  request: {
    params: idParam,
    query: z.strictObject({
      cancel_jobs: z
        .enum(['true', 'false'])
        .default('false')
        .meta({ description: 'Cancel the jobs that have not ended.' }),
    }),
  },
  responses: {
    202: {
      description: 'It is being removed',
      content: {
        'application/json': {
          schema: z
            .object({
              id: z.string(),
              deleted_at: z.iso.datetime(),
              cancelled: z.int().meta({ description: 'Jobs that were told to end.' }),
            })
            .meta({ id: 'ProjectDeletion' }),
        },
      },
    },
    ...problemAnswers,
  },
})

export const remove =
  (deps: Deps): RouteHandler<typeof deleteRoute, Env> =>
  async (c) => {
    const cancel_jobs = c.req.valid('query').cancel_jobs === 'true'
    const { id } = c.req.valid('param')
    return c.json(await deleteProject(deps, actorOf(c, deps), { id, cancel_jobs }), 202)
  }
