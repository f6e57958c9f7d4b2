// Columns of a CSV file of prices, which is read whole.
import { parse } from 'csv-parse/sync'
import type { ColumnsFound, ColumnsWanted, TableFault } from '../../jobs/deps.ts'
import { TableFailed } from './collect.ts'
import type { ReadFile } from './parquet.ts'

/** Half a million lines, in a few seconds. */
const maxCsv_bytes = 16 * 1024 ** 2
const date = /^\d{4}-\d\d-\d\d$/
/** With its zone. */
const instant = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/

/** Columns of dates, times, numbers and texts, as their first value looks. Throws TableFailed. */
export async function readCsv(
  file: ReadFile,
  wanted: ColumnsWanted,
): Promise<ColumnsFound | { fault: TableFault }> {
  if (file.bytes > maxCsv_bytes)
    throw new TableFailed('too_large', `it is a CSV file of ${file.bytes} bytes, ${maxCsv_bytes} are read`)
  const text = new TextDecoder().decode(await file.read(0, file.bytes))
  const [header = [], ...lines] = parse(text, {
    bom: true,
    relax_column_count: true,
    skip_empty_lines: true,
  }) as string[][]
  const heads = header.map((name) => name.trim().toLowerCase())
  const columns: ColumnsFound['columns'] = {}
  const required = wanted.columns === 'all' ? heads : wanted.columns
  for (const name of [...required, ...(wanted.optional ?? [])]) {
    const at = heads.indexOf(name.toLowerCase())
    if (at >= 0) columns[name] = columnOf(lines.map((line) => line[at]?.trim() ?? ''))
    else if (required.includes(name)) throw new TableFailed('no_column', `it has no column ${name}`)
  }
  return { rows: lines.length, at: [{ start: 0, kept: null }], columns }
}

function columnOf(values: readonly string[]): ColumnsFound['columns'][string] {
  const first = values.find((value) => value !== '') ?? ''
  if (date.test(first))
    return { kind: 'date', values: Float64Array.from(values, (value) => Date.parse(value)) }
  if (instant.test(first))
    return { kind: 'time', values: Float64Array.from(values, (value) => Date.parse(value)) }
  if (first !== '' && Number.isFinite(Number(first)))
    return {
      kind: 'number',
      values: Float64Array.from(values, (value) => (value === '' ? Number.NaN : Number(value))),
    }
  const texts = [...new Set(values)]
  const codes = new Map(texts.map((text, code) => [text, code]))
  return { kind: 'text', texts, codes: Int32Array.from(values, (value) => codes.get(value) ?? -1) }
}
