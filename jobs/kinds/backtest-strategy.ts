// The strategy of a backtest and its parameters: what can be refused without reading a user's source, which the
// program does. Meanings are in docs/conventions.md §3, §5 and §6.
import { z } from 'zod'

/** What the program takes: points are derived from their numbers, so that no memory bounds them. */
const maxPoints = 1e12
/** Every trial of a random search is kept and written. */
export const maxTrials = 1_000_000
/** Each looks at all before it. */
export const maxTpeTrials = 5_000
/** Sets of a finite space that draws without replacement are taken from: numbers of 64 bits. */
const maxDrawn = 2 ** 62
/** One range or list of values; more is a typing mistake, and the grid would pass maxPoints with two. */
const maxValues = 100_000
/** As long as the program reads: a strategy, not a library. */
const maxSource = 65_536
/** A user's class may declare 64 parameters; beside them there are the stops. */
const maxParameters = 67

const notYet = (what: string) => `is not available in this version: ${what}`

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits')
export const file = z.strictObject({
  url: z
    .url({ protocol: /^(https|s3|file)$/, error: 'must be an https://, s3:// or file:// address' })
    .max(2_000),
  sha256: sha256.optional(),
})

export const parameter = z.union([
  z.number(),
  z.null(),
  z.strictObject({ values: z.array(z.number().nullable()).min(1).max(maxValues) }),
  z.strictObject({
    range: z.tuple([z.number(), z.number(), z.number().positive('the step must be above 0')]),
  }),
  z.strictObject({ uniform: z.tuple([z.number(), z.number()]) }),
  z.strictObject({ log_uniform: z.tuple([z.number().positive('must be above 0'), z.number()]) }),
  z.strictObject({ int_uniform: z.tuple([z.int(), z.int()]) }),
])
type Parameter = z.infer<typeof parameter>

/** A window in bars, a number that only a user's source bounds, or one with its bounds. */
type Bounds = 'bars' | 'any' | { least: number; most: number }
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
  momentum_top_k: { k: 'bars', window: 'bars' },
  buy_and_hold: {},
} as const satisfies Record<string, Record<string, Bounds>>
const strategyNames = Object.keys(strategyParameters) as (keyof typeof strategyParameters)[]
/** The one built-in strategy that sets weights, over a purse that its symbols share. */
const rebalanced = 'momentum_top_k'
const stopParameters = ['stop_loss', 'take_profit', 'trailing_stop']

/** What decides: exactly one of a name, a user's source, a file of signals. */
export const strategy = z
  .strictObject({
    name: z
      .enum(strategyNames, { error: notYet(`the strategies are ${strategyNames.join(', ')}`) })
      .optional(),
    entry: z.enum(['cross', 'level']).optional(),
    rebalance: z
      .union([z.int().min(1).max(100_000), z.enum(['weekly', 'monthly'])], {
        error: 'must be a number of dates, "weekly" or "monthly"',
      })
      .optional(),
    source: z.string().min(1).max(maxSource).optional(),
    class: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]{0,99}$/, 'must be the name of a class in the source')
      .optional(),
    signals: file.optional(),
    predictions: file.extend({ path: z.int().min(0).max(1_000_000).optional() }).optional(),
    rule: z
      .union(
        [
          z.strictObject({ top_k: z.int().min(1).max(100_000) }),
          z.strictObject({ sign: z.literal(true) }),
          z.strictObject({ threshold: z.number() }),
        ],
        { error: 'must be { "top_k": n }, { "sign": true } or { "threshold": x }' },
      )
      .optional(),
    every: z.int().min(1).max(100_000).optional(),
  })
  .superRefine((value, context) => {
    const { name, entry, rebalance, source, class: className, signals, predictions, rule, every } = value
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message })
    const given = [name, source, signals, predictions].filter((each) => each !== undefined)
    if (given.length !== 1)
      problem(['name'], 'is required, or "source", "signals" or "predictions" in its place')
    if ((predictions === undefined) !== (rule === undefined))
      problem(['rule'], 'belongs to "predictions": it says what is made of them')
    if (every !== undefined && predictions === undefined) problem(['every'], 'belongs to "predictions"')
    if ((source === undefined) !== (className === undefined))
      problem(['class'], 'belongs to "source": it names the class of the strategy')
    if (entry && (name === undefined || name === rebalanced)) problem(['entry'], 'belongs to built-in states')
    if (rebalance !== undefined && name !== rebalanced) problem(['rebalance'], `belongs to ${rebalanced}`)
  })
export type Strategy = z.infer<typeof strategy>

/** What spreads one purse over the symbols, and so needs it to be shared; null: the strategy does not. */
export const spreading = ({ name, rule }: Strategy): string | null =>
  name === rebalanced ? rebalanced : rule && 'top_k' in rule ? 'top_k' : null

type Problem = (path: (string | number)[], message: string) => void

/** `trials` is null for a grid. */
export function checkParameters(
  { name, source }: Strategy,
  parameters: Record<string, Parameter>,
  trials: number | null,
  problem: Problem,
) {
  const bounds: Record<string, Bounds> = name === undefined ? {} : strategyParameters[name]
  const known = [...Object.keys(bounds), ...stopParameters]
  if (Object.keys(parameters).length > maxParameters) problem([], `has more than ${maxParameters} parameters`)
  for (const [each, value] of Object.entries(parameters)) {
    if (source !== undefined && !stopParameters.includes(each)) checkParameter(each, value, 'any', problem)
    else if (!known.includes(each))
      problem([each], `is not a parameter of ${name ?? 'a file'}, which has ${known.join(', ')}`)
    else checkParameter(each, value, bounds[each], problem)
  }
  checkSpace(parameters, trials, problem)
  const { fast, slow } = parameters
  if (source !== undefined) return
  if (typeof fast === 'number' && typeof slow === 'number' && fast >= slow)
    problem(['fast'], `must be below slow (${slow})`)
}

/** A grid takes every set of its space; draws are taken from one without replacement where it is finite. */
function checkSpace(parameters: Record<string, Parameter>, trials: number | null, problem: Problem) {
  const values = Object.values(parameters)
  const points = setsOf(values)
  if (trials === null) {
    for (const [each, value] of Object.entries(parameters))
      if (drawnFrom(value) !== null)
        problem([each], 'needs search.method "random" or "tpe": a grid has no values to take from it')
    if (points > maxPoints) problem([], `has ${points} points, more than ${maxPoints}: use coarser ranges`)
  } else if (!values.some(isContinuous)) {
    if (points > maxDrawn) problem([], `has ${points} sets, more than ${maxDrawn}: use coarser ranges`)
    if (trials > points)
      problem([], `has ${points} sets, fewer than search.trials (${trials}): use grid, or fewer trials`)
  }
}

/** Without bounds it is a stop. */
function checkParameter(name: string, value: Parameter, bounds: Bounds | undefined, problem: Problem) {
  const isStop = bounds === undefined
  const values = listed(value)
  const drawn = drawnFrom(value)
  if (drawn && drawn[0] >= drawn[1]) return problem([name], 'must be [from, to] with from below to')
  if (bounds === 'bars' && isContinuous(value))
    return problem([name], 'takes whole numbers only: use int_uniform')
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
  if (bounds === 'any') return null
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
  const drawn = drawnFrom(value)
  if (drawn) return [...drawn]
  if (!('range' in value)) return []
  const [from, , step] = value.range
  return [0, 1, count(value) - 1].filter((i) => i < count(value)).map((i) => from + i * step)
}

/** How many sets of parameters a spec runs. */
export function pointsOf(params: {
  parameters?: Record<string, Parameter> | undefined
  search?: { trials?: number | undefined } | undefined
}): number {
  return params.search?.trials ?? setsOf(Object.values(params.parameters ?? {}))
}

const setsOf = (values: Parameter[]) => values.reduce<number>((product, value) => product * count(value), 1)

const isContinuous = (value: Parameter) =>
  value !== null && typeof value === 'object' && ('uniform' in value || 'log_uniform' in value)

/** The bounds that a value is drawn from; null: it is one of a list or range. */
function drawnFrom(value: Parameter): [number, number] | null {
  if (value === null || typeof value === 'number') return null
  if ('uniform' in value) return value.uniform
  if ('log_uniform' in value) return value.log_uniform
  return 'int_uniform' in value ? value.int_uniform : null
}

/** How many values a parameter takes; a range by docs/conventions.md §5. */
function count(value: Parameter): number {
  if (value === null || typeof value === 'number') return 1
  if ('values' in value) return value.values.length
  if ('int_uniform' in value) return value.int_uniform[1] - value.int_uniform[0] + 1
  if (!('range' in value)) return 1
  const [from, to, step] = value.range
  return Math.floor((to - from) / step + 1e-9) + 1
}
