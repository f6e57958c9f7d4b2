// A process of its own that decodes files: whatever one makes of it, its memory and its time end with it.
import type { ColumnsFound, ColumnsWanted, TableFault } from '../../jobs/deps.ts'
import { decode } from './decode.ts'

export interface Task {
  format: 'parquet' | 'csv'
  bytes: number
  wanted: ColumnsWanted
}
export type Told =
  | { told: 'read'; start: number; end: number }
  | { told: 'found'; found: ColumnsFound | { fault: TableFault } }
export type Given = { given: 'task'; task: Task } | { given: 'bytes'; bytes: Uint8Array }

let arrived: ((bytes: Uint8Array) => void) | null = null

process.on('message', (message: Given) => {
  if (message.given === 'bytes') return arrived?.(message.bytes)
  void work(message.task).then((found) => tell({ told: 'found', found }))
})
// The server is gone.
process.on('disconnect', () => process.exit(0))

function work({ format, bytes, wanted }: Task): Promise<ColumnsFound | { fault: TableFault }> {
  const read = async (start: number, end: number) => {
    const { promise, resolve } = Promise.withResolvers<Uint8Array>()
    arrived = resolve
    tell({ told: 'read', start, end })
    return await promise
  }
  return decode(format, { bytes, read }, wanted)
}

const tell = (message: Told) => process.send?.(message)
