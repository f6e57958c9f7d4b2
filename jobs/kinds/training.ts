// The params of kind `training`: what can be refused before anything is stored. The program checks again what only
// the data and the library can tell. Meanings are in docs/conventions.md §8, the format in docs/contracts.md §4.
import { z } from 'zod'
import { backtestDataset, priceData, priceFiles, sampleProblem } from './backtest.ts'
import { file } from './backtest-strategy.ts'
import * as parts from './training-parts.ts'

const maxFeatures = 2_000
const maxHorizon = 100_000
const column = z.string().min(1).max(200)

/** By name; its arguments are those of the indicator, which the program knows. */
const feature = z.looseObject({ name: z.string().min(1).max(64) })

const target = z
  .strictObject({
    name: z.enum(['forward_return', 'sign']),
    horizon: z.int().min(1).max(maxHorizon).optional(),
    entry: z.enum(['next_open', 'close']).nullable().optional(),
    kind: z.enum(['regression', 'classification']).optional(),
  })
  .refine(({ name, kind }) => name !== 'sign' || kind !== 'regression', {
    path: ['kind'],
    error: 'sign is a class: leave kind out, or take forward_return',
  })

const table = z
  .strictObject({
    ...file.shape,
    target: column,
    kind: z.enum(['regression', 'classification']).optional(),
    time: column,
    group: column.nullable().optional(),
    horizon: z.int().min(1).max(maxHorizon).nullable().optional(),
    label_end: column.nullable().optional(),
    features: z.array(column).max(100_000).nullable().optional(),
    timezone: z.string().max(64).nullable().optional(),
  })
  .refine(({ horizon, label_end }) => (horizon ?? null) === null || (label_end ?? null) === null, {
    path: ['horizon'],
    error: 'give either horizon or label_end',
  })
  .refine(({ horizon, label_end }) => (horizon ?? null) !== null || (label_end ?? null) !== null, {
    path: ['horizon'],
    error: 'is required, or label_end: without it nobody knows how much to purge',
  })

export const trainingParams = z
  .strictObject({
    data: priceData.nullable().optional(),
    features: z.array(feature).min(1).max(maxFeatures).nullable().optional(),
    target: target.nullable().optional(),
    table: table.nullable().optional(),
    preprocess: parts.preprocess.optional(),
    model: parts.model.nullable().optional(),
    ensemble: parts.ensemble.nullable().optional(),
    search: parts.search.nullable().optional(),
    validation: parts.validation.optional(),
    seed: z.int().min(0).max(0xffff_ffff).optional(),
    output: z
      .strictObject({
        importance: z.boolean().optional(),
        permutation: z.boolean().optional(),
        curves: z.boolean().optional(),
        plots: z.boolean().optional(),
        leakage_check: z.boolean().optional(),
      })
      .optional(),
    tracking: z
      .strictObject({ experiment: z.string().min(1).max(200), run_name: z.string().min(1).max(200) })
      .partial()
      .nullable()
      .optional(),
  })
  .superRefine((params, context) => {
    const problem: Problem = (path, message) => context.addIssue({ code: 'custom', path, message })
    checkSources(params, problem)
    checkModels(params, problem)
    checkSearch(params, problem)
    if (params.data) sampleProblem(params.data, (path, message) => problem(['data', ...path], message))
  })
  .meta({
    id: 'TrainingParams',
    description: 'A model trained on prices or on a table, and tested honestly.',
  })
export type TrainingParams = z.infer<typeof trainingParams>

type Problem = (path: (string | number)[], message: string) => void
/** Before the checks across fields. */
type Parsed = Pick<
  TrainingParams,
  'data' | 'features' | 'target' | 'table' | 'model' | 'ensemble' | 'search' | 'validation'
>

function checkSources(params: Parsed, problem: Problem) {
  for (const name of ['data', 'features', 'target'] as const) {
    if (params.table && params[name]) problem([name], 'belongs to prices: give either it or a table')
    if (!params.table && !params[name]) problem([name], 'is required, or a table')
  }
}

/** A number is predicted, or one of two classes. */
export const kindOf = ({ table, target }: Pick<TrainingParams, 'table' | 'target'>): parts.TrainingKind =>
  table
    ? (table.kind ?? 'regression')
    : target?.name === 'sign'
      ? 'classification'
      : (target?.kind ?? 'regression')

export const horizonOf = ({ table, target }: Pick<TrainingParams, 'table' | 'target'>): number | null =>
  table ? (table.horizon ?? null) : (target?.horizon ?? 1)

function checkModels(params: Parsed, problem: Problem) {
  const { model, ensemble } = params
  if (model && ensemble) problem(['ensemble'], 'give either model or ensemble: its members are models')
  if (!model && !ensemble) problem(['model'], 'is required, or an ensemble')
  const kind = kindOf(params)
  const known: readonly string[] = parts.modelsOf[kind]
  const named = [
    ...(model ? [{ name: model.name, path: ['model', 'name'] }] : []),
    ...(ensemble?.members ?? []).map(({ name }, index) => ({
      name,
      path: ['ensemble', 'members', index, 'name'],
    })),
  ]
  for (const { name, path } of named)
    if (!known.includes(name)) problem(path, `${name} does not do ${kind}: use one of ${known.join(', ')}`)
}

function checkSearch(params: Parsed, problem: Problem) {
  const { search, validation, ensemble } = params
  const horizon = horizonOf(params)
  const purges = [
    { purge: validation?.purge, path: ['validation', 'purge'] },
    { purge: search?.validation?.purge, path: ['search', 'validation', 'purge'] },
  ]
  for (const { purge, path } of purges)
    if (horizon !== null && typeof purge === 'number' && purge < horizon)
      problem(
        path,
        `must be at least the horizon (${horizon}): labels of the train would reach into the test`,
      )
  if (!search) return
  if (ensemble) problem(['search'], 'belongs to one model: the members of an ensemble have their params')
  const known: readonly string[] = parts.objectivesOf[kindOf(params)]
  if (search.objective && !known.includes(search.objective))
    problem(['search', 'objective'], `must be one of ${known.join(', ')}`)
  if (search.nested === false && !validation?.holdout)
    problem(['search', 'nested'], 'false needs validation.holdout: else every reported row was searched on')
}

/** The uploaded dataset that a spec reads; null: it reads none. */
export const trainingDataset = ({ data }: TrainingParams): string | null =>
  data ? backtestDataset({ data }) : null

/** Files that the runner fetches before the program starts. Samples come with the image. */
export function trainingInputs({ data, table }: TrainingParams) {
  return priceFiles([
    ...(data?.files ?? []).map((each, index) => ({ ...each, name: `data-${index}` })),
    ...(table ? [{ url: table.url, sha256: table.sha256, name: 'table' }] : []),
  ])
}
