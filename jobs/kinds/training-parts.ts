// Parts of a training's params that name no data: models, validation and search. The library's own parameters are
// checked by the program, which has the library. Meanings are in docs/conventions.md §8.
import { z } from 'zod'

export const models = [
  'linear',
  'ridge',
  'lasso',
  'logistic',
  'svm',
  'random_forest',
  'gradient_boosting',
  'xgboost',
] as const
/** What the others cannot do: logistic has no numbers, linear, ridge and lasso have no classes. */
export const modelsOf = {
  regression: models.filter((name) => name !== 'logistic'),
  classification: ['logistic', 'svm', 'random_forest', 'gradient_boosting', 'xgboost'],
} as const satisfies Record<string, readonly (typeof models)[number][]>
export type TrainingKind = keyof typeof modelsOf

const maxMembers = 20
const maxFolds = 100
const maxTrials = 100_000
const maxValues = 10_000
/** Dates of a minute's bars in a lifetime. */
const maxDates = 10_000_000

export const model = z.strictObject({
  name: z.enum(models, { error: `must be one of ${models.join(', ')}` }),
  params: z.record(z.string().max(100), z.unknown()).optional(),
})

export const ensemble = z.strictObject({
  method: z.enum(['voting', 'stacking', 'bayesian_average']),
  members: z.array(model).min(2, 'must have at least 2 models').max(maxMembers),
})

export const preprocess = z.strictObject({
  impute: z.enum(['median', 'mean', 'zero']).nullable().optional(),
  scale: z.enum(['standard', 'robust', 'none']).nullable().optional(),
  winsorize: z.number().min(0).lt(0.5).nullable().optional(),
})

const methods = ['walk_forward', 'expanding', 'purged_kfold', 'cpcv', 'random'] as const
const belongs = {
  test_folds: ['cpcv'],
  train_dates: ['walk_forward'],
  test_dates: ['walk_forward', 'expanding'],
  purge: ['walk_forward', 'expanding', 'purged_kfold', 'cpcv'],
  embargo: ['walk_forward', 'expanding', 'purged_kfold', 'cpcv'],
} as const satisfies Record<string, readonly (typeof methods)[number][]>

const dates = z.int().min(0).max(maxDates).nullable().optional()
const rule = {
  method: z.enum(methods).optional(),
  folds: z.int().min(1).max(maxFolds).optional(),
  test_folds: z.int().min(1).max(maxFolds).optional(),
  train_dates: z.int().min(1).max(maxDates).nullable().optional(),
  test_dates: z.int().min(1).max(maxDates).nullable().optional(),
  purge: dates,
  embargo: dates,
}
type Rule = z.infer<z.ZodObject<typeof rule>>

/** Folds where none are named. */
export const usualFolds = { outer: 5, cpcv: 6, inner: 3 } as const

const check = (value: Rule, context: z.RefinementCtx) => {
  const problem = (field: string, message: string) =>
    context.addIssue({ code: 'custom', path: [field], message })
  const method = value.method ?? 'walk_forward'
  for (const [field, known] of Object.entries(belongs)) {
    const given = value[field as keyof typeof belongs]
    if (given !== undefined && given !== null && !(known as readonly string[]).includes(method))
      problem(field, `belongs to ${known.join(', ')}, not to ${method}`)
  }
  const isBlocked = method === 'purged_kfold' || method === 'cpcv' || method === 'random'
  if (isBlocked && value.folds === 1) problem('folds', `must be at least 2 for ${method}`)
  const folds = value.folds ?? usualFolds.cpcv
  if (method === 'cpcv' && (value.test_folds ?? 2) >= folds)
    problem('test_folds', `must be less than folds (${folds})`)
}

export const validation = z
  .strictObject({ ...rule, holdout: z.number().min(0).max(0.9).nullable().optional() })
  .superRefine(check)
const innerValidation = z
  .strictObject(rule)
  .superRefine(check)
  .refine(({ method }) => method !== 'cpcv', {
    path: ['method'],
    error: 'cpcv has several scores a date: use purged_kfold',
  })

const pair = (item: z.ZodNumber) =>
  z.tuple([item, item]).refine(([from, to]) => from <= to, 'must be [from, to] with from <= to')
const axis = z.union(
  [
    z.strictObject({
      values: z
        .array(z.union([z.number(), z.string().max(200), z.boolean(), z.null()]))
        .min(1)
        .max(maxValues),
    }),
    z.strictObject({ uniform: pair(z.number()) }),
    z.strictObject({ log_uniform: pair(z.number().positive()) }),
    z.strictObject({ int_uniform: pair(z.int()) }),
  ],
  { error: 'must be { "values" }, { "uniform" }, { "log_uniform" } or { "int_uniform" }' },
)

export const objectivesOf = {
  regression: ['rmse', 'mae', 'r2', 'ic', 'rank_ic', 'icir'],
  classification: ['log_loss', 'accuracy', 'auc', 'f1'],
} as const satisfies Record<TrainingKind, readonly string[]>

export const search = z
  .strictObject({
    method: z.enum(['tpe', 'random', 'grid']).optional(),
    trials: z.int().min(1).max(maxTrials).optional(),
    space: z
      .record(z.string().min(1).max(100), axis)
      .refine((space) => Object.keys(space).length > 0, 'must name a parameter'),
    objective: z.enum([...objectivesOf.regression, ...objectivesOf.classification]).optional(),
    pruner: z.enum(['median', 'none']).optional(),
    nested: z.boolean().optional(),
    validation: innerValidation.optional(),
    seed: z.int().min(0).max(0xffff_ffff).optional(),
  })
  .superRefine(({ method, trials, space }, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if (method !== 'grid') return
    if (trials !== undefined) problem(['trials'], 'belongs to random and tpe: a grid runs every set')
    for (const [name, value] of Object.entries(space))
      if (!('values' in value)) problem(['space', name], 'needs search.method random or tpe')
  })
