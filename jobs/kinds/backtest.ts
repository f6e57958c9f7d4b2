// The params of kind `backtest`: what can be refused before anything is stored. The program checks again
// what only the data can tell. Meanings are in docs/conventions.md, the format in docs/contracts.md §3.
import { z } from 'zod'
import { samples } from './samples.ts'

/** Points are derived from their numbers, and none is stored before it has a result; these numbers are still exact. */
const maxPoints = 1_000_000_000_000
/** One range or list of values; more is a typing mistake, and the grid would pass maxPoints with two. */
const maxValues = 100_000
const maxSymbols = 10_000
const maxFiles = 1_000

const notYet = (what: string) => `is not available in this version: ${what}`

const date = z.iso.date('must be a date like "2010-01-31"')
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
const symbol = z.string().min(1).max(100)
const bps = z.number().min(0).max(10_000)
const fraction = z.number().min(0).lt(1)

const file = z.strictObject({
  url: z
    .url({ protocol: /^(https|s3|file)$/, error: 'must be an https://, s3:// or file:// address' })
    .max(2_000),
  sha256: sha256.optional(),
})

const data = z
  .strictObject({
    dataset: z
      .string()
      .regex(/^(sample:[a-z0-9-]+|ds_[0-9a-z]{26})$/, `must be one of ${Object.keys(samples).join(', ')}`)
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

const parameter = z.union([
  z.number(),
  z.null(),
  z.strictObject({ values: z.array(z.number().nullable()).min(1).max(maxValues) }),
  z.strictObject({
    range: z.tuple([z.number(), z.number(), z.number().positive('the step must be above 0')]),
  }),
])
type Parameter = z.infer<typeof parameter>

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
  profile: z.null(notYet('only null')).optional(),
  stop_loss: fraction.nullable().optional(),
  take_profit: z.number().min(0).nullable().optional(),
  trailing_stop: fraction.nullable().optional(),
  stop_reference: z.enum(['fill', 'entry_close', 'decision_close']).optional(),
  stop_slippage: z.boolean().optional(),
  retry_entries: z.boolean().optional(),
  close_at_end: z.boolean().optional(),
})

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

/** A window in bars, or a number with its bounds. */
type Bounds = 'bars' | { least: number; most: number }
const percent = { least: 0, most: 100 }
/** The parameters of each built-in strategy; stops are parameters of all of them. */
const strategyParameters = {
  sma_cross: { fast: 'bars', slow: 'bars' },
  ema_cross: { fast: 'bars', slow: 'bars' },
  macd: { fast: 'bars', slow: 'bars', signal: 'bars' },
  rsi: { window: 'bars', lower: percent, exit: percent, upper: percent },
  bollinger: { window: 'bars', width: percent },
  zscore: { window: 'bars', enter: percent, exit: { least: -100, most: 100 } },
  donchian: { window: 'bars', exit: 'bars' },
  buy_and_hold: {},
} as const satisfies Record<string, Record<string, Bounds>>
const strategyNames = Object.keys(strategyParameters) as (keyof typeof strategyParameters)[]
const stopParameters = ['stop_loss', 'take_profit', 'trailing_stop']

const strategy = z
  .strictObject({
    name: z
      .enum(strategyNames, { error: notYet(`the strategies are ${strategyNames.join(', ')}`) })
      .optional(),
    entry: z.enum(['cross', 'level']).optional(),
    signals: file.optional(),
  })
  .superRefine(({ name, entry, signals }, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    if ((name === undefined) === (signals === undefined))
      problem(['name'], 'is required, or "signals" in its place')
    else if (signals && entry) problem(['entry'], 'belongs to a built-in strategy')
  })

export const backtestParams = z
  .strictObject({
    data,
    strategy,
    parameters: z.record(z.string().max(64), parameter).optional(),
    search: z
      .strictObject({
        method: z.literal('grid', { error: notYet('only grid') }).optional(),
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
    validation: z
      .strictObject({ method: z.literal('none', { error: notYet('only none') }).optional() })
      .optional(),
    benchmark: z.null(notYet('only null')).optional(),
    periods_per_year: z.number().positive().max(1_000_000).optional(),
    risk_free: z.number().min(-1).max(10).optional(),
    output: z
      .strictObject({
        top_k: z.int().min(0).max(1_000).optional(),
        metrics: z.enum(['auto', 'all']).optional(),
        tearsheet: z.boolean().optional(),
        look_ahead_check: z.boolean().optional(),
      })
      .optional(),
  })
  .superRefine((params, context) => {
    checkSample(params, (path, message) => context.addIssue({ code: 'custom', path, message }))
    checkParameters(params.strategy.name ?? null, params.parameters ?? {}, (path, message) =>
      context.addIssue({ code: 'custom', path: ['parameters', ...path], message }),
    )
  })
  .meta({ id: 'BacktestParams', description: 'A backtest over one data set and one strategy.' })
export type BacktestParams = z.infer<typeof backtestParams>

type Problem = (path: (string | number)[], message: string) => void

function checkSample(
  params: { data: z.infer<typeof data>; execution?: { fill?: string | undefined } | undefined },
  problem: Problem,
) {
  const { dataset, symbols = [] } = params.data
  if (dataset === undefined) return
  // Whether a dataset is the project's is asked when the job is submitted.
  if (isDataset(dataset)) return
  const sample = samples[dataset]
  if (!sample)
    return problem(['data', 'dataset'], `is unknown: the samples are ${Object.keys(samples).join(', ')}`)
  symbols.forEach((name, index) => {
    if (!sample.symbols.includes(name))
      problem(
        ['data', 'symbols', index],
        `${name} is not in ${dataset}, which has ${sample.symbols.join(', ')}`,
      )
  })
  if (params.execution?.fill === 'next_open' && !sample.columns.includes('open'))
    problem(['execution', 'fill'], `next_open needs a column open, which ${dataset} lacks: use "next_close"`)
}

function checkParameters(
  name: keyof typeof strategyParameters | null,
  parameters: Record<string, Parameter>,
  problem: Problem,
) {
  const bounds: Record<string, Bounds> = name === null ? {} : strategyParameters[name]
  const known = [...Object.keys(bounds), ...stopParameters]
  for (const [each, value] of Object.entries(parameters)) {
    if (!known.includes(each))
      problem([each], `is not a parameter of ${name ?? 'signals'}, which has ${known.join(', ')}`)
    else checkParameter(each, value, bounds[each], problem)
  }
  const points = pointsOf({ parameters })
  if (points > maxPoints) problem([], `has ${points} points, more than ${maxPoints}: use coarser ranges`)
  const { fast, slow } = parameters
  if (typeof fast === 'number' && typeof slow === 'number' && fast >= slow)
    problem(['fast'], `must be below slow (${slow})`)
}

/** Without bounds it is a stop. */
function checkParameter(name: string, value: Parameter, bounds: Bounds | undefined, problem: Problem) {
  const isStop = bounds === undefined
  const values = listed(value)
  if (count(value) < 1) problem([name, 'range'], 'is empty: from must not be above to')
  if (count(value) > maxValues) problem([name, 'range'], `has more than ${maxValues} values`)
  for (const each of values) {
    const fault = isStop ? stopFault(name, each) : valueFault(each, bounds)
    if (fault !== null) problem([name], fault)
  }
}

function stopFault(name: string, value: number | null): string | null {
  const isFraction = value === null || (value >= 0 && (name === 'take_profit' || value < 1))
  return isFraction ? null : 'is a fraction: 0 or null is off, 0.05 is five percent'
}

function valueFault(value: number | null, bounds: Bounds): string | null {
  if (value === null) return 'must be a number'
  if (bounds === 'bars')
    return Number.isInteger(value) && value >= 1
      ? null
      : `must be a whole number of bars above 0, not ${value}`
  if (value >= bounds.least && value <= bounds.most) return null
  return `must be from ${bounds.least} to ${bounds.most}, not ${value}`
}

/** The numbers that stand in the spec: all of them, or of a range the first two and the last. */
function listed(value: Parameter): (number | null)[] {
  if (value === null || typeof value === 'number') return [value]
  if ('values' in value) return value.values
  const [from, , step] = value.range
  return [0, 1, count(value) - 1].filter((i) => i < count(value)).map((i) => from + i * step)
}

/** How many sets of parameters a spec has. */
export function pointsOf(params: Pick<BacktestParams, 'parameters'>): number {
  return Object.values(params.parameters ?? {}).reduce<number>((product, value) => product * count(value), 1)
}

/** How many values a parameter takes; a range by docs/conventions.md §5. */
function count(value: Parameter): number {
  if (value === null || typeof value === 'number') return 1
  if ('values' in value) return value.values.length
  const [from, to, step] = value.range
  return Math.floor((to - from) / step + 1e-9) + 1
}

const isDataset = (name: string) => name.startsWith('ds_')

/** The uploaded dataset that a spec reads; null: it reads none. */
export function datasetOf({ params }: { params: Pick<BacktestParams, 'data'> }): string | null {
  const { dataset } = params.data
  return dataset !== undefined && isDataset(dataset) ? dataset : null
}

/** Files that the runner fetches before the program starts. Samples come with the image. */
export function backtestInputs(
  params: BacktestParams,
): { name: string; url: string; sha256: string | null }[] {
  const prices = (params.data.files ?? []).map((each, index) => ({ ...each, name: `data-${index}` }))
  const signals = params.strategy.signals ? [{ ...params.strategy.signals, name: 'signals' }] : []
  return [...prices, ...signals]
    .filter(({ url }) => !url.startsWith('file:'))
    .map(({ name, url, sha256: hash }) => ({ name: `${name}${extension(url)}`, url, sha256: hash ?? null }))
}

const extension = (url: string) => /\.(csv|parquet)(\.gz)?$/i.exec(new URL(url).pathname)?.[0] ?? ''
