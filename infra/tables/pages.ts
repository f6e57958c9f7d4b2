// The headers of the pages of a column, before anything is unpacked: a page may claim any size and any number of values.
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js'
import { TableFailed } from './collect.ts'

interface Bounds {
  /** Of the row group: a flat column has a value a row. */
  rows: number
  /** Of the column, unpacked, as the footer says; that sum has been checked. */
  bytes: number
}

interface PageHeader {
  field_2?: number
  field_3?: number
  /** A page of data, a dictionary, a page of data of version 2; each says its number of values first. */
  field_5?: { field_1?: number }
  field_7?: { field_1?: number }
  field_8?: { field_1?: number }
}

function claimsOf({ field_3, field_5, field_7, field_8 }: PageHeader) {
  const packed = field_3 ?? -1
  const here = field_5?.field_1 ?? field_8?.field_1 ?? 0
  const known = field_7?.field_1 ?? 0
  if (Math.min(packed, here, known) < 0) throw new TableFailed('unreadable', 'a page has a negative size')
  return { packed, here, known }
}

/** Writers count headers in the sum or not; some bytes a page. */
const slack_bytes = 1024 ** 2

/** Throws TableFailed unless the pages hold what the footer says. */
export function checkPages(chunk: Uint8Array, { rows, bytes }: Bounds): void {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const reader = { view, offset: 0 }
  let [values, unpacked] = [0, 0]
  while (reader.offset < chunk.byteLength - 1 && values < rows) {
    const header = deserializeTCompactProtocol(reader) as PageHeader
    const { packed, here, known } = claimsOf(header)
    reader.offset += packed
    values += here
    unpacked += Math.max(header.field_2 ?? 0, 0)
    // A dictionary of more values than there are rows would hold some that nothing names.
    if (values > rows || known > Math.max(rows, 1))
      throw new TableFailed('unreadable', `its pages claim more values than the ${rows} rows of their group`)
    if (unpacked > bytes + slack_bytes)
      throw new TableFailed('unreadable', 'its pages claim to be larger than the footer says')
  }
}
