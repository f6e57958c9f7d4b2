// What runners say: recorded as facts under the shard's lock; the pass decides what they mean.
import { z } from 'zod'
import type { BacktestParams } from './kinds/backtest.ts'
import type { TrainingParams } from './kinds/training.ts'
import { inputsOf } from './kinds/kind.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { mergeInputs } from './artifacts.ts'
import { type DatasetInput, datasetInput } from './datasets.ts'
import { AppError } from './errors.ts'
import type { Beat } from './heartbeats.ts'
import { stopGrace_s } from './bounds.ts'
import { type AttemptRow } from './plan.ts'
import { maxPartialPoints, maxPoints, reportedPoints, writePartialPoints, writePoints } from './points.ts'
import { errorCodes } from './state.ts'
import { maskOf, openSecrets } from './secrets.ts'
import type { JobSpec } from './spec.ts'
import type { Finished, Tx } from './store/schema.ts'
import { adoptedInstance, isQuarantined, meetUnknownRunner } from './restore.ts'
import { readToken } from './tokens.ts'

const figure = z.number().nullable()
const machine = z
  .object({
    cpu: figure.optional(),
    memory: figure.optional(),
    gpus: z
      .array(
        z.object({
          utilization: figure.optional(),
          memory_used_gib: figure.optional(),
          temperature_c: figure.optional(),
          power_w: figure.optional(),
        }),
      )
      .max(64)
      .optional(),
  })
  .catchall(z.unknown())
const artifact = z.object({
  name: z.string().max(255),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
})

export const report = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('started'),
      instance: z.string().min(1).max(100),
      host: z.unknown().optional(),
    }),
    z.object({
      type: z.literal('heartbeat'),
      progress: z.number().min(0).max(1).nullable().optional(),
      phase: z.string().max(64).nullable().optional(),
      step: figure.optional(),
      steps: figure.optional(),
      metrics: z.record(z.string().max(64), z.unknown()).optional(),
      machine: machine.nullable().optional(),
      points: reportedPoints(maxPartialPoints).optional(),
    }),
    z.object({ type: z.literal('preempting'), at: z.string().max(64).optional() }),
    z.object({ type: z.literal('checkpoint'), ...artifact.shape }),
    z.object({
      type: z.literal('finished'),
      exit_code: z.int().nullable(),
      failure: z.enum(errorCodes).nullable(),
      error: z
        .object({ message: z.string().max(8_192), hint: z.string().max(2_048).nullable().optional() })
        .catchall(z.unknown())
        .nullable()
        .optional(),
      result: z.unknown().optional(),
      points: reportedPoints(maxPoints).optional(),
      artifacts: z.array(artifact).max(1_000).optional(),
    }),
  ])
  .meta({ id: 'Report' })
export type Report = z.infer<typeof report>
export type Heartbeat = Extract<Report, { type: 'heartbeat' }>

export interface ReportAnswer {
  stop?: { reason: string; grace_ms: number }
  next_heartbeat_ms: number
}

/** The attempt that a runner's token speaks for. Throws AppError: unauthorized, attempt_over, quarantined. */
export async function attemptOfToken(deps: Deps, attempt_id: string, token: string): Promise<AttemptRow> {
  const bearer = readToken(deps.runner_key, attempt_id, token)
  const row =
    bearer &&
    (await deps.db.selectFrom('attempts').selectAll().where('id', '=', attempt_id).executeTakeFirst())
  if (bearer && !row) await meetUnknownRunner(deps, bearer)
  if (!row || row.nonce !== bearer?.nonce)
    throw new AppError('unauthorized', 'This is not the token of this attempt.')
  if (row.outcome && row.finished_version === null)
    throw new AppError('attempt_over', `${attempt_id} is over: ${row.outcome}.`)
  return row
}

/** Records one report; the same again changes nothing. Throws AppError: superseded, attempt_over, busy. */
export async function recordReport(
  deps: Deps,
  beat: Beat,
  attempt: AttemptRow,
  said: Report,
  isGone?: () => boolean,
): Promise<void> {
  const now = deps.clock.now()
  if (attempt.instance === null && said.type !== 'started' && !isOfMachine(said)) {
    // A restored database may not hold the start that it once acknowledged.
    if (!(await isQuarantined(deps, now)))
      throw new AppError('invalid_request', 'The first report of a runner is "started".')
    await recordFact(deps, attempt, { type: 'started', instance: adoptedInstance }, now)
  }
  if (said.type === 'heartbeat') {
    await beat(attempt, said, isGone)
    if (said.points) await writePartialPoints(deps, attempt, said.points)
    return deps.waker.wake(topics.job(attempt.job_id))
  }
  if (said.type !== 'finished' || !said.error) return recordFact(deps, attempt, said, now)
  // Its last words are often the end of its output.
  const mask = await maskOf(deps, attempt)
  const error = { ...said.error, message: mask(said.error.message) }
  await recordFact(deps, attempt, { ...said, error }, now)
}

/** A machine says itself that its runner does not come up: no image, no driver. */
const isOfMachine = (said: Report): boolean => said.type === 'finished' && said.failure !== null

/** What a runner is told with every answer. */
export function answer(attempt: Pick<AttemptRow, 'stop_reason'>, next_heartbeat_ms: number): ReportAnswer {
  const stop = attempt.stop_reason ? { reason: attempt.stop_reason, grace_ms: stopGrace_s * 1_000 } : null
  return { ...(stop ? { stop } : {}), next_heartbeat_ms }
}

/** The spec as the runner fetches it (docs/contracts.md §6), without what every answer carries. */
export async function runnerSpec(deps: Deps, attempt: AttemptRow) {
  const job = await deps.db
    .selectFrom('jobs')
    .select(['kind', 'spec', 'shards_total', 'dataset_id'])
    .where('id', '=', attempt.job_id)
    .executeTakeFirstOrThrow()
  const shard = await deps.db
    .selectFrom('shards')
    .select(['index', 'role', 'checkpoint'])
    .where('id', '=', attempt.shard_id)
    .executeTakeFirstOrThrow()
  const { checkpoint } = shard
  const data = job.dataset_id === null ? null : await datasetInput(deps, attempt, job.dataset_id)
  return {
    kind: job.kind,
    params: data && job.spec.kind !== 'custom' ? withFiles(job.spec.params, data) : job.spec.params,
    ...(await programOf(deps, attempt.project_id, job.spec)),
    device: attempt.device,
    ...gpuOf(attempt, job.spec),
    shard: { index: shard.index, of: job.shards_total, role: shard.role },
    inputs: [
      ...inputsOf(job.spec),
      ...(data ? [data.input] : []),
      ...(shard.role === 'merge' ? await mergeInputs(deps, attempt) : []),
    ],
    checkpoint: checkpoint && { url: `/v1/attempts/${attempt.id}/checkpoint`, sha256: checkpoint.sha256 },
    timeout_s: attempt.timeout_s,
    grace_ms: stopGrace_s * 1_000,
    memory_gib: job.spec.resources.memory_gib,
    // Backtests take what cores there are: their work is the same on any number.
    ...(job.kind === 'training' ? { cpu: job.spec.resources.cpu } : {}),
  }
}

/** What a runner must find on its machine before the program starts; nothing where no GPU was placed. */
function gpuOf({ request }: AttemptRow, { resources }: JobSpec) {
  const { gpu } = request.offer
  return gpu ? { gpu: { count: gpu.count, memory_gib: resources.gpu?.memory_gib ?? null } } : {}
}

/** What a custom job runs, its secrets opened: for the runner alone, which keeps them in memory. */
async function programOf(deps: Deps, project_id: string, spec: JobSpec) {
  if (spec.kind !== 'custom') return {}
  const { command, env, secrets, outputs } = spec.params
  const opened = await openSecrets(deps, project_id, secrets)
  return { program: { command, env: { ...env, ...opened }, outputs } }
}

type Priced = BacktestParams | TrainingParams

/** The same params with the dataset as a file that the runner brings. */
function withFiles(params: Priced, { input, reading }: DatasetInput): Priced {
  const { dataset: _, ...data } = params.data ?? {}
  return { ...params, data: { ...data, ...reading, files: [{ url: input.url, sha256: input.sha256 }] } }
}

async function recordFact(
  deps: Deps,
  attempt: AttemptRow,
  said: Exclude<Report, { type: 'heartbeat' }>,
  now: Date,
) {
  await deps.db.transaction().execute(async (tx) => {
    const shard = await tx
      .selectFrom('shards')
      .select(['id', 'facts_version'])
      .where('id', '=', attempt.shard_id)
      .forNoKeyUpdate()
      .executeTakeFirstOrThrow()
    const row = await tx
      .selectFrom('attempts')
      .selectAll()
      .where('id', '=', attempt.id)
      .executeTakeFirstOrThrow()
    const changed = await record(tx, row, said, { now, version: shard.facts_version + 1 })
    if (!changed) return
    await tx
      .updateTable('shards')
      .set({ facts_version: shard.facts_version + 1, due_at: now })
      .where('id', '=', shard.id)
      .execute()
  })
  deps.waker.wake(topics.pass)
}

/** Writes the fact; false when it was known already. */
async function record(
  tx: Tx,
  row: AttemptRow,
  said: Exclude<Report, { type: 'heartbeat' }>,
  at: { now: Date; version: number },
): Promise<boolean> {
  const write = (values: object) =>
    tx
      .updateTable('attempts')
      .set(values)
      .where('id', '=', row.id)
      .execute()
      .then(() => true)
  if (said.type === 'started') {
    if (row.instance === said.instance) return false
    if (row.instance !== null)
      throw new AppError('superseded', 'Another runner has bound this attempt: end this machine.')
    if (row.outcome) throw new AppError('attempt_over', `${row.id} is over: ${row.outcome}.`)
    return write({ instance: said.instance, host: JSON.stringify(said.host ?? {}), bound_at: at.now })
  }
  if (row.outcome && row.finished_version === null)
    throw new AppError('attempt_over', `${row.id} is over: ${row.outcome}.`)
  switch (said.type) {
    case 'preempting':
      return row.preempting_at ? false : write({ preempting_at: at.now })
    case 'checkpoint':
      return recordCheckpoint(tx, row, said)
    case 'finished':
      if (row.finished_version !== null) return false
      if (said.points && said.points.length > 0) await writePoints(tx, row, said.points)
      return write({
        finished: JSON.stringify(finishedOf(said)),
        finished_at: at.now,
        finished_version: at.version,
        device: usedDevice(row.device, said.result),
      })
  }
}

function finishedOf({ exit_code, failure, error, result }: Extract<Report, { type: 'finished' }>): Finished {
  return {
    exit_code,
    failure,
    error: error ? { message: error.message, hint: error.hint ?? null } : null,
    result: result ?? null,
  }
}

/** A program that found no use for its GPU says so; how it counts its GPUs is its own affair. */
function usedDevice(given: string | null, result: unknown): string | null {
  const { engine } = (result ?? {}) as { engine?: { device?: unknown } | null }
  return engine?.device === 'cpu' ? 'cpu' : given
}

async function recordCheckpoint(
  tx: Tx,
  row: AttemptRow,
  said: Extract<Report, { type: 'checkpoint' }>,
): Promise<boolean> {
  const stored = await tx
    .selectFrom('artifacts')
    .select(['object_key', 'sha256', 'bytes'])
    .where('attempt_id', '=', row.id)
    .where('name', '=', said.name)
    // A replacement waits: it must see that what it replaces has become the checkpoint.
    .forUpdate()
    .executeTakeFirst()
  if (!stored || stored.sha256 !== said.sha256)
    throw new AppError('checksum_mismatch', `Checkpoint ${said.name} was not uploaded with this sha256.`)
  const checkpoint = { name: said.name, ...stored }
  await tx
    .updateTable('shards')
    .set({ checkpoint: JSON.stringify(checkpoint) })
    .where('id', '=', row.shard_id)
    .execute()
  await tx
    .updateTable('artifacts')
    .set({ purpose: 'checkpoint' })
    .where('attempt_id', '=', row.id)
    .where('name', '=', said.name)
    .execute()
  return true
}
