// The params of kind `backtest`: what can be refused before anything is stored. The program checks again
// what only the data can tell. Meanings are in docs/conventions.md, the format in docs/contracts.md §3.
import { z } from 'zod'
import {
  checkParameters,
  file,
  maxTrials,
  maxTpeTrials,
  parameter,
  spreading,
  strategy,
} from './backtest-strategy.ts'
import { samples } from './samples.ts'

const maxSymbols = 10_000
const maxFiles = 1_000

const date = z.iso.date('must be a date like "2010-01-31"')
const symbol = z.string().min(1).max(100)
const bps = z.number().min(0).max(10_000)
const fraction = z.number().min(0).lt(1)

/** Which prices: of a sample, an uploaded dataset, or files. */
export const priceData = z
  .strictObject({
    dataset: z
      .string()
      .regex(
        /^(sample:[a-z0-9-]{1,64}|ds_[0-9a-z]{26})$/,
        `must be one of ${Object.keys(samples).join(', ')}`,
      )
      .optional(),
    files: z.array(file).min(1).max(maxFiles).optional(),
    adjustment: z.enum(['none', 'split', 'total']).optional(),
    timezone: z.string().max(64).optional(),
    bar_label: z.enum(['start', 'end']).optional(),
    currency: z.string().length(3).optional(),
    symbols: z.array(symbol).min(1).max(maxSymbols).optional(),
    start: date.optional(),
    end: date.optional(),
  })
  .superRefine((value, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if ((value.dataset === undefined) === (value.files === undefined))
      problem([], 'needs exactly one of "dataset" and "files"')
    if (value.files && !value.adjustment)
      problem(['adjustment'], 'is required with files: "none", "split" or "total"')
    if (value.start && value.end && value.start > value.end)
      problem(['end'], `is before start (${value.start})`)
  })

type PriceData = z.infer<typeof priceData>

const sizing = z.union([
  z.literal('all_in'),
  z.strictObject({ fraction: z.number().gt(0).max(1) }),
  z.strictObject({ units: z.number().positive() }),
  z.strictObject({ cash: z.number().positive() }),
])

const execution = z.strictObject({
  fill: z.enum(['next_open', 'next_close', 'close']).optional(),
  direction: z.enum(['long', 'short', 'both']).optional(),
  sizing: sizing.optional(),
  cash: z.number().positive().optional(),
  fee_bps: bps.optional(),
  fee_min: z.number().min(0).optional(),
  transfer_fee_bps: bps.optional(),
  stamp_duty_bps: bps.optional(),
  slippage_bps: bps.optional(),
  borrow_bps_per_year: bps.optional(),
  lot: z.number().positive().optional(),
  fractional: z.boolean().optional(),
  profile: z.literal('cn_a', { error: 'must be null or "cn_a"' }).nullable().optional(),
  allow_short: z.boolean().optional(),
  stop_loss: fraction.nullable().optional(),
  take_profit: z.number().min(0).nullable().optional(),
  trailing_stop: fraction.nullable().optional(),
  stop_reference: z.enum(['fill', 'entry_close', 'decision_close']).optional(),
  stop_slippage: z.boolean().optional(),
  retry_entries: z.boolean().optional(),
  close_at_end: z.boolean().optional(),
})

type Execution = z.infer<typeof execution>

/** How many dates a train or a test has. */
const bars = z.int().min(1).max(100_000_000)

/** Each fold's train chooses a set, and its test says what came of it. */
const validation = z
  .strictObject({
    method: z.enum(['none', 'walk_forward']).optional(),
    folds: z.int().min(1).max(1_000).optional(),
    train_bars: bars.nullable().optional(),
    test_bars: bars.nullable().optional(),
    anchored: z.boolean().optional(),
    purge: z.int().min(0).max(100_000_000).optional(),
  })
  .superRefine(({ method = 'none', ...rest }, context) => {
    const problem = (name: string, message: string) =>
      context.addIssue({ code: 'custom', path: [name], message })
    if (method === 'none')
      for (const [name, value] of Object.entries(rest))
        if (value !== undefined) problem(name, 'belongs to walk_forward')
    if (rest.anchored && typeof rest.train_bars === 'number')
      problem('train_bars', 'cannot be with anchored: such a train begins at the first date')
  })

/** Whether a search is validated: then each fold chooses among all points. */
export const isValidated = ({ validation: given }: Pick<BacktestParams, 'validation'>): boolean =>
  given?.method === 'walk_forward'

/** Whether a search is one piece of work: each fold chooses among all points, each trial of tpe looks at those before it. */
export const isWhole = (params: Pick<BacktestParams, 'validation' | 'search'>): boolean =>
  isValidated(params) || params.search?.method === 'tpe'

/** What the best set is compared with. */
const benchmark = z.union(
  [z.literal('equal_weight'), z.strictObject({ symbol }), file],
  'must be null, "equal_weight", { "symbol" }, or { "url", "sha256" }',
)

export const objectives = [
  'total_return',
  'annual_return',
  'annual_volatility',
  'sharpe',
  'sortino',
  'calmar',
  'max_drawdown',
  'max_drawdown_bars',
  'trades',
  'open_trades',
  'win_rate',
  'profit_factor',
  'exposure',
  'turnover',
  'fees',
  'final_equity',
] as const

export const backtestParams = z
  .strictObject({
    data: priceData,
    strategy,
    parameters: z.record(z.string().max(64), parameter).optional(),
    search: z
      .strictObject({
        method: z.enum(['grid', 'random', 'tpe']).optional(),
        trials: z.int().min(1).max(maxTrials).optional(),
        batch: z.int().min(1).max(1_024).optional(),
        objective: z.enum(objectives).optional(),
        aggregate: z.enum(['mean', 'median', 'min']).optional(),
        min_trades: z.int().min(0).optional(),
        prior_trials: z.int().min(0).optional(),
        seed: z.int().min(0).max(0xffff_ffff).optional(),
      })
      .optional(),
    execution: execution.optional(),
    portfolio: z
      .strictObject({
        mode: z.enum(['per_symbol', 'shared']).optional(),
        call_sequence: z.enum(['auto', 'given']).optional(),
      })
      .optional(),
    validation: validation.optional(),
    benchmark: benchmark.nullable().optional(),
    periods_per_year: z.number().positive().max(1_000_000).optional(),
    risk_free: z.number().min(-1).max(10).optional(),
    output: z
      .strictObject({
        top_k: z.int().min(0).max(1_000).optional(),
        metrics: z.enum(['auto', 'all']).optional(),
        tearsheet: z.boolean().optional(),
        look_ahead_check: z.boolean().optional(),
        robustness: z.boolean().optional(),
      })
      .optional(),
  })
  .superRefine((params, context) => {
    checkSample(params, (path, message) => context.addIssue({ code: 'custom', path, message }))
    checkChina(params, (path, message) => context.addIssue({ code: 'custom', path, message }))
    const spreads = spreading(params.strategy)
    if (spreads !== null && params.portfolio?.mode !== 'shared')
      context.addIssue({
        code: 'custom',
        path: ['portfolio', 'mode'],
        message: `must be "shared": ${spreads} spreads one purse over the symbols`,
      })
    checkSearch(params, (path, message) =>
      context.addIssue({ code: 'custom', path: ['search', ...path], message }),
    )
    const { method = 'grid', trials } = params.search ?? {}
    const drawn = method === 'grid' ? null : (trials ?? 1)
    checkParameters(params.strategy, params.parameters ?? {}, drawn, (path, message) =>
      context.addIssue({ code: 'custom', path: ['parameters', ...path], message }),
    )
  })
  .meta({ id: 'BacktestParams', description: 'A backtest over one data set and one strategy.' })
export type BacktestParams = z.infer<typeof backtestParams>

/** A-shares trade in whole lots at prices as they were, and are sold short only where the spec says so. */
function checkChina(params: { data: PriceData; execution?: Execution | undefined }, problem: Problem) {
  const { profile, allow_short, direction = 'long', fractional } = params.execution ?? {}
  if (profile !== 'cn_a') {
    if (allow_short) problem(['execution', 'allow_short'], 'belongs to the profile cn_a')
    return
  }
  if (direction !== 'long' && !allow_short)
    problem(['execution', 'direction'], 'needs allow_short: A-shares are not sold short')
  if (fractional) problem(['execution', 'fractional'], 'cannot be: A-shares trade in whole lots')
  if (params.data.adjustment !== 'none')
    problem(['data', 'adjustment'], 'must be "none" for cn_a: limits are of prices as traded')
}

type Problem = (path: (string | number)[], message: string) => void

function checkSearch(params: Pick<BacktestParams, 'search' | 'validation'>, problem: Problem) {
  const { method = 'grid', trials, batch } = params.search ?? {}
  if (method === 'grid') {
    if (trials !== undefined) problem(['trials'], 'belongs to random and tpe: a grid runs every set')
  } else if (trials === undefined) problem(['trials'], `is required with ${method}`)
  if (method !== 'tpe') {
    if (batch !== undefined)
      problem(['batch'], 'belongs to tpe: the other methods know all sets from the start')
    return
  }
  if (trials !== undefined && trials > maxTpeTrials)
    problem(['trials'], `must be at most ${maxTpeTrials} with tpe: each trial looks at all before it`)
  if (isValidated(params))
    problem(['method'], 'tpe is not run in walk_forward: use random, whose sets are the same in every fold')
}

function checkSample(params: Pick<BacktestParams, 'data' | 'execution' | 'benchmark'>, problem: Problem) {
  sampleProblem(params.data, (path, message) => problem(['data', ...path], message))
  const { dataset = '' } = params.data
  const sample = samples[dataset]
  if (isSymbol(params.benchmark))
    sampleProblem({ dataset, symbols: [params.benchmark.symbol] }, (_, message) =>
      problem(['benchmark', 'symbol'], message),
    )
  if (sample && params.execution?.fill === 'next_open' && !sample.columns.includes('open'))
    problem(['execution', 'fill'], `next_open needs a column open, which ${dataset} lacks: use "next_close"`)
}

/** Says what a sample lacks. Whether a dataset is the project's is asked when the job is submitted. */
export function sampleProblem({ dataset, symbols = [] }: PriceData, problem: Problem) {
  if (dataset === undefined || isDataset(dataset)) return
  const sample = samples[dataset]
  if (!sample) return problem(['dataset'], `is unknown: the samples are ${Object.keys(samples).join(', ')}`)
  symbols.forEach((name, index) => {
    if (!sample.symbols.includes(name))
      problem(['symbols', index], `${name} is not in ${dataset}, which has ${sample.symbols.join(', ')}`)
  })
}

const isDataset = (name: string) => name.startsWith('ds_')

/** The uploaded dataset that a spec reads; null: it reads none. */
export function backtestDataset({ data: { dataset } }: Pick<BacktestParams, 'data'>): string | null {
  return dataset !== undefined && isDataset(dataset) ? dataset : null
}

/** Files that the runner fetches before the program starts. Samples come with the image. */
export function backtestInputs(params: BacktestParams): Input[] {
  const prices = (params.data.files ?? []).map((each, index) => ({ ...each, name: `data-${index}` }))
  const { signals, predictions } = params.strategy
  const file = benchmarkFile(params)
  return priceFiles([
    ...prices,
    ...(signals ? [{ ...signals, name: 'signals' }] : []),
    ...(predictions ? [{ ...predictions, name: 'predictions' }] : []),
    ...(file ? [{ ...file, name: 'benchmark' }] : []),
  ])
}

/** The file of prices that a spec compares with; null: it has none. */
export function benchmarkFile({ benchmark: given }: Pick<BacktestParams, 'benchmark'>) {
  return typeof given === 'object' && given !== null && 'url' in given ? given : null
}

const isSymbol = (given: BacktestParams['benchmark']): given is { symbol: string } =>
  typeof given === 'object' && given !== null && 'symbol' in given

interface Input {
  name: string
  url: string
  sha256: string | null
}

/** Files by address as the runner fetches them; what lies on this machine's disk is read where it is. */
export function priceFiles(
  files: readonly { name: string; url: string; sha256?: string | undefined }[],
): Input[] {
  return files
    .filter(({ url }) => !url.startsWith('file:'))
    .map(({ name, url, sha256: hash }) => ({ name: `${name}${extension(url)}`, url, sha256: hash ?? null }))
}

const extension = (url: string) => /\.(csv|parquet)(\.gz)?$/i.exec(new URL(url).pathname)?.[0] ?? ''
