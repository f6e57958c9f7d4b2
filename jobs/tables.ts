// Rows of a Parquet file that a job has left, few enough to be drawn.
import type { Column, ColumnsFound, Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { JobRow } from './plan.ts'
import { findTable, readTable, shownTime } from './result-tables.ts'

export const defaultRows = 1_000
export const mostRows = 10_000
/** More columns than this are no table that somebody reads. */
const maxColumns = 64

export interface TableQuery {
  name: string
  columns?: readonly string[] | undefined
  /** `column:value` */
  where?: string | undefined
  max_rows: number
}

export interface TableView {
  name: string
  rows: number
  sampled: boolean
  columns: Record<string, (number | string | null)[]>
}

/** Throws AppError job_not_finished, no_result, invalid_request, table_too_large, table_unreadable. */
export async function readRows(deps: Deps, job: JobRow, query: TableQuery): Promise<TableView> {
  const table = await findTable(deps, job, query.name)
  const where = query.where === undefined ? {} : { where: conditionOf(query.where) }
  const found = await readTable(
    deps,
    { name: query.name, file: table.file },
    query.columns ? { columns: [], optional: query.columns, ...where } : { columns: 'all', ...where },
    'Name some columns, or read it as an artifact.',
  )
  const missing = query.columns?.find((name) => found.columns[name] === undefined)
  if (missing !== undefined)
    throw wrong('columns', `there is no column ${JSON.stringify(missing.slice(0, 64))}`)
  const names = Object.keys(found.columns).slice(0, maxColumns)
  const rows = spread(found.rows, query.max_rows)
  return {
    name: query.name,
    rows: found.rows,
    sampled: rows.length < found.rows,
    columns: Object.fromEntries(names.map((name) => [name, shown(found, name, rows)])),
  }
}

function conditionOf(text: string): Record<string, number | string> {
  const colon = text.indexOf(':')
  if (colon < 1) throw wrong('where', 'must be column:value')
  const value = text.slice(colon + 1)
  return { [text.slice(0, colon)]: /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value }
}

function wrong(path: string, message: string): AppError {
  return new AppError('invalid_request', `The table cannot be read: ${message}.`, {
    errors: [{ path, message }],
  })
}

/** The golden ratio: places by it fall into step with no period of a file, as even steps would with its symbols. */
const golden = 0.618_033_988_749_895

/** All rows, or as many of them as are asked for, one in each of equal stretches; the same each time. */
export function spread(rows: number, most: number): Int32Array {
  if (rows <= most) return Int32Array.from({ length: rows }, (_, row) => row)
  return Int32Array.from({ length: most }, (_, at) => Math.floor(((at + ((at * golden) % 1)) * rows) / most))
}

function shown({ columns }: ColumnsFound, name: string, rows: Int32Array): (number | string | null)[] {
  const column = columns[name] as Column
  if (column.kind === 'text')
    return Array.from(rows, (row) => column.texts[column.codes[row] as number] ?? null)
  return Array.from(rows, (row) => {
    const value = column.values[row] as number
    if (!Number.isFinite(value)) return null
    return column.kind === 'number' ? value : shownTime(column.kind, value)
  })
}
