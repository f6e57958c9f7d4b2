// From specs to jobs that can be stored: targets and files are checked, and each is estimated.
import { cacheKey } from './cache.ts'
import type { Deps } from './deps.ts'
import { AppError, type Refusal, refusalOf } from './errors.ts'
import { type Estimate, openEstimates } from './estimate.ts'
import { readyDatasets } from './datasets.ts'
import { datasetOf } from './kinds/backtest.ts'
import type { DatasetRow } from './plan.ts'
import type { JobSpec } from './spec.ts'
import type { Prepared } from './submit.ts'
import { checkFileUrls, checkTargets } from './targets.ts'

/** A spec that was parsed, or what is wrong with it. */
export type Parsed = { spec: JobSpec } | { problem: Refusal }

/** One of each, in their order: what is wrong with one is said in its place. */
export async function prepareJobs(
  deps: Deps,
  project_id: string,
  parsed: readonly Parsed[],
): Promise<Prepared[]> {
  const specs = parsed.flatMap((each) => ('spec' in each ? [each.spec] : []))
  const estimate = await openEstimates(deps, project_id, specs)
  const datasets = await readyDatasets(deps.db, project_id, [
    ...new Set(specs.flatMap((spec) => datasetOf(spec) ?? [])),
  ])
  const known = { project_id, estimate, datasets }
  return parsed.map((each) => ('spec' in each ? prepare(deps, each.spec, known) : each))
}

interface Known {
  project_id: string
  estimate: (spec: JobSpec) => Estimate
  datasets: ReadonlyMap<string, DatasetRow>
}

function prepare(deps: Deps, spec: JobSpec, { project_id, estimate, datasets }: Known): Prepared {
  try {
    const dataset = checkDataset(spec, datasets)
    checkTargets(spec, deps.check_target)
    checkFileUrls(spec, deps.settings.local_data_dirs)
    const { warnings, estimated_micros, shards } = estimate(spec)
    const cache_key = keyOf(deps, project_id, spec, dataset)
    return { spec, warnings, estimated_micros, shards, cache_key, dataset_id: dataset?.id ?? null }
  } catch (error) {
    if (error instanceof AppError) return { problem: refusalOf(error) }
    throw error
  }
}

/** The dataset that a spec names, if it names one. Throws AppError invalid_request. */
function checkDataset(spec: JobSpec, datasets: Known['datasets']): DatasetRow | null {
  const id = datasetOf(spec)
  if (id === null) return null
  const row = datasets.get(id)
  if (!row) throw refusal('params.data.dataset', `${id} is no dataset of this project that is ready`)
  if (spec.params.execution?.fill === 'next_open' && row.columns && !row.columns.includes('open'))
    throw refusal(
      'params.execution.fill',
      `next_open needs a column open, which ${row.name} lacks: use "next_close"`,
    )
  return row
}

const refusal = (path: string, message: string) =>
  new AppError('invalid_request', `${path}: ${message}.`, { errors: [{ path, message }] })

/** The job whose result would be given at once; null: it would run. */
export async function cachedJob(deps: Deps, project_id: string, spec: JobSpec): Promise<string | null> {
  const id = datasetOf(spec)
  const dataset = id && (await readyDatasets(deps.db, project_id, [id])).get(id)
  const key = keyOf(deps, project_id, spec, dataset || null)
  if (key === null) return null
  const since = new Date(deps.clock.now().getTime() - deps.settings.cache_ttl_s * 1_000)
  const row = await deps.db
    .selectFrom('result_cache')
    .select('job_id')
    .where('project_id', '=', project_id)
    .where('key', '=', key)
    .where('created_at', '>', since)
    .executeTakeFirst()
  return row?.job_id ?? null
}

/** The key of its result. */
function keyOf(
  { settings }: Pick<Deps, 'settings'>,
  project_id: string,
  spec: JobSpec,
  dataset: DatasetRow | null,
): string | null {
  if (settings.cache_ttl_s === 0) return null
  return cacheKey(project_id, spec, settings.program_version(spec.kind), dataset)
}
