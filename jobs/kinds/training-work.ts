// How much work a training is, before it runs: for estimates and for ranking by cost. Pure.
import type { Offer } from '../../providers/provider.ts'
import { canonicalSha256 } from '../canonical.ts'
import { samples } from './samples.ts'
import type { TrainingParams } from './training.ts'
import { usualFolds } from './training-parts.ts'

/**
 * Values (rows x features x rounds) a second of one core: docs/engine.md's figure of XGBoost, 1 M x 28 and 100 rounds
 * in 14.8 s on two cores. Others take about as long; an SVM grows faster than its rows, which history then knows.
 */
const valuesPerCore = 95_000_000
/** Seconds from the process's start to the first fit: the libraries are large. */
const start_s = 6
/** Trees gain less from each more core. */
const maxCores = 16
const usualRounds = 100
const usualTrials = 30
const barsPerYear = 252

/** Rows times features; null: the data is a file whose size is not known. `rows`: of a dataset. */
function matrixSize(params: TrainingParams, rows: number | null): number | null {
  const features = params.features?.length ?? 0
  const { dataset, symbols, start, end } = params.data ?? {}
  const sample = dataset === undefined ? undefined : samples[dataset]
  if (!sample) return rows && rows * Math.max(features, 1)
  const from = start && start > sample.first ? start : sample.first
  const to = end && end < sample.last ? end : sample.last
  const years = Math.max(0, Date.parse(to) - Date.parse(from)) / (365.25 * 86_400_000)
  return Math.ceil(years * barsPerYear * (symbols?.length ?? sample.symbols.length) * features)
}

/** Fits that a spec asks for at most: nested searches multiply. */
export function fitsOf({ search, validation = {}, ensemble }: TrainingParams): number {
  const trials = search ? trialFits(search) : 0
  const outer = search?.nested === false ? 0 : splitsOf(validation)
  return (outer * (trials + 1) + trials + 1) * memberFits(ensemble)
}

function splitsOf({ method, folds, test_folds = 2 }: NonNullable<TrainingParams['validation']>): number {
  if (method !== 'cpcv') return folds ?? usualFolds.outer
  return combinations(folds ?? usualFolds.cpcv, test_folds)
}

function trialFits({
  method,
  space,
  trials = usualTrials,
  validation,
}: NonNullable<TrainingParams['search']>) {
  const sets = method === 'grid' ? gridSize(space) : trials
  return sets * (validation?.folds ?? usualFolds.inner)
}

/** Stacks and weights learn from three inner folds before the members are fitted. */
const memberFits = (ensemble: TrainingParams['ensemble']) =>
  ensemble ? ensemble.members.length * (ensemble.method === 'voting' ? 1 : 4) : 1

const gridSize = (space: object) =>
  Object.values(space).reduce<number>(
    (size, axis: { values?: unknown[] }) => size * (axis.values?.length ?? 1),
    1,
  )

function combinations(n: number, k: number): number {
  let found = 1
  for (let i = 1; i <= k; i++) found = (found * (n - k + i)) / i
  return Math.round(found)
}

/** Seconds that the program should run, by offer; null: not known. */
export function trainingSeconds(
  params: TrainingParams,
  rows: number | null,
): ((offer: Pick<Offer, 'cpu'>) => number) | null {
  const size = matrixSize(params, rows)
  if (size === null) return null
  const core_s = (size * roundsOf(params) * fitsOf(params)) / valuesPerCore
  return ({ cpu }) => start_s + core_s / Math.min(cpu, maxCores)
}

/** Trees of the model; linear models pass over their rows about once. */
function roundsOf({ model, ensemble }: TrainingParams): number {
  const members = ensemble?.members ?? (model ? [model] : [])
  const rounds = members.map(({ name, params }) => {
    const given = params?.['n_estimators'] ?? params?.['max_iter']
    const isTree = name === 'xgboost' || name === 'gradient_boosting' || name === 'random_forest'
    return isTree ? (typeof given === 'number' && given > 0 ? given : usualRounds) : 1
  })
  return Math.max(1, ...rounds)
}

/** Equal for work whose durations foretell each other: the same data, features and model, and within two times, fits. */
export function trainingSignature(params: TrainingParams): string {
  const { data, table, features, model, ensemble } = params
  const fits = Math.round(Math.log2(fitsOf(params)))
  return canonicalSha256({ kind: 'training', data, table, features, model, ensemble, fits }).slice(0, 16)
}
