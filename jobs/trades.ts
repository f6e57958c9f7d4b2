// The trades of a backtest's best points, in pages.
import { z } from 'zod'
import type { ColumnsFound, Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { JobRow } from './plan.ts'
import { findTable, numbersOf, readTable, shownTime, textsOf } from './result-tables.ts'

export const tradeOrders = [
  'entry_date',
  '-entry_date',
  'pnl',
  '-pnl',
  'return',
  '-return',
  'bars',
  '-bars',
] as const
type TradeOrder = (typeof tradeOrders)[number]

export interface TradeView {
  rank: number
  symbol: string
  entry_date: string
  exit_date: string | null
  entry_price: number | null
  exit_price: number | null
  units: number | null
  fees: number | null
  pnl: number | null
  return: number | null
  bars: number | null
  exit_reason: string | null
  open: boolean
}

export interface TradesQuery {
  rank: number
  symbol?: string | undefined
  sort: TradeOrder
  limit: number
  cursor?: string | undefined
}

const days = ['entry_date', 'exit_date'] as const
const numbers = ['entry_price', 'exit_price', 'units', 'fees', 'pnl', 'return', 'bars', 'open'] as const

/** By keyset over the file, which does not change. Throws AppError, of the cursor too. */
export async function listTrades(
  deps: Deps,
  job: JobRow,
  query: TradesQuery,
): Promise<{ items: TradeView[]; next_cursor: string | null; total: number }> {
  const { file, sha256 } = await findTable(deps, job, 'trades.parquet')
  const mark = `${sha256.slice(0, 8)}.${query.rank}.${query.sort}.${query.symbol ?? ''}`
  const after = query.cursor === undefined ? null : parseCursor(query.cursor, mark)
  const found = await readTable(
    deps,
    { name: 'trades.parquet', file },
    {
      columns: ['symbol', 'exit_reason', ...days, ...numbers],
      where: { rank: query.rank, ...(query.symbol === undefined ? {} : { symbol: query.symbol }) },
    },
    'Name a symbol.',
  )
  const order = ordered(found, query.sort)
  // The place in the order is a key, because neither the file nor the order changes.
  const first = after === null ? 0 : after
  const page = order.subarray(first, first + query.limit)
  const next = first + page.length
  return {
    items: Array.from(page, (row) => tradeView(found, query.rank, row)),
    next_cursor: next < order.length ? cursorOf(mark, next) : null,
    total: order.length,
  }
}

/** Rows by a column, those without a value last, equals as the file has them. */
function ordered(found: ColumnsFound, sort: TradeOrder): Int32Array {
  const values = numbersOf(found, sort.replace('-', ''))
  const sign = sort.startsWith('-') ? -1 : 1
  const rows = Int32Array.from({ length: found.rows }, (_, row) => row)
  return rows.sort((a, b) => {
    const [one, other] = [values[a] as number, values[b] as number]
    const empty = Number(Number.isNaN(one)) - Number(Number.isNaN(other))
    if (empty !== 0) return empty
    return (Number.isNaN(one) ? 0 : sign * (one - other)) || a - b
  })
}

function tradeView(found: ColumnsFound, rank: number, row: number): TradeView {
  const text = (name: string) => {
    const { texts, codes } = textsOf(found, name)
    return texts[codes[row] as number] ?? null
  }
  const number = (name: string) => {
    const value = numbersOf(found, name)[row] as number
    return Number.isFinite(value) ? value : null
  }
  const day = (name: string) => {
    const value = number(name)
    return value === null ? null : shownTime(found.columns[name]?.kind ?? 'date', value)
  }
  return {
    rank,
    symbol: text('symbol') ?? '',
    entry_date: day('entry_date') ?? '',
    exit_date: day('exit_date'),
    entry_price: number('entry_price'),
    exit_price: number('exit_price'),
    units: number('units'),
    fees: number('fees'),
    pnl: number('pnl'),
    return: number('return'),
    bars: number('bars'),
    exit_reason: text('exit_reason'),
    open: number('open') === 1,
  }
}

const cursorForm = z.tuple([z.string(), z.int().min(0)])

const cursorOf = (mark: string, place: number) =>
  Buffer.from(JSON.stringify([mark, place])).toString('base64url')

function parseCursor(text: string, mark: string): number {
  try {
    const [given, place] = cursorForm.parse(JSON.parse(Buffer.from(text, 'base64url').toString()))
    if (given === mark) return place
  } catch (cause) {
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.', { cause })
  }
  throw new AppError('invalid_cursor', 'The cursor is of another rank, symbol, order or result.')
}
