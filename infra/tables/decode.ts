import {
  type ColumnsFound,
  type ColumnsWanted,
  StoreFailed,
  type TableFault,
  type TableFile,
} from '../../jobs/deps.ts'
import { TableFailed } from './collect.ts'
import { readCsv } from './csv.ts'
import { readParquet } from './parquet.ts'

/** What is wanted of a file, or why it cannot be had. Throws StoreFailed where the file could not be fetched. */
export async function decode(
  format: 'parquet' | 'csv',
  file: TableFile,
  wanted: ColumnsWanted,
): Promise<ColumnsFound | { fault: TableFault }> {
  try {
    return await (format === 'csv' ? readCsv : readParquet)(file, wanted)
  } catch (error) {
    if (error instanceof StoreFailed) throw error
    const code = error instanceof TableFailed ? error.code : 'unreadable'
    return { fault: { code, detail: error instanceof Error ? error.message.slice(0, 300) : 'it is broken' } }
  }
}
