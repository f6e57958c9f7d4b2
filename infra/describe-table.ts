// What is in a file of prices, from its ends alone: columns, rows, first and last date.
import { parquetMetadataAsync, parquetSchema } from 'hyparquet'
import { parse } from 'csv-parse/sync'
import type { DescribedTable, TableFile } from '../jobs/deps.ts'

/** A file with thousands of row groups fits. What reads it is the server itself, which must not hold more. */
const maxFooter_bytes = 8 * 1024 ** 2
/** Its length and magic, which end every file. */
const footerEnd_bytes = 8

/** Names of columns together, in characters: a list of datasets holds those of hundreds. */
const maxNames = 65_536
/** Of a date or a time as it is written; what is longer is none. */
const maxDate = 64

/** Of a CSV file the header and the first rows, and the last rows. */
const csvEnd_bytes = 64 * 1024

/** Answers with a fault for what cannot be read; throws only what reading throws. */
export async function describeTable(
  format: 'parquet' | 'csv',
  file: TableFile,
): Promise<DescribedTable | { fault: string }> {
  const told = await (format === 'parquet' ? describeParquet(file) : describeCsv(file))
  return 'fault' in told ? told : checked(told)
}

/** What can be stored and shown of what a file says of itself. */
function checked({ columns, rows, first, last }: DescribedTable): DescribedTable | { fault: string } {
  if (columns.some((name) => name.includes('\0')))
    return { fault: 'a name of a column holds a NUL character' }
  const names = columns.reduce((sum, { length }) => sum + length, 0)
  if (names > maxNames)
    return {
      fault: `the names of its ${columns.length} columns have ${names} characters, at most ${maxNames}`,
    }
  if (rows !== null && !(Number.isSafeInteger(rows) && rows >= 0))
    return { fault: 'its footer tells no number of rows that a file can have' }
  const isDate = (text: string | null) => text !== null && text.length <= maxDate && !text.includes('\0')
  return isDate(first) && isDate(last)
    ? { columns, rows, first, last }
    : { columns, rows, first: null, last: null }
}

async function describeParquet({ bytes, read }: TableFile): Promise<DescribedTable | { fault: string }> {
  const slice = async (start: number, end = bytes) => {
    const part = await read(start, end)
    return part.buffer.slice(part.byteOffset, part.byteOffset + part.byteLength) as ArrayBuffer
  }
  if (bytes < footerEnd_bytes) return { fault: 'it is too short to be a Parquet file' }
  const end = await read(bytes - footerEnd_bytes, bytes)
  const footer_bytes = new DataView(end.buffer, end.byteOffset).getUint32(0, true)
  if (footer_bytes > maxFooter_bytes)
    return { fault: `its footer has ${footer_bytes} bytes, at most ${maxFooter_bytes} are read` }
  try {
    const metadata = await parquetMetadataAsync({ byteLength: bytes, slice })
    const columns = parquetSchema(metadata).children.map(({ element }) => element.name)
    const range = metadata.row_groups.flatMap(({ columns: chunks }) => {
      const statistics = chunks.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === 'date')
        ?.meta_data?.statistics
      return [shown(statistics?.min_value), shown(statistics?.max_value)].filter((each) => each !== null)
    })
    return { columns, rows: Number(metadata.num_rows), ...ends(range) }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}

async function describeCsv({ bytes, read }: TableFile): Promise<DescribedTable | { fault: string }> {
  try {
    const head = await linesOf(read, 0, Math.min(bytes, csvEnd_bytes), bytes)
    const [columns = [], ...rows] = parse(head, { relax_column_count: true }) as string[][]
    const at = columns.indexOf('date')
    const tail = await linesOf(read, Math.max(0, bytes - csvEnd_bytes), bytes, bytes)
    const last = (parse(tail, { relax_column_count: true, relax_quotes: true }) as string[][]).at(-1)
    const dates = [rows[0]?.[at], last?.[at]].filter((each) => each !== undefined)
    return { columns, rows: null, ...ends(rows.length === 0 ? [] : dates) }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}

/** The whole lines of a stretch of the file. */
async function linesOf(read: TableFile['read'], start: number, end: number, bytes: number): Promise<string> {
  const text = new TextDecoder('utf-8', { ignoreBOM: false }).decode(await read(start, end))
  const from = start === 0 ? 0 : text.indexOf('\n') + 1
  const to = end === bytes ? text.length : text.lastIndexOf('\n') + 1
  return text.slice(from, to)
}

/** Dates as they are written compare as they follow each other, in either order of the file. */
function ends(dates: readonly string[]): Pick<DescribedTable, 'first' | 'last'> {
  const sorted = dates.toSorted()
  return { first: sorted[0] ?? null, last: sorted.at(-1) ?? null }
}

function shown(value: unknown): string | null {
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'string' ? value : null
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error)).slice(0, 200)
