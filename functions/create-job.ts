import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { place } from '../jobs/place.ts'
import { readJob } from '../jobs/read.ts'
import { type JobSpec, jobSpec } from '../jobs/spec.ts'
import { canonicalSha256, submitJob } from '../jobs/submit.ts'
import type { Warning } from '../jobs/store/schema.ts'
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
    const warnings = satisfiable(deps, spec)
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(await c.req.json()) }
    const { job_id, replayed } = await submitJob(deps, project_id, spec, { idempotency, warnings })
    await waitForEnd(deps, project_id, job_id, c.req.valid('query').wait_s)
    const job = await readJob(deps, project_id, job_id)
    c.header('Location', `/v1/jobs/${job_id}`)
    if (replayed) c.header('Idempotent-Replayed', 'true')
    return c.json(job, replayed ? 200 : 201)
  }

/** Says when no configured offer could ever take the job; refuses it when it is strict. */
function satisfiable(deps: Deps, spec: JobSpec): Warning[] {
  const offers = deps.offers()
  const wanted = {
    resources: spec.resources,
    placement: spec.placement,
    excluded_providers: [],
    budget_micros: null,
  }
  const { ranked, rejected, can_wait } = place(wanted, offers, () => 0)
  if (ranked.length > 0 || can_wait) return []
  const reasons = [...new Set(rejected.map(({ reason }) => reason))]
  const message =
    offers.length === 0
      ? 'No provider offers anything at the moment: configure one, or wait.'
      : `None of ${offers.length} offers can ever take this job; they fail on ${reasons.join(', ')}.`
  if (spec.strict)
    throw new AppError('invalid_request', message, { errors: [{ path: 'resources', message }] })
  return [{ code: 'unsatisfiable', message }]
}
