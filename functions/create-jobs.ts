import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { canonicalSha256 } from '../jobs/canonical.ts'
import type { Deps } from '../jobs/deps.ts'
import { jobsOf } from '../jobs/idempotency.ts'
import type { Parsed, Preparation } from '../jobs/prepare.ts'
import { jobSpec } from '../jobs/spec.ts'
import type { Submit } from '../jobs/submit.ts'
import { viewJobs, viewNewJob } from '../jobs/view-jobs.ts'
import { checkJson, clientsBody } from './_body.ts'
import type { Env } from './_env.ts'
import { clientsFault, problemAnswers, problemBody, problemSchema } from './_problem.ts'
import { anyJson, idempotencyHeader, jobSchema, json200 } from './_schemas.ts'

/** Fits one transaction of a second or so. */
const maxJobs = 1_000

const batch = z
  .strictObject({
    jobs: z
      .array(anyJson)
      .min(1)
      .max(maxJobs)
      .openapi({ items: { $ref: '#/components/schemas/JobSpec' } }),
  })
  .meta({ id: 'JobBatch' })
const item = z
  .object({ index: z.int().min(0), job: jobSchema.optional(), problem: problemSchema.optional() })
  .meta({ id: 'JobBatchItem', description: 'A job, or the problem in its place.' })

export const route = createRoute({
  method: 'post',
  path: '/v1/jobs/batch',
  operationId: 'createJobs',
  summary: 'Submit up to 1,000 jobs; the valid ones are stored together',
  tags: ['jobs'],
  request: {
    headers: idempotencyHeader,
    body: { required: true, content: { 'application/json': { schema: batch } } },
  },
  responses: {
    200: json200(z.object({ items: z.array(item) }), 'One item for each job, in their order'),
    ...problemAnswers,
  },
})

export const handler =
  (deps: Deps, prepare: Preparation, submit: Submit): RouteHandler<typeof route, Env> =>
  async (c) => {
    const principal = c.get('principal')
    const { project_id } = principal
    const key = c.req.valid('header')['idempotency-key']
    const parsed = c.req.valid('json').jobs.map(parseSpec)
    const prepared = await prepare(principal, parsed)
    const idempotency = key === undefined ? null : { key, body_sha256: canonicalSha256(await c.req.json()) }
    const request = { by: principal, prepared, idempotency }
    const { items, replayed, jobs } = await submit(request, () => c.req.raw.signal.aborted)
    const ids = jobsOf(items)
    const read = await viewJobs(
      deps,
      project_id,
      ids.filter((id) => !jobs.has(id)),
    )
    const stored = ids.flatMap((id) => jobs.get(id) ?? []).map((job) => viewNewJob(deps, job, 'brief'))
    const views = new Map([...read, ...stored].map((job) => [job.id, job]))
    if (replayed) c.header('Idempotent-Replayed', 'true')
    const answers = items.map((made, index) => {
      if ('problem' in made) return { index, problem: problemBody(made.problem, c.get('request_id')) }
      return { index, job: views.get(made.job_id) }
    })
    return c.json({ items: answers }, 200)
  }

function parseSpec(value: unknown): Parsed {
  try {
    checkJson(value, clientsBody)
    return { spec: jobSpec.parse(value) }
  } catch (error) {
    const problem = clientsFault(error)
    if (problem) return { problem }
    throw error
  }
}
