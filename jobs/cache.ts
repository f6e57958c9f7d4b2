// Which jobs have one result. Pure.
import { canonicalSha256 } from './canonical.ts'
import type { DatasetRow, JobRow } from './plan.ts'
import { benchmarkFile, type BacktestParams } from './kinds/backtest.ts'
import type { TrainingParams } from './kinds/training.ts'
import type { JobSpec } from './spec.ts'

/** `auto` takes a result of either class; a result of a class is one for `auto` too. */
type DeviceWish = 'cpu' | 'cuda' | 'auto'

/**
 * Equal for jobs whose results are equal byte for byte: project, kind, params, the content of every file, the version
 * of the program, and the class of device. null: nobody can tell, or it is not wanted.
 */
export function cacheKey(
  project_id: string,
  spec: JobSpec,
  program: string | null,
  dataset: Pick<DatasetRow, 'sha256' | 'format' | 'reading'> | null,
): string | null {
  // What a program of the user's own does with equal params nobody knows.
  if (spec.kind === 'custom' || !spec.cache || program === null) return null
  // A dataset is its content and how that is read, whatever it is called.
  const known = dataset && contentOf(dataset)
  const work = spec.kind === 'backtest' ? backtestWork(spec.params, known) : trainingWork(spec.params, known)
  if (work === null) return null
  return `${canonicalSha256({ project_id, kind: spec.kind, program, ...work })}/${wishOf(spec.resources)}`
}

/** The params with contents for addresses; null: one of them may change under its address. */
function backtestWork(params: BacktestParams, dataset: Content | null) {
  const { data, strategy, benchmark: _, ...rest } = params
  const contents = contentsOf(params)
  if (contents === null) return null
  return {
    rest,
    benchmark: contents.benchmark,
    data: { ...data, files: contents.files, dataset: dataset ?? data.dataset },
    strategy: {
      ...strategy,
      signals: contents.signals,
      predictions: strategy.predictions && { ...strategy.predictions, url: null },
    },
  }
}

/** The same of a training. */
function trainingWork(params: TrainingParams, dataset: Content | null) {
  const { data, table, tracking, ...rest } = params
  // A run that is to be told elsewhere must run.
  if (tracking) return null
  const files = data?.files?.map(({ sha256 }) => sha256 ?? null) ?? []
  if (files.includes(null) || (table && table.sha256 === undefined)) return null
  const { url: _, ...reading } = table ?? {}
  return {
    rest,
    data: data ? { ...data, files, dataset: dataset ?? data.dataset } : null,
    table: table ? reading : null,
  }
}

type Content = Pick<DatasetRow, 'sha256' | 'format' | 'reading'>
const contentOf = ({ sha256, format, reading }: Content): Content => ({
  sha256,
  format,
  reading,
})

/** The contents that a spec names; null: one of them may change under its address. */
function contentsOf(params: BacktestParams) {
  const { data, strategy } = params
  const file = benchmarkFile(params)
  const files = data.files?.map(({ sha256 }) => sha256 ?? null) ?? []
  const signals = strategy.signals?.sha256 ?? null
  const named = [strategy.signals, strategy.predictions, file]
  const isOpen = named.some((each) => each && each.sha256 === undefined)
  if (files.includes(null) || isOpen) return null
  const benchmark = file ? { sha256: file.sha256 } : (params.benchmark ?? null)
  return { files: files.filter((hash) => hash !== null), signals, benchmark }
}

function wishOf({ device, gpu }: JobSpec['resources']): DeviceWish {
  if (device === 'cpu') return 'cpu'
  return gpu || device.startsWith('cuda') ? 'cuda' : 'auto'
}

/** The keys under which the result of a job is kept: for its own wish, for its class of device, and for any. */
export function keysOfResult({
  cache_key,
  device_class,
}: Pick<JobRow, 'cache_key' | 'device_class'>): string[] {
  const base = cache_key?.split('/')[0]
  if (!base || !cache_key) return []
  return [...new Set([cache_key, `${base}/auto`, ...(device_class ? [`${base}/${device_class}`] : [])])]
}

/** Whether a job has ended with the whole result, and not with the best so far or what some parts made. */
export function isWhole({
  state,
  outcome,
  shards_failed,
}: Pick<JobRow, 'state' | 'outcome' | 'shards_failed'>) {
  return state === 'succeeded' && outcome === 'succeeded' && shards_failed === 0
}
