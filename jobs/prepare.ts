// From specs to jobs that can be stored: targets and files are checked, and each is estimated.
import { cacheKey } from './cache.ts'
import type { Deps } from './deps.ts'
import { AppError, type Refusal, refusalOf } from './errors.ts'
import { type Estimate, openEstimates } from './estimate.ts'
import { readyDatasets } from './datasets.ts'
import { createGroup } from './group.ts'
import { namesTag, pinImages, type Pinned } from './images.ts'
import { datasetOf } from './kinds/kind.ts'
import type { Grant } from './keys.ts'
import { createMarket } from './market.ts'
import type { DatasetRow } from './plan.ts'
import type { JobSpec } from './spec.ts'
import { checkSecrets, knownSecrets, type KnownSecrets } from './secrets.ts'
import type { Prepared } from './submit.ts'
import { checkFileUrls, checkTargets } from './targets.ts'

/** A spec that was parsed, or what is wrong with it. */
export type Parsed = { spec: JobSpec } | { problem: Refusal }

/** One of each, in their order: what is wrong with one is said in its place. */
export type Preparation = (
  { project_id, changes }: Pick<Grant, 'project_id' | 'changes'>,
  parsed: readonly Parsed[],
) => Promise<Prepared[]>

/** Specs in one look: a thousand estimates take some tens of milliseconds. */
const mostSpecs = 1_000

/** Prepares what comes meanwhile with one look at the offers, and with the last one where nothing has changed. */
export function createPreparation(deps: Deps): Preparation {
  const market = createMarket(deps)
  const group = createGroup<Request, Prepared[]>({
    name: 'submits',
    clock: deps.clock,
    gather: deps.gather,
    weigh: ({ parsed }) => parsed.length,
    most_weight: mostSpecs,
    async run(requests) {
      const wanted = requests.flatMap(({ project_id, parsed }) =>
        parsed.flatMap((each) => ('spec' in each ? [{ project_id, spec: each.spec }] : [])),
      )
      const estimate = await openEstimates(
        deps,
        await market(Math.max(...requests.map(({ changes }) => changes))),
        wanted,
      )
      const named = new Set(wanted.flatMap(({ spec }) => datasetOf(spec) ?? []))
      const datasets = await readyDatasets(deps.db, [...named])
      const secrets = await knownSecrets(deps.db, wanted)
      return requests.map(({ project_id, parsed }) => ({
        value: parsed.map((each) =>
          'spec' in each ? prepare(deps, each, { project_id, estimate, datasets, secrets }) : each,
        ),
      }))
    },
  })
  // Not with the group: a slow registry keeps nobody waiting but who named it.
  return async ({ project_id, changes }, parsed) => {
    if (!parsed.some(namesTag)) return group({ project_id, changes, parsed })
    return group({ project_id, changes, parsed: await pinImages(deps, project_id, parsed) })
  }
}

interface Request extends Pick<Grant, 'project_id' | 'changes'> {
  parsed: readonly Pinned[]
}

interface Known {
  project_id: string
  estimate: (spec: JobSpec) => Estimate
  /** By id, of any project. */
  datasets: ReadonlyMap<string, DatasetRow>
  secrets: KnownSecrets
}

function prepare(
  deps: Deps,
  { spec, warnings: noted = [] }: Exclude<Pinned, { problem: Refusal }>,
  { project_id, estimate, datasets, secrets }: Known,
): Prepared {
  try {
    const dataset = checkDataset(project_id, spec, datasets)
    checkSecrets(project_id, spec, secrets)
    checkTargets(spec, deps.check_target)
    checkFileUrls(spec, deps.settings.local_data_dirs)
    const { warnings, estimated_micros, shards } = estimate(spec)
    const cache_key = keyOf(deps, project_id, spec, dataset)
    return {
      spec,
      warnings: [...noted, ...warnings],
      estimated_micros,
      shards,
      cache_key,
      dataset_id: dataset?.id ?? null,
    }
  } catch (error) {
    if (error instanceof AppError) return { problem: refusalOf(error) }
    throw error
  }
}

/** The dataset that a spec names, if it names one. Throws AppError invalid_request. */
function checkDataset(project_id: string, spec: JobSpec, datasets: Known['datasets']): DatasetRow | null {
  const id = datasetOf(spec)
  if (id === null) return null
  const row = datasets.get(id)
  if (row?.project_id !== project_id)
    throw refusal('params.data.dataset', `${id} is no dataset of this project that is ready`)
  const lacksOpen = row.columns && !row.columns.includes('open')
  if (spec.kind === 'training' && spec.params.target?.entry === 'next_open' && lacksOpen)
    throw refusal(
      'params.target.entry',
      `next_open needs a column open, which ${row.name} lacks: use "close"`,
    )
  if (spec.kind === 'backtest' && spec.params.execution?.fill === 'next_open' && lacksOpen)
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
  const dataset = id === null ? undefined : (await readyDatasets(deps.db, [id])).get(id)
  const key = keyOf(deps, project_id, spec, dataset?.project_id === project_id ? dataset : null)
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
