// The tables that a job has left: found, read within bounds, and what is said where that cannot be done.
import { findArtifact } from './artifacts.ts'
import {
  type Column,
  type ColumnsFound,
  type ColumnsWanted,
  type Deps,
  type TableFile,
  TablesBusy,
} from './deps.ts'
import { AppError } from './errors.ts'
import type { JobRow } from './plan.ts'
import { isTerminal } from './state.ts'

/** Ten years of days of a thousand symbols, or of minutes of one: a second or so of one core. */
export const max_cells = 6_000_000
export const max_bytes = 128 * 1024 ** 2
const busy_s = 2

export interface ResultTable {
  /** Of its content. */
  sha256: string
  file: TableFile
}

/** Throws AppError job_not_finished, no_result. */
export async function findTable(deps: Deps, job: JobRow, name: string): Promise<ResultTable> {
  const found = await findArtifact(deps, job.cached_from ?? job.id, name)
  if (found) return { sha256: found.sha256, file: storedFile(deps, found) }
  if (!isTerminal(job.state))
    throw new AppError(
      'job_not_finished',
      `${job.id} is ${job.state}, and ${name} is written at its end: ask again later.`,
    )
  throw new AppError('no_result', `${job.id} has no ${name}: ${whyNone(job)}`)
}

const whyNone = ({ kind }: JobRow) =>
  kind === 'backtest'
    ? 'it has not succeeded, or its output.top_k is 0.'
    : `jobs of the kind ${kind} write none, but for programs that do.`

/** An object of the store as a file. */
export function storedFile(
  { store }: Pick<Deps, 'store'>,
  { object_key, bytes }: { object_key: string; bytes: number },
): TableFile {
  return {
    bytes,
    async read(start, end) {
      const found = await store.get(object_key, { start, end })
      return new Uint8Array(await new Response(found?.body ?? null).arrayBuffer())
    },
  }
}

/** Throws AppError busy, table_too_large, table_unreadable; `narrower` says how to ask for less. */
export async function readTable(
  deps: Deps,
  { name, file }: { name: string; file: TableFile },
  wanted: Omit<ColumnsWanted, 'max_cells' | 'max_bytes'>,
  narrower: string,
): Promise<ColumnsFound> {
  const found = await read(deps, 'parquet', file, wanted)
  if (!('fault' in found)) return found
  const { code, detail } = found.fault
  if (code === 'too_large')
    throw new AppError('table_too_large', `${name} is too large to be read here: ${detail}. ${narrower}`)
  throw new AppError('table_unreadable', `${name} is not as a backtest writes it: ${detail}.`)
}

/** Throws AppError busy. */
export async function read(
  deps: Deps,
  format: 'parquet' | 'csv',
  file: TableFile,
  wanted: Omit<ColumnsWanted, 'max_cells' | 'max_bytes'>,
) {
  try {
    return await deps.tables.read(format, file, { ...wanted, max_cells, max_bytes })
  } catch (cause) {
    if (!(cause instanceof TablesBusy)) throw cause
    throw new AppError('busy', 'Too many results are being read: try again in a moment.', {
      headers: { 'Retry-After': String(busy_s) },
      cause,
    })
  }
}

/** Numbers or times of a column that was asked for. */
export function numbersOf({ columns }: ColumnsFound, name: string): Float64Array {
  const column = columns[name]
  if (column === undefined || column.kind === 'text')
    throw new AppError('table_unreadable', `The column ${name} holds no numbers.`)
  return column.values
}

export function textsOf({ columns }: ColumnsFound, name: string): { texts: string[]; codes: Int32Array } {
  const column = columns[name]
  if (column?.kind !== 'text') throw new AppError('table_unreadable', `The column ${name} holds no texts.`)
  return column
}

/** As a day where the column holds days. */
export const shownTime = (kind: Column['kind'], ms: number): string =>
  kind === 'date' ? new Date(ms).toISOString().slice(0, 10) : new Date(ms).toISOString()
