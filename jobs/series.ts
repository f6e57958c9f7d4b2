// Curves of a backtest's best points: equity, drawdown, position, and prices beside them, at few enough dates to be drawn.
import { z } from 'zod'
import { type Column, type ColumnsFound, type Deps } from './deps.ts'
import { keptRows } from './downsample.ts'
import { AppError } from './errors.ts'
import type { JobRow } from './plan.ts'
import { holdOf, type PricesFound, pricesOf, whyNoHold } from './prices.ts'
import { findTable, numbersOf, readTable, shownTime, textsOf } from './result-tables.ts'

export const seriesColumns = ['equity', 'drawdown', 'position', 'price', 'hold'] as const
export type SeriesColumn = (typeof seriesColumns)[number]
/** Two for each pixel of a chart; more than the second are seen by nobody. */
export const defaultPoints = 2_000
export const mostPoints = 10_000
/** One bucket of all columns. */
export const leastPoints = 20

export interface SeriesQuery {
  rank: number
  symbol?: string | undefined
  columns: readonly SeriesColumn[]
  from?: string | undefined
  to?: string | undefined
  max_points: number
}

export interface LeftOut {
  column: SeriesColumn
  reason: string
  text: string
}

export interface SeriesView {
  rank: number
  symbol: string | null
  symbols: string[]
  shared: boolean
  cash: number | null
  rows: number
  sampled: boolean
  series: { date: string[] } & Partial<Record<SeriesColumn, (number | null)[]>>
  left_out: LeftOut[]
}

/** What the program says of its run, as far as curves need it. */
const resultForm = z.object({
  effective_spec: z
    .object({
      execution: z.object({ cash: z.number().positive() }),
      portfolio: z.object({ mode: z.string() }),
    })
    .optional()
    .catch(undefined),
  data: z
    .object({ symbols: z.array(z.string()) })
    .optional()
    .catch(undefined),
})

interface Curve {
  kind: Column['kind']
  dates: Float64Array
  columns: Map<SeriesColumn, Float64Array>
}

/** Throws AppError job_not_finished, no_result, invalid_request, table_too_large, table_unreadable. */
export async function readSeries(deps: Deps, job: JobRow, query: SeriesQuery): Promise<SeriesView> {
  const table = await findTable(deps, job, 'equity.parquet')
  const { symbols, shared, cash } = factsOf(job)
  // One purse has one account; a symbol of it has prices alone.
  const account = shared && query.symbol !== undefined ? 'portfolio' : query.symbol
  const found = await readTable(
    deps,
    { name: 'equity.parquet', file: table.file },
    {
      columns: ['symbol', 'date', 'equity', 'position', 'drawdown'],
      where: { rank: query.rank, ...(account === undefined ? {} : { symbol: account }) },
    },
    'Name a symbol.',
  )
  if (found.rows === 0) throw notThere(query, symbols)
  const accounts = textsOf(found, 'symbol').texts.length
  const curve = accounts === 1 ? alone(found) : together(found, accounts, cash)
  const whole = cash === null ? null : cash * accounts
  const left_out: LeftOut[] = []
  if (shared && query.symbol !== undefined && query.symbol !== 'portfolio') forget(curve, query, left_out)
  await addPrices(deps, job, { query, curve, symbols, shared, cash: whole, left_out })
  return {
    rank: query.rank,
    symbol: query.symbol ?? null,
    symbols,
    shared,
    cash: whole,
    ...shownCurve(curve, query),
    left_out,
  }
}

function factsOf({ result }: JobRow) {
  const { data, effective_spec } = resultForm.safeParse(result).data ?? {}
  return {
    symbols: data?.symbols ?? [],
    shared: effective_spec?.portfolio.mode === 'shared',
    cash: effective_spec?.execution.cash ?? null,
  }
}

function notThere({ rank, symbol }: SeriesQuery, symbols: readonly string[]): AppError {
  const path = symbol === undefined || symbols.includes(symbol) ? 'rank' : 'symbol'
  const message =
    path === 'rank'
      ? `there is no rank ${rank}: the best output.top_k points are kept, from 1`
      : `${JSON.stringify(symbol)} is none of the run: it has ${symbols.slice(0, 20).join(', ')}`
  return new AppError('invalid_request', `The series cannot be read: ${message}.`, {
    errors: [{ path, message }],
  })
}

function alone(found: ColumnsFound): Curve {
  const columns = (['equity', 'drawdown', 'position'] as const).map(
    (name) => [name, numbersOf(found, name)] as const,
  )
  return { ...datesOf(found), columns: new Map<SeriesColumn, Float64Array>(columns) }
}

/**
 * Accounts added up, as the tear sheet shows them: drawdown is from the peak of the sum, which starts at the cash of all,
 * and the position is the number of accounts that hold something.
 */
function together(found: ColumnsFound, accounts: number, cash: number | null): Curve {
  const { codes } = textsOf(found, 'symbol')
  const { kind, dates } = datesOf(found)
  const places = new Map<number, number>()
  codes.forEach((code, row) => {
    if (code === 0) places.set(dates[row] as number, places.size)
  })
  if (places.size * accounts !== found.rows)
    throw new AppError('table_unreadable', 'The accounts of equity.parquet have different dates.')
  const [equity, position] = [new Float64Array(places.size), new Float64Array(places.size)]
  const [own, held] = [numbersOf(found, 'equity'), numbersOf(found, 'position')]
  for (let row = 0; row < found.rows; row++) {
    const at = places.get(dates[row] as number)
    if (at === undefined) continue
    equity[at] = (equity[at] as number) + (own[row] as number)
    if (held[row] !== 0) position[at] = (position[at] as number) + 1
  }
  let peak = cash === null ? -Infinity : cash * accounts
  const drawdown = equity.map((value) => {
    peak = Math.max(peak, value)
    return value / peak - 1
  })
  const columns = new Map<SeriesColumn, Float64Array>([
    ['equity', equity],
    ['drawdown', drawdown],
    ['position', position],
  ])
  return { kind, dates: Float64Array.from(places.keys()), columns }
}

function datesOf(found: ColumnsFound): Pick<Curve, 'kind' | 'dates'> {
  return { kind: found.columns['date']?.kind ?? 'date', dates: numbersOf(found, 'date') }
}

/** Of one symbol of a shared purse there is no account. */
function forget(curve: Curve, query: SeriesQuery, left_out: LeftOut[]): void {
  for (const column of ['equity', 'drawdown', 'position'] as const) {
    curve.columns.delete(column)
    if (query.columns.includes(column))
      left_out.push({ column, reason: 'shared', text: 'The symbols share one purse: leave symbol out.' })
  }
}

interface Priced {
  query: SeriesQuery
  curve: Curve
  symbols: readonly string[]
  shared: boolean
  cash: number | null
  left_out: LeftOut[]
}

async function addPrices(deps: Deps, job: JobRow, given: Priced): Promise<void> {
  const { query, curve, cash, left_out, shared } = given
  const wanted = (['price', 'hold'] as const).filter((column) => query.columns.includes(column))
  if (wanted.length === 0) return
  const named =
    query.symbol === undefined || query.symbol === 'portfolio' ? [...given.symbols] : [query.symbol]
  const leave = (column: 'price' | 'hold', { reason, text }: { reason: string; text: string }) =>
    void left_out.push({ column, reason, text })
  const several = {
    reason: 'no_symbol',
    text: `The run has ${named.length} symbols: name one to see its price.`,
  }
  if (named.length > 1 && !wanted.includes('hold')) return leave('price', several)
  const found: PricesFound = await pricesOf(deps, job, named, curve)
  for (const column of wanted) {
    if ('reason' in found) leave(column, found)
    else if (column === 'price') {
      const [only] = found.prices.values()
      if (named.length === 1 && only) curve.columns.set('price', only)
      else leave('price', several)
    } else {
      const part = shared && named.length === 1 ? null : cash
      const why = whyNoHold(found, part)
      if (why) leave('hold', why)
      else curve.columns.set('hold', holdOf(found, part as number))
    }
  }
}

/** The stretch that is asked for, at the rows that are kept. */
function shownCurve({ kind, dates, columns }: Curve, { from, to, max_points, ...query }: SeriesQuery) {
  const begin = from === undefined ? -Infinity : Date.parse(from)
  // A day lasts to its end.
  const end = to === undefined ? Infinity : Date.parse(to) + (to.length === 10 ? 86_400_000 - 1 : 0)
  let first = 0
  while (first < dates.length && (dates[first] as number) < begin) first++
  let last = dates.length
  while (last > first && (dates[last - 1] as number) > end) last--
  const shown = query.columns.flatMap((name) => {
    const values = columns.get(name)
    return values ? [[name, values.subarray(first, last)] as const] : []
  })
  const curves = shown.map(([, values]) => values)
  const rows = keptRows(last - first, curves, max_points)
  const series: SeriesView['series'] = { date: [] }
  for (const row of rows) series.date.push(shownTime(kind, dates[first + row] as number))
  for (const [name, values] of shown) series[name] = Array.from(rows, (row) => numberOrNull(values[row]))
  return { rows: last - first, sampled: rows.length < last - first, series }
}

const numberOrNull = (value: number | undefined) =>
  value === undefined || !Number.isFinite(value) ? null : value
