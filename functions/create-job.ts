import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { canonicalSha256 } from '../jobs/canonical.ts'
import type { Deps } from '../jobs/deps.ts'
import { AppError, type Refusal } from '../jobs/errors.ts'
import type { Made } from '../jobs/idempotency.ts'
import type { Preparation } from '../jobs/prepare.ts'
import { readJob } from '../jobs/read.ts'
import { jobSpec } from '../jobs/spec.ts'
import type { Submit } from '../jobs/submit.ts'
import { viewNewJob } from '../jobs/view-jobs.ts'
import type { Env } from './_env.ts'
import { problemAnswers } from './_problem.ts'
import { idempotencyHeader, jobSchema, json200 } from './_schemas.ts'
import { waitForEnd } from './_wait.ts'

/** A spec that the handler parses: a check of the route's may wait, for which Zod takes a slower way. */
const unparsed = z.unknown().openapi({ $ref: '#/components/schemas/JobSpec' } as object) as z.ZodType<
  unknown,
  z.input<typeof jobSpec>
>

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
    body: { required: true, content: { 'application/json': { schema: unparsed } } },
  },
  responses: {
    200: json200(jobSchema, 'The job that this key made before'),
    201: json200(jobSchema, 'The job'),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps, prepare: Preparation, submit: Submit): RouteHandler<typeof route, Env> =>
  async (c) => {
    const principal = c.get('principal')
    const { project_id } = principal
    const key = c.req.valid('header')['idempotency-key']
    const body = c.req.valid('json')
    const prepared = await prepare(principal, [{ spec: jobSpec.parse(body) }])
    for (const each of prepared) if ('problem' in each) throw refused(each.problem)
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(body) }
    const request = { by: principal, prepared, idempotency }
    const { items, replayed, jobs } = await submit(request, () => c.req.raw.signal.aborted)
    const job_id = onlyJob(items)
    const { wait_s } = c.req.valid('query')
    await waitForEnd(deps, project_id, job_id, wait_s)
    const stored = wait_s > 0 ? undefined : jobs.get(job_id)
    const job = stored ? viewNewJob(deps, stored, 'whole') : await readJob(deps, project_id, job_id)
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
