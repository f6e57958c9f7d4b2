// What runners call, with their own token (docs/contracts.md §6).
import { createRoute, type RouteHandler, z } from '@hono/zod-openapi'
import { findCheckpoint, findMergeInput, isArtifactName, storeArtifact } from '../jobs/artifacts.ts'
import { findJobDataset } from '../jobs/datasets.ts'
import type { Deps } from '../jobs/deps.ts'
import { AppError } from '../jobs/errors.ts'
import { type AppendLog, logChunk } from '../jobs/logs.ts'
import { answer, attemptOfToken, checkToken, type Recording, recordReport } from '../jobs/report.ts'
import { report } from '../jobs/report-schema.ts'
import { readLaunched, runnerSpec } from '../jobs/runner-spec.ts'
import { shellSpec } from '../jobs/shell-spec.ts'
import { bearer } from './_auth.ts'
import { fromBase64 } from './_base64.ts'
import { bodyOf } from './_body.ts'
import type { Env } from './_env.ts'
import { objectAnswers, sendObject } from './_object.ts'
import { problemAnswers } from './_problem.ts'
import { anyJson, idParam, json200, octetBody } from './_schemas.ts'

const tags = ['runner']
const stop = z.object({ reason: z.string(), grace_ms: z.int() }).optional()
const answered = z.object({ stop, next_heartbeat_ms: z.int() }).meta({ id: 'RunnerAnswer' })

export const specRoute = createRoute({
  method: 'get',
  path: '/v1/attempts/{id}/spec',
  operationId: 'fetchSpec',
  summary: 'What a runner is to do',
  tags,
  request: {
    params: idParam,
    query: z.strictObject({
      format: z
        .enum(['json', 'sh'])
        .default('json')
        .meta({ description: '`sh`: of a custom job, as assignments for the runner in POSIX sh.' }),
    }),
  },
  responses: { 200: json200(z.record(z.string(), anyJson), 'The spec'), ...problemAnswers },
})

/** How long the next report may take, now. */
type Pace = () => Promise<number>

export const fetchSpec =
  (deps: Deps, pace: Pace): RouteHandler<typeof specRoute, Env> =>
  async (c) => {
    const launched = await checkToken(deps, c.req.valid('param').id, bearer(c), readLaunched)
    const spec = await runnerSpec(deps, launched)
    if (c.req.valid('query').format === 'sh') {
      if (!spec.program) throw new AppError('invalid_request', 'Only custom jobs have a spec for shells.')
      return c.text(shellSpec({ ...spec, program: spec.program })) as never
    }
    return c.json({ ...spec, ...answer(launched, await pace()) } as never, 200)
  }

export const reportRoute = createRoute({
  method: 'post',
  path: '/v1/attempts/{id}/report',
  operationId: 'reportAttempt',
  summary: 'A runner reports',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: report } } },
  },
  responses: { 200: json200(answered, 'Recorded'), ...problemAnswers },
})

export const reportAttempt =
  (deps: Deps, pace: Pace, recording: Recording): RouteHandler<typeof reportRoute, Env> =>
  async (c) => {
    const by = { id: c.req.valid('param').id, token: bearer(c) }
    const isGone = () => c.req.raw.signal.aborted
    const attempt = await recordReport(deps, recording, by, c.req.valid('json'), isGone)
    return c.json(answer(attempt, await pace()), 200)
  }

export const logsRoute = createRoute({
  method: 'post',
  path: '/v1/attempts/{id}/logs',
  operationId: 'appendLogs',
  summary: 'A runner sends the next chunk of its log',
  tags,
  request: {
    params: idParam,
    body: { required: true, content: { 'application/json': { schema: logChunk } } },
  },
  responses: { 200: json200(answered, 'Durable'), ...problemAnswers },
})

export const appendLogs =
  (deps: Deps, pace: Pace, appendLog: AppendLog): RouteHandler<typeof logsRoute, Env> =>
  async (c) => {
    const attempt = await attemptOfToken(deps, c.req.valid('param').id, bearer(c))
    await appendLog(attempt, c.req.valid('json'), () => c.req.raw.signal.aborted)
    return c.json(answer(attempt, await pace()), 200)
  }

const target = z.object({
  name: z.string(),
  method: z.literal('PUT'),
  url: z.string(),
  headers: z.record(z.string(), z.string()),
})

export const urlsRoute = createRoute({
  method: 'post',
  path: '/v1/attempts/{id}/urls',
  operationId: 'requestUrls',
  summary: 'Where a runner uploads its artifacts',
  tags,
  request: {
    params: idParam,
    body: {
      required: true,
      content: {
        'application/json': {
          schema: z.strictObject({ names: z.array(z.string().max(255)).min(1).max(1_000) }),
        },
      },
    },
  },
  responses: { 200: json200(z.object({ targets: z.array(target) }), 'The targets'), ...problemAnswers },
})

export const requestUrls =
  (deps: Deps): RouteHandler<typeof urlsRoute, Env> =>
  async (c) => {
    const attempt = await attemptOfToken(deps, c.req.valid('param').id, bearer(c))
    const { names } = c.req.valid('json')
    const bad = names.findIndex((name) => !isArtifactName(name))
    if (bad >= 0)
      throw new AppError('invalid_request', `names.${bad} is not an artifact name.`, {
        errors: [{ path: `names.${bad}`, message: 'is not an artifact name' }],
      })
    const targets = names.map((name) => ({
      name,
      method: 'PUT' as const,
      url: `/v1/attempts/${attempt.id}/artifacts/${encodeURIComponent(name)}`,
      headers: {},
    }))
    return c.json({ targets }, 200)
  }

export const putRoute = createRoute({
  method: 'put',
  path: '/v1/attempts/{id}/artifacts/{name}',
  operationId: 'putArtifact',
  summary: 'A runner uploads one artifact',
  tags,
  request: {
    params: idParam.extend({
      name: z
        .string()
        .max(255)
        .meta({ param: { name: 'name', in: 'path' } }),
    }),
    body: octetBody,
  },
  responses: {
    200: json200(z.object({ bytes: z.int(), sha256: z.string() }), 'Stored'),
    ...problemAnswers,
  },
})

export const putArtifact =
  (deps: Deps): RouteHandler<typeof putRoute, Env> =>
  async (c) => {
    const { id, name } = c.req.valid('param')
    const attempt = await attemptOfToken(deps, id, bearer(c))
    return c.json(await storeArtifact(deps, attempt, name, bodyOf(c)), 200)
  }

export const postRoute = createRoute({
  ...putRoute,
  method: 'post',
  operationId: 'postArtifact',
  summary: 'The same as base64, by runners that can neither PUT nor send any byte',
  request: {
    params: putRoute.request.params,
    body: { content: { 'text/plain': { schema: z.string() } } },
  },
})

export const postArtifact =
  (deps: Deps): RouteHandler<typeof postRoute, Env> =>
  async (c) => {
    const { id, name } = c.req.valid('param')
    const attempt = await attemptOfToken(deps, id, bearer(c))
    return c.json(await storeArtifact(deps, attempt, name, bodyOf(c).pipeThrough(fromBase64())), 200)
  }

export const checkpointRoute = createRoute({
  method: 'get',
  path: '/v1/attempts/{id}/checkpoint',
  operationId: 'readCheckpoint',
  summary: 'The checkpoint that a runner starts from',
  tags,
  request: { params: idParam },
  responses: { ...objectAnswers, ...problemAnswers },
})

export const readCheckpoint =
  (deps: Deps): RouteHandler<typeof checkpointRoute, Env> =>
  async (c) => {
    const attempt = await attemptOfToken(deps, c.req.valid('param').id, bearer(c))
    const found = await findCheckpoint(deps, attempt.shard_id)
    const sent = found && (await sendObject(c, deps.store, found))
    if (!sent) throw new AppError('not_found', 'There is no checkpoint.')
    return sent as never
  }

export const datasetRoute = createRoute({
  method: 'get',
  path: '/v1/attempts/{id}/dataset',
  operationId: 'readAttemptDataset',
  summary: 'The dataset that a job reads its prices from',
  tags,
  request: { params: idParam },
  responses: { ...objectAnswers, ...problemAnswers },
})

export const readDataset =
  (deps: Deps): RouteHandler<typeof datasetRoute, Env> =>
  async (c) => {
    const attempt = await attemptOfToken(deps, c.req.valid('param').id, bearer(c))
    const found = await findJobDataset(deps, attempt)
    const sent = found && (await sendObject(c, deps.store, { ...found, name: `data-0.${found.format}` }))
    if (!sent) throw new AppError('not_found', 'This job reads no dataset.')
    return sent as never
  }

export const mergeInputRoute = createRoute({
  method: 'get',
  path: '/v1/attempts/{id}/shards/{index}/{name}',
  operationId: 'readMergeInput',
  summary: 'A file of one of the parts that the runner of a merge joins',
  tags,
  request: {
    params: idParam.extend({
      index: z.coerce
        .number()
        .int()
        .min(0)
        .max(1_000)
        .meta({ param: { name: 'index', in: 'path' } }),
      name: z
        .string()
        .max(255)
        .meta({ param: { name: 'name', in: 'path' } }),
    }),
  },
  responses: { ...objectAnswers, ...problemAnswers },
})

export const readMergeInput =
  (deps: Deps): RouteHandler<typeof mergeInputRoute, Env> =>
  async (c) => {
    const { id, index, name } = c.req.valid('param')
    const attempt = await attemptOfToken(deps, id, bearer(c))
    const found = await findMergeInput(deps, attempt, index, name)
    const sent = found && (await sendObject(c, deps.store, found))
    if (!sent) throw new AppError('not_found', 'There is no such file of a part of this job.')
    return sent as never
  }
