// Decoded values, put together column by column in forms that are small and cheap to hand on.
import type { SchemaElement } from 'hyparquet'
import type { Column, TableFault } from '../../jobs/deps.ts'

/** What is told of a table that is not read. */
export class TableFailed extends Error {
  override readonly name = 'TableFailed'
  readonly code: TableFault['code']

  constructor(code: TableFault['code'], detail: string) {
    super(detail)
    this.code = code
  }
}

export interface Collector {
  /** Of `rows` values those of the rows in `kept`. */
  add: (values: ArrayLike<unknown>, kept: Int32Array, rows: number) => void
  done: () => Column
}

/** Different texts of one column: beyond it they are no names. */
const maxTexts = 200_000

export function collect(element: SchemaElement | undefined): Collector {
  const kind = element === undefined ? null : kindOf(element)
  if (kind === null)
    throw new TableFailed('unreadable', `the type of its column ${element?.name ?? ''} is not read here`)
  return kind === 'text' ? collectTexts() : collectNumbers(kind)
}

/** null: neither numbers, nor times, nor texts. */
export function kindOf({ type, logical_type, converted_type }: SchemaElement): Column['kind'] | null {
  const logical = logical_type?.type ?? converted_type
  if (logical === 'DATE') return 'date'
  if (logical_type?.type === 'TIMESTAMP') return logical_type.isAdjustedToUTC ? 'time' : 'naive_time'
  if (converted_type?.startsWith('TIMESTAMP')) return 'time'
  if (type === 'BYTE_ARRAY') return logical === 'UTF8' || logical === 'STRING' ? 'text' : null
  return type === 'FIXED_LEN_BYTE_ARRAY' || type === 'INT96' ? null : 'number'
}

function collectNumbers(kind: 'number' | 'date' | 'time' | 'naive_time'): Collector {
  const parts: Float64Array[] = []
  return {
    add(values, kept, rows) {
      checkLength(values, rows)
      const part = new Float64Array(kept.length)
      for (let i = 0; i < kept.length; i++) part[i] = numberOf(values[kept[i] as number])
      parts.push(part)
    },
    done: () => ({ kind, values: joined(parts) }),
  }
}

/** NaN: none. */
function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  if (value === null || value === undefined) return Number.NaN
  return typeof value === 'bigint' || typeof value === 'boolean' ? Number(value) : Number.NaN
}

function joined(parts: readonly Float64Array[]): Float64Array<ArrayBuffer> {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

function collectTexts(): Collector {
  const codes = new Map<string, number>()
  const found: number[] = []
  return {
    add(values, kept, rows) {
      checkLength(values, rows)
      for (const row of kept) {
        const value = values[row]
        found.push(typeof value === 'string' ? codeOf(codes, value) : -1)
      }
    },
    done: () => ({ kind: 'text', texts: [...codes.keys()], codes: Int32Array.from(found) }),
  }
}

function codeOf(codes: Map<string, number>, text: string): number {
  const known = codes.get(text)
  if (known !== undefined) return known
  if (codes.size >= maxTexts) throw new TableFailed('too_large', `a column has more than ${maxTexts} names`)
  codes.set(text, codes.size)
  return codes.size - 1
}

function checkLength(values: ArrayLike<unknown>, rows: number): void {
  if (values.length < rows) throw new TableFailed('unreadable', 'a column has fewer values than rows')
}
