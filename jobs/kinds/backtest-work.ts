// How much work a backtest is, before it runs: for estimates, for ranking by cost and for sharding by time. Pure.
import type { Offer } from '../../providers/provider.ts'
import { canonicalSha256 } from '../canonical.ts'
import type { Part } from '../shards.ts'
import { type BacktestParams, isValidated } from './backtest.ts'
import { pointsOf } from './backtest-strategy.ts'
import { samples } from './samples.ts'

/**
 * Bar-updates a second of one core: half of what two shared cores made in `npm run bench -- backtest` and `-- portfolio`
 * (bench/results/), by what a bar may change. `states`: a built-in state alone decides; `bars`: each bar may end a position
 * (stops, shorts, rules of an exchange); `step`: a user's; `shared`: orders of all symbols meet in one purse.
 */
const updatesPerCore = { states: 1_100_000_000, bars: 210_000_000, step: 270_000_000, shared: 15_000_000 }
/** From the process's start to its end, with its files and tear sheet, but for the bars: `npm run backtest` of a few symbols. */
const start_s = 1.2
/** The kernel's threads; more cores than this have not been measured. */
const maxCores = 64
/** A merge reads and writes the points that are kept. */
const keptPoints = 1_000_000
const mergedPerSecond = 200_000
/** As docs/conventions.md §5. */
const usualFolds = 5
/** Trading days of a calendar year at US exchanges. */
const barsPerYear = 252

/** Bars times symbols times points, of all trains; null: the data is a file whose size is not known. `rows`: of a dataset. */
export function barUpdates(params: BacktestParams, rows: number | null): number | null {
  const once = updatesOnce(params, rows)
  return once && Math.ceil(once * trainedShare(params))
}

/** What share of all dates the trains are, together; lengths in dates are of a run whose dates are not known here: at most all. */
function trainedShare({ validation }: BacktestParams): number {
  if (validation?.method !== 'walk_forward') return 1
  const { folds = usualFolds, anchored, train_bars, test_bars } = validation
  if (train_bars || test_bars) return folds
  // Of folds + 1 equal parts a rolling train is one, an anchored one all that are before its test.
  return anchored ? folds / 2 : folds / (folds + 1)
}

function updatesOnce(params: BacktestParams, rows: number | null): number | null {
  const { dataset, symbols, start, end } = params.data
  const sample = dataset === undefined ? undefined : samples[dataset]
  // Of a dataset that is filtered by symbols or dates this is the most.
  if (!sample) return rows && rows * pointsOf(params)
  const from = start && start > sample.first ? start : sample.first
  const to = end && end < sample.last ? end : sample.last
  const years = Math.max(0, Date.parse(to) - Date.parse(from)) / (365.25 * 86_400_000)
  const bars = Math.max(1, years * barsPerYear)
  return Math.ceil(bars * (symbols?.length ?? sample.symbols.length) * pointsOf(params))
}

/** Seconds that the program should run, by offer; null: not known. */
export function backtestSeconds(
  params: BacktestParams,
  { role, of }: Part,
  rows: number | null,
): ((offer: Pick<Offer, 'cpu'>) => number) | null {
  if (role === 'merge') {
    const merge_s = start_s + Math.min(pointsOf(params), keptPoints) / mergedPerSecond
    return () => merge_s
  }
  const updates = barUpdates(params, rows)
  if (updates === null) return null
  const core_s = updates / of / updatesPerCore[paceOf(params)]
  return ({ cpu }) => start_s + core_s / Math.min(cpu, maxCores)
}

const stops = ['stop_loss', 'take_profit', 'trailing_stop'] as const

/** As the program's plain.py tells what its data does not. */
function paceOf(params: BacktestParams): keyof typeof updatesPerCore {
  const { strategy, portfolio, execution = {}, parameters = {} } = params
  if (portfolio?.mode === 'shared') return 'shared'
  if (strategy.source !== undefined) return 'step'
  const isStopped = stops.some((stop) => (parameters[stop] ?? execution[stop] ?? 0) !== 0)
  const { direction = 'long', profile = null, close_at_end = false } = execution
  const isPlain = direction === 'long' && profile === null && !close_at_end && !isStopped
  return isPlain && strategy.name !== undefined && strategy.entry !== 'level' ? 'states' : 'bars'
}

/** Equal for work whose durations foretell each other: the same data, strategy and, within a factor of two, size. */
export function backtestSignature(params: BacktestParams, { role, of }: Part): string {
  const { data, strategy, validation } = params
  const points = Math.round(Math.log2(pointsOf(params) / of))
  const folds = isValidated(params) ? { validation } : {}
  return canonicalSha256({ kind: 'backtest', role, data, strategy, points, ...folds }).slice(0, 16)
}
