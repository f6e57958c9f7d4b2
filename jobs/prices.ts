// The closes that a job worked with, at the dates of its curves, where this server has them.
import type { Column, ColumnsFound, Deps, TableFile } from './deps.ts'
import { findJobDataset } from './datasets.ts'
import type { JobRow } from './plan.ts'
import { read, storedFile } from './result-tables.ts'

interface Dates {
  kind: Column['kind']
  dates: Float64Array
}
export interface Why {
  reason: string
  text: string
}
interface Prices {
  /** By symbol; NaN where it has no bar. */
  prices: Map<string, Float64Array>
  adjustment: 'none' | 'split' | 'total'
}
export type PricesFound = Prices | Why

/** Of the symbols that are named; why not, where they cannot be had. */
export async function pricesOf(
  deps: Deps,
  job: JobRow,
  symbols: readonly string[],
  { kind, dates }: Dates,
): Promise<PricesFound> {
  const source = await sourceOf(deps, job)
  if ('reason' in source) return source
  const [only] = symbols
  const where = symbols.length === 1 && only !== undefined ? { where: { symbol: only } } : {}
  const columns = { columns: ['date', 'close'], optional: ['symbol'] }
  let found = await read(deps, source.format, source.file, { ...columns, ...where })
  // A file of one series needs no names.
  if ('fault' in found && found.fault.code === 'no_column' && symbols.length === 1)
    found = await read(deps, source.format, source.file, columns)
  if ('fault' in found) return { reason: found.fault.code, text: `Of the prices: ${found.fault.detail}.` }
  const times = timesOf(found, kind)
  if (times === null) return { reason: 'no_match', text: 'The dates of the prices are not those of the run.' }
  const prices = aligned(found, times, symbols, dates)
  return prices === null
    ? { reason: 'no_match', text: 'The prices have none of the run’s dates or symbols.' }
    : { prices, adjustment: source.adjustment }
}

async function sourceOf(
  deps: Deps,
  job: JobRow,
): Promise<{ file: TableFile; format: 'parquet' | 'csv'; adjustment: Prices['adjustment'] } | Why> {
  const params = job.spec.params as { data?: { dataset?: string } }
  const name = params.data?.dataset
  if (name?.startsWith('sample:')) {
    const file = await deps.sample_prices(name)
    return file
      ? { file, format: 'parquet', adjustment: 'total' }
      : { reason: 'not_here', text: `This server does not have the prices of ${name}.` }
  }
  const dataset = job.dataset_id === null ? null : await findJobDataset(deps, { job_id: job.id })
  if (!dataset)
    return { reason: 'not_kept', text: 'The job read its prices from files that are not kept here.' }
  return { file: storedFile(deps, dataset), format: dataset.format, adjustment: dataset.reading.adjustment }
}

/** In milliseconds, as the run's own; null: they cannot be compared. */
function timesOf({ columns }: ColumnsFound, kind: Column['kind']): Float64Array | null {
  const date = columns['date']
  if (date === undefined) return null
  if (date.kind === 'text') {
    const values = date.texts.map((text) => (/^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN))
    return kind === 'date' ? Float64Array.from(date.codes, (code) => values[code] ?? Number.NaN) : null
  }
  if (kind === 'date') return date.values.every((value) => value % 86_400_000 === 0) ? date.values : null
  return date.kind === 'time' ? date.values : null
}

function aligned(
  found: ColumnsFound,
  times: Float64Array,
  symbols: readonly string[],
  dates: Float64Array,
): Map<string, Float64Array> | null {
  const close = found.columns['close']
  const symbol = found.columns['symbol']
  if (close === undefined || close.kind === 'text') return null
  const places = new Map(Array.from(dates, (date, at) => [date, at]))
  const wanted = new Map(symbols.map((name) => [name, new Float64Array(dates.length).fill(Number.NaN)]))
  const byCode = symbol?.kind === 'text' ? symbol.texts.map((text) => wanted.get(text)) : null
  const only = symbols.length === 1 ? wanted.get(symbols[0] ?? '') : undefined
  let matched = 0
  for (let row = 0; row < found.rows; row++) {
    const target = symbol?.kind === 'text' && byCode ? byCode[symbol.codes[row] as number] : only
    const at = target && places.get(times[row] as number)
    if (target === undefined || at === undefined) continue
    target[at] = close.values[row] as number
    matched++
  }
  return matched === 0 ? null : wanted
}

export function whyNoHold({ prices, adjustment }: Prices, cash: number | null): Why | null {
  if (cash === null)
    return { reason: 'no_cash', text: 'The cash that the symbols would be bought with is not known.' }
  if (adjustment === 'none')
    return {
      reason: 'not_adjusted',
      text: 'The prices are not adjusted for splits and dividends: what they were held for cannot be said by them.',
    }
  for (const [symbol, values] of prices)
    if (values.every((value) => Number.isNaN(value)))
      return { reason: 'no_match', text: `The prices have no bar of ${symbol} on the run’s dates.` }
  return null
}

/** The cash in equal parts in all symbols from the first close of each in the run, fractions held, without costs. */
export function holdOf({ prices }: Prices, cash: number): Float64Array {
  const part = cash / prices.size
  let sum: Float64Array | null = null
  for (const values of prices.values()) {
    sum ??= new Float64Array(values.length)
    let [first, last] = [Number.NaN, Number.NaN]
    for (let at = 0; at < values.length; at++) {
      const value = values[at] as number
      if (!Number.isNaN(value)) last = value
      if (Number.isNaN(first)) first = last
      sum[at] = (sum[at] as number) + (Number.isNaN(first) ? part : (part * last) / first)
    }
  }
  return sum ?? new Float64Array()
}
