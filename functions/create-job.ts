import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { canonicalSha256 } from '../jobs/canonical.ts'
import type { Deps } from '../jobs/deps.ts'
import type { Admission } from '../jobs/admission.ts'
import { AppError, type Refusal } from '../jobs/errors.ts'
import type { Made } from '../jobs/idempotency.ts'
import { prepareJobs } from '../jobs/prepare.ts'
import { readJob } from '../jobs/read.ts'
import { jobSpec } from '../jobs/spec.ts'
import { submitJobs } from '../jobs/submit.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idempotencyHeader, jobSchema, json200 } from './_schemas.ts'
import { waitForEnd } from './_wait.ts'

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs',
  operationId: 'createJob',
  summary: 'Submit a job',
  tags: ['jobs'],
  request: {
    headers: idempotencyHeader,
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
  (deps: Deps, admit: Admission): RouteHandler<typeof route, Env> =>
  async (c) => {
    const { project_id } = c.get('principal')
    const key = c.req.valid('header')['idempotency-key']
    const prepared = await prepareJobs(deps, project_id, [{ spec: c.req.valid('json') }])
    for (const each of prepared) if ('problem' in each) throw refused(each.problem)
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(await c.req.json()) }
    const { items, replayed } = await submitJobs(deps, admit, project_id, prepared, idempotency)
    const job_id = onlyJob(items)
    await waitForEnd(deps, project_id, job_id, c.req.valid('query').wait_s)
    const job = await readJob(deps, project_id, job_id)
    c.header('Location', `/v1/jobs/${job_id}`)
    if (replayed) c.header('Idempotent-Replayed', 'true')
    return c.json(job, replayed ? 200 : 201)
  }

function onlyJob(items: readonly Made[]): string {
  const [made] = items
  if (made && 'job_id' in made) return made.job_id
  throw made ? refused(made.problem) : new Error('a submit made nothing')
}

const refused = ({ code, detail, errors }: Refusal) => new AppError(code, detail, { errors })
