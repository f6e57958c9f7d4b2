// Small Parquet files, written by hand so that tests can also write what no library would.
// https://parquet.apache.org/docs/file-format/ and the compact protocol of Thrift.

/** `days`: dates as days since 1970. */
export type Written =
  | { name: string; type: 'double' | 'int' | 'days'; values: readonly number[] }
  | { name: string; type: 'text'; values: readonly string[] }

/** What a page and the footer say instead of the truth. */
export interface Claims {
  page_values?: number
  page_bytes?: number
  group_rows?: number
  codec?: number
  column_bytes?: number
  /** Of its values: 0 is plain, 8 by a dictionary. */
  encoding?: number
  /** The column whose pages make these claims; else all. */
  of?: string
  /** Columns may hold nulls: what their pages begin with. */
  levels?: Buffer
  /** What pages hold, whatever the values. */
  packed?: Buffer
}

const types = { int: 1, days: 1, double: 5, text: 6 } as const

/** One row group of required columns, each one plain page without compression. */
export function parquetFile(columns: readonly Written[], claims: Claims = {}): Buffer<ArrayBuffer> {
  const rows = columns[0]?.values.length ?? 0
  const parts: Buffer[] = [Buffer.from('PAR1')]
  let offset = 4
  const chunks = columns.map((column) => {
    const page = claims.of === undefined || claims.of === column.name ? claims : {}
    const body = claims.packed ?? Buffer.concat([claims.levels ?? Buffer.alloc(0), plain(column)])
    const header = struct([
      [1, int(0)],
      [2, int(page.page_bytes ?? body.length)],
      [3, int(body.length)],
      [
        5,
        struct([
          [1, int(page.page_values ?? rows)],
          [2, int(page.encoding ?? 0)],
          [3, int(3)],
          [4, int(3)],
        ]),
      ],
    ]).bytes
    parts.push(header, body)
    const at = offset
    offset += header.length + body.length
    const size = header.length + body.length
    return struct([
      [2, long(at)],
      [
        3,
        struct([
          [1, int(types[column.type])],
          [2, list(5, [int(0)])],
          [3, list(8, [text(column.name)])],
          [4, int(claims.codec ?? 0)],
          [5, long(page.page_values ?? rows)],
          [6, long(claims.column_bytes ?? size)],
          [7, long(size)],
          [9, long(at)],
        ]),
      ],
    ])
  })
  const group_rows = claims.group_rows ?? rows
  const schema = columns.map((column) =>
    struct([
      [1, int(types[column.type])],
      [3, int(claims.levels ? 1 : 0)],
      [4, text(column.name)],
      ...(column.type === 'text' ? ([[6, int(0)]] as const) : []),
      ...(column.type === 'days' ? ([[6, int(6)]] as const) : []),
    ]),
  )
  const root = struct([
    [4, text('schema')],
    [5, int(columns.length)],
  ])
  const footer = struct([
    [1, int(1)],
    [2, list(12, [root, ...schema])],
    [3, long(group_rows)],
    [
      4,
      list(12, [
        struct([
          [1, list(12, chunks)],
          [2, long(offset)],
          [3, long(group_rows)],
        ]),
      ]),
    ],
  ]).bytes
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(footer.length)
  tail.write('PAR1', 4)
  return Buffer.concat([...parts, footer, tail])
}

function plain(column: Written): Buffer {
  if (column.type === 'text')
    return Buffer.concat(
      column.values.map((value) => {
        const bytes = Buffer.from(value)
        const length = Buffer.alloc(4)
        length.writeUInt32LE(bytes.length)
        return Buffer.concat([length, bytes])
      }),
    )
  const typed = column.type === 'double' ? Float64Array.from(column.values) : Int32Array.from(column.values)
  return Buffer.from(typed.buffer)
}

interface Field {
  type: number
  bytes: Buffer
}

const varint = (value: number): Buffer => {
  const bytes: number[] = []
  let left = BigInt(value)
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0))
    left >>= 7n
  } while (left > 0n)
  return Buffer.from(bytes)
}
const int = (value: number): Field => ({ type: 5, bytes: varint(value * 2) })
const long = (value: number): Field => ({ type: 6, bytes: varint(value * 2) })
const text = (value: string): Field => ({
  type: 8,
  bytes: Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]),
})
const list = (type: number, items: readonly Field[]): Field => ({
  type: 9,
  bytes: Buffer.concat([
    items.length < 15
      ? Buffer.from([(items.length << 4) | type])
      : Buffer.concat([Buffer.from([0xf0 | type]), varint(items.length)]),
    ...items.map(({ bytes }) => bytes),
  ]),
})
function struct(fields: readonly (readonly [number, Field])[]): Field {
  let before = 0
  const parts = fields.map(([id, { type, bytes }]) => {
    const head = Buffer.from([((id - before) << 4) | type])
    before = id
    return Buffer.concat([head, bytes])
  })
  return { type: 12, bytes: Buffer.concat([...parts, Buffer.from([0])]) }
}
