// Columns of a Parquet file that somebody else wrote, within bounds: what it says of itself is not believed.
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parquetMetadata, parquetRead, parquetSchema } from 'hyparquet'
import type { ColumnMetaData, Compressors, FileMetaData, RowGroup, SchemaElement } from 'hyparquet'
import type { ColumnsFound, ColumnsWanted, TableFault } from '../../jobs/deps.ts'
import { checkPages } from './pages.ts'
import { collect, type Collector, kindOf, TableFailed } from './collect.ts'

/** 30,000 row groups of six columns have 20 MiB: a file a rank and symbol of the largest market. */
const maxFooter_bytes = 32 * 1024 ** 2
/** Trailing length and magic, which every file has. */
const tail_bytes = 8

export interface ReadFile {
  bytes: number
  read: (start: number, end: number) => Promise<Uint8Array>
}

/** Throws TableFailed for what is too large or cannot be read. */
export async function readParquet(
  file: ReadFile,
  wanted: ColumnsWanted,
): Promise<ColumnsFound | { fault: TableFault }> {
  const metadata = await readFooter(file)
  const elements = columnsOf(metadata)
  const names = namesOf(elements, wanted)
  const where = Object.entries(wanted.where ?? {}).map(
    ([name, value]) => [nameIn(elements, name), value] as const,
  )
  const groups = chosenGroups(metadata, elements, where)
  checkSize(groups, new Set([...names.values(), ...where.map(([name]) => name)]), wanted)
  const collectors = new Map([...names].map(([name, found]) => [name, collect(elements.get(found))]))
  const found: ColumnsFound = { rows: 0, at: [], columns: {} }
  for (const { group, start } of groups) {
    const rows = Number(group.num_rows)
    if (rows === 0) continue
    const read = (name: string) => readChunk(file, { metadata, group, elements }, name)
    const kept = await rowsOf(where, { elements, group, rows, read })
    if (kept.length === 0) continue
    for (const [name, column] of names)
      (collectors.get(name) as Collector).add(await read(column), kept, rows)
    found.rows += kept.length
    found.at.push({ start, kept: kept.length === rows ? null : kept })
  }
  for (const [name, collector] of collectors) found.columns[name] = collector.done()
  return found
}

async function readFooter(file: ReadFile): Promise<FileMetaData> {
  if (file.bytes < 12) throw new TableFailed('unreadable', 'it is too short to be a Parquet file')
  const tail = await file.read(file.bytes - tail_bytes, file.bytes)
  const size = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true) + tail_bytes
  if (size > file.bytes) throw new TableFailed('unreadable', 'its footer is larger than the file')
  if (size > maxFooter_bytes)
    throw new TableFailed('too_large', `its footer has ${size} bytes, ${maxFooter_bytes} are read`)
  return parquetMetadata(await file.read(file.bytes - size, file.bytes), {
    geoparquet: false,
    parsers: plain,
  })
}

/** Times as milliseconds, so that no object is made a value. */
const plain = {
  timestampFromMilliseconds: (value: bigint) => Number(value),
  timestampFromMicroseconds: (value: bigint) => Number(value / 1_000n),
  timestampFromNanoseconds: (value: bigint) => Number(value / 1_000_000n),
  dateFromDays: (days: number) => days * 86_400_000,
} as never

function columnsOf(metadata: FileMetaData): Map<string, SchemaElement> {
  const flat = parquetSchema(metadata).children.filter(({ children }) => children.length === 0)
  return new Map(flat.map(({ element }) => [element.name, element]))
}

/** By its name, whatever its case: prices of users are read so. */
const nameIn = (elements: Map<string, SchemaElement>, name: string): string =>
  elements.has(name)
    ? name
    : ([...elements.keys()].find((each) => each.toLowerCase() === name.toLowerCase()) ?? name)

/** Of each wanted column its name in the file. */
function namesOf(elements: Map<string, SchemaElement>, { columns, optional = [] }: ColumnsWanted) {
  const names = new Map<string, string>()
  if (columns === 'all') {
    for (const [name, element] of elements) if (kindOf(element) !== null) names.set(name, name)
    return names
  }
  for (const name of [...columns, ...optional]) {
    const found = nameIn(elements, name)
    if (elements.has(found)) names.set(name, found)
    else if (columns.includes(name)) throw new TableFailed('no_column', `it has no column ${name}`)
  }
  return names
}

type Where = readonly (readonly [string, number | string])[]

/** Those that may hold such rows, by their statistics, with the number of their first row. */
function chosenGroups(metadata: FileMetaData, elements: Map<string, SchemaElement>, where: Where) {
  let start = 0
  const groups = metadata.row_groups.map((group) => {
    const first = start
    start += Number(group.num_rows)
    return { group, start: first }
  })
  return groups.filter(({ group }) =>
    where.every(([name, value]) => {
      if (!elements.has(name)) throw new TableFailed('no_column', `it has no column ${name}`)
      const range = rangeOf(metaOf(group, name))
      return range === null || !isOutside(value, range)
    }),
  )
}

function isOutside(value: number | string, { min, max }: { min: unknown; max: unknown }): boolean {
  if (typeof value === 'number' && typeof min === 'number') return value < min || value > Number(max)
  return typeof value === 'string' && typeof min === 'string' && (value < min || value > String(max))
}

function rangeOf(meta: ColumnMetaData | undefined) {
  const { min_value: min, max_value: max, null_count } = meta?.statistics ?? {}
  const isComparable = ['number', 'string'].includes(typeof min) && typeof min === typeof max
  return isComparable ? { min: min as number, max: max as number, nulls: Number(null_count ?? 1n) } : null
}

const metaOf = (group: RowGroup, name: string) =>
  group.columns.find(({ meta_data }) => meta_data?.path_in_schema.join('.') === name)?.meta_data

function checkSize(
  groups: readonly { group: RowGroup }[],
  names: ReadonlySet<string>,
  { max_cells, max_bytes }: ColumnsWanted,
): void {
  let [rows, bytes] = [0, 0]
  for (const { group } of groups) {
    rows += Number(group.num_rows)
    for (const { meta_data } of group.columns)
      if (meta_data && names.has(meta_data.path_in_schema.join('.')))
        bytes += Number(meta_data.total_uncompressed_size)
  }
  // Of a chunk that lies about its size checkPages says so.
  if (!(rows * names.size <= max_cells))
    throw new TableFailed(
      'too_large',
      `${rows} rows of ${names.size} columns are asked for, and ${max_cells} values are read at once`,
    )
  if (!(bytes <= max_bytes))
    throw new TableFailed('too_large', `${bytes} bytes are asked for, and ${max_bytes} are read at once`)
}

interface Group {
  elements: Map<string, SchemaElement>
  group: RowGroup
  rows: number
  read: (name: string) => Promise<ArrayLike<unknown>>
}

/** The rows of a group that are asked for, by their numbers in it. */
async function rowsOf(where: Where, { group, rows, read }: Group): Promise<Int32Array> {
  let kept = Int32Array.from({ length: rows }, (_, row) => row)
  for (const [name, value] of where) {
    const range = rangeOf(metaOf(group, name))
    if (range !== null && range.min === value && range.max === value && range.nulls === 0) continue
    const values = await read(name)
    kept = kept.filter((row) => plainOf(values[row]) === value)
  }
  return kept
}

/** Columns of 64 bits hold bigints. */
const plainOf = (value: unknown) => (typeof value === 'bigint' ? Number(value) : value)

/** One column of one group, decoded. Its pages are looked at before any is decoded. */
async function readChunk(
  file: ReadFile,
  { metadata, group, elements }: Pick<Group, 'group' | 'elements'> & { metadata: FileMetaData },
  name: string,
): Promise<ArrayLike<unknown>> {
  const meta = metaOf(group, name)
  if (!meta || !elements.has(name)) throw new TableFailed('no_column', `it has no column ${name}`)
  const begin = Number(meta.dictionary_page_offset || meta.data_page_offset)
  const end = begin + Number(meta.total_compressed_size)
  if (begin < 0 || end > file.bytes || begin > end)
    throw new TableFailed('unreadable', 'a column lies outside the file')
  const bytes = await file.read(begin, end)
  checkPages(bytes, { rows: Number(group.num_rows), bytes: Number(meta.total_uncompressed_size) })
  const slice = (from: number, to = file.bytes) => {
    if (from < begin || to > end) throw new TableFailed('unreadable', 'its pages lie outside their column')
    return bytes.buffer.slice(bytes.byteOffset + from - begin, bytes.byteOffset + to - begin) as ArrayBuffer
  }
  const parts: { start: number; values: ArrayLike<unknown> }[] = []
  await parquetRead({
    file: { byteLength: file.bytes, slice },
    metadata: { ...metadata, row_groups: [group], num_rows: group.num_rows },
    columns: [name],
    compressors,
    parsers: plain,
    onChunk: ({ columnData, rowStart }) => void parts.push({ start: rowStart, values: columnData }),
  })
  if (parts.length === 1) return parts[0]?.values ?? []
  const all: unknown[] = []
  for (const { values } of parts.toSorted((a, b) => a.start - b.start))
    for (let i = 0; i < values.length; i++) all.push(values[i])
  return all
}

/** The page says how long it is unpacked, and checkPages that this is within bounds. */
const compressors: Compressors = {
  ZSTD: (bytes, length) => zstdDecompressSync(bytes, { maxOutputLength: Math.max(length, 1) }),
  GZIP: (bytes, length) => gunzipSync(bytes, { maxOutputLength: Math.max(length, 1) }),
}
