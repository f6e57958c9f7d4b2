import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { canonicalSha256 } from '../jobs/canonical.ts'
import type { Deps } from '../jobs/deps.ts'
import { estimate } from '../jobs/estimate.ts'
import { readJob } from '../jobs/read.ts'
import { jobSpec } from '../jobs/spec.ts'
import { submitJob } from '../jobs/submit.ts'
import { checkFileUrls, checkTargets } from '../jobs/targets.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { jobSchema, json200 } from './_schemas.ts'
import { waitForEnd } from './_wait.ts'

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs',
  operationId: 'createJob',
  summary: 'Submit a job',
  tags: ['jobs'],
  request: {
    headers: z.object({
      'idempotency-key': z
        .string()
        .min(1)
        .max(255)
        .optional()
        .meta({ description: 'The same key and body within 24 h answer with the same job.' }),
    }),
    query: z.object({
      wait_s: z.coerce
        .number()
        .min(0)
        .max(60)
        .default(0)
        .meta({ description: 'Answer when the job has ended, or after that time.' }),
    }),
    body: { required: true, content: { 'application/json': { schema: jobSpec } } },
  },
  responses: {
    200: json200(jobSchema, 'The job that this key made before'),
    201: json200(jobSchema, 'The job'),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const spec = c.req.valid('json')
    const key = c.req.valid('header')['idempotency-key']
    checkTargets(spec, deps.check_target)
    checkFileUrls(spec, deps.settings.local_data_dirs)
    const { warnings, estimated_micros, shards } = await estimate(deps, project_id, spec)
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(await c.req.json()) }
    const { job_id, replayed } = await submitJob(deps, project_id, spec, {
      idempotency,
      warnings,
      estimated_micros,
      shards,
    })
    await waitForEnd(deps, project_id, job_id, c.req.valid('query').wait_s)
    const job = await readJob(deps, project_id, job_id)
    c.header('Location', `/v1/jobs/${job_id}`)
    if (replayed) c.header('Idempotent-Replayed', 'true')
    return c.json(job, replayed ? 200 : 201)
  }
