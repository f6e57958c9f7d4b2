// Columns of files, decoded where the request is answered: an isolate is a process of its own with bounds of its own, and
// what takes more than a little is left to a server on Node.
import { type ColumnReader, TablesBusy } from '../../jobs/deps.ts'

/** Decoding takes memory several times that; an isolate has 128 MB in all. */
const max_bytes = 16 * 1024 ** 2
const max_cells = 1_000_000
/** At once: their memory is the isolate's. */
const mostReading = 2

export function createInlineReader(): ColumnReader {
  let reading = 0
  return {
    async read(format, file, wanted) {
      if (reading >= mostReading) throw new TablesBusy('too many tables are being read')
      reading++
      try {
        const bounds = {
          max_bytes: Math.min(max_bytes, wanted.max_bytes),
          max_cells: Math.min(max_cells, wanted.max_cells),
        }
        // Loaded with the first file: so are those that describe one (compose.ts).
        const { decode } = await import('../tables/decode.ts')
        return await decode(format, file, { ...wanted, ...bounds })
      } finally {
        reading--
      }
    },
  }
}
