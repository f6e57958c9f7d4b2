// What a runner is to do, as it fetches it.
import { sql } from 'kysely'
import type { Offer } from '../providers/provider.ts'
import { mergeInputs } from './artifacts.ts'
import { stopGrace_s } from './bounds.ts'
import { type DatasetInput, datasetInput } from './datasets.ts'
import type { Deps } from './deps.ts'
import type { BacktestParams } from './kinds/backtest.ts'
import { inputsOf } from './kinds/kind.ts'
import type { TrainingParams } from './kinds/training.ts'
import type { AttemptRow, JobRow, ShardRow } from './plan.ts'
import { attemptColumns, type RunnerAttempt } from './report.ts'
import { runLeft } from './run-bound.ts'
import { openSecrets } from './secrets.ts'
import type { JobSpec } from './spec.ts'
import { readTogether, wholeJob } from './together.ts'

/** What was launched, and with what. */
export type Launched = RunnerAttempt &
  Pick<AttemptRow, 'timeout_s' | 'paid_s' | 'first_called_at' | 'device'> &
  Pick<JobRow, 'kind' | 'spec' | 'shards_total' | 'dataset_id'> &
  Pick<ShardRow, 'index' | 'role' | 'checkpoint'> &
  Pick<Offer, 'gpu'>

export const readLaunched = readTogether<string, Launched | undefined>(
  async (db, ids) => {
    const { rows } = await sql<Launched>`/* read launched */
      select ${attemptColumns}, attempts.timeout_s, attempts.paid_s, attempts.first_called_at, attempts.device, attempts.request -> 'offer' -> 'gpu' as gpu,
        jobs.spec, jobs.shards_total, jobs.dataset_id, shards.index, shards.role, shards.checkpoint
      from attempts join shards on shards.id = attempts.shard_id join jobs on jobs.id = attempts.job_id
      where attempts.id = any((select ${[...new Set(ids)]}::text[])::text[])`.execute(db)
    const found = new Map(rows.map((row) => [row.id, row]))
    return ids.map((id) => found.get(id))
  },
  () => wholeJob,
)

/** The spec as the runner fetches it (docs/contracts.md §6), without what every answer carries. */
export async function runnerSpec(deps: Deps, job: Launched) {
  const { checkpoint } = job
  const data = job.dataset_id === null ? null : await datasetInput(deps, job, job.dataset_id)
  return {
    kind: job.kind,
    params: data && job.spec.kind !== 'custom' ? withFiles(job.spec.params, data) : job.spec.params,
    ...(await programOf(deps, job.project_id, job.spec)),
    device: job.device,
    ...gpuOf(job),
    shard: { index: job.index, of: job.shards_total, role: job.role },
    inputs: [
      ...inputsOf(job.spec),
      ...(data ? [data.input] : []),
      ...(job.role === 'merge' ? await mergeInputs(deps, job) : []),
    ],
    checkpoint: checkpoint && { url: `/v1/attempts/${job.id}/checkpoint`, sha256: checkpoint.sha256 },
    timeout_s: runLeft(job, deps.clock.now()),
    grace_ms: stopGrace_s * 1_000,
    memory_gib: job.spec.resources.memory_gib,
    // Backtests take what cores there are: their work is the same on any number.
    ...(job.kind === 'training' ? { cpu: job.spec.resources.cpu } : {}),
  }
}

/** What a runner must find on its machine before the program starts; nothing where no GPU was placed. */
function gpuOf({ gpu, spec: { resources } }: Launched) {
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
