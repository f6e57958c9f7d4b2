// Prices that a project uploads once and uses from any provider: named, and stored by their content.
import { z } from 'zod'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { isId, newId } from './ids.ts'
import type { AttemptRow, DatasetRow } from './plan.ts'
import type { Tx } from './store/schema.ts'

/** Ten years of minute bars of a whole market; more belongs into several. */
const maxDataset_bytes = 64 * 1024 ** 3
/** Little enough to be sent again when a line breaks, and for 64 GiB to be a few thousand of them. */
export const part_bytes = 16 * 1024 ** 2
const mostListed = 500

export const datasetRequest = z
  .strictObject({
    name: z.string().min(1).max(200),
    format: z.enum(['parquet', 'csv']),
    bytes: z.int().min(1).max(maxDataset_bytes),
    sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
    adjustment: z.enum(['none', 'split', 'total']),
    timezone: z.string().max(64).optional(),
    bar_label: z.enum(['start', 'end']).optional(),
    currency: z.string().length(3).optional(),
  })
  .meta({ id: 'DatasetRequest', description: 'A file of prices, before its bytes.' })
export type DatasetRequest = z.output<typeof datasetRequest>

export interface DatasetView {
  id: string
  name: string
  format: 'parquet' | 'csv'
  bytes: number
  sha256: string
  adjustment: 'none' | 'split' | 'total'
  timezone: string | null
  bar_label: 'start' | 'end' | null
  currency: string | null
  state: 'uploading' | 'ready'
  /** null: not known, or not before it is ready. */
  columns: string[] | null
  rows: number | null
  first: string | null
  last: string | null
  created_at: string
  /** While it is uploaded: the size of its parts, how many there are, and which have come. */
  upload: { part_bytes: number; parts: number; received: number[] } | null
}

/**
 * Begins an upload, goes on with one of the same name and content, or finds that the project has the content already.
 * Throws AppError invalid_request.
 */
export async function createDataset(
  deps: Deps,
  project_id: string,
  { name, format, bytes, sha256, ...reading }: DatasetRequest,
): Promise<{ dataset: DatasetView; created: boolean }> {
  const created_at = deps.clock.now()
  const id = newId('ds', created_at, deps.random)
  const made = await deps.db.transaction().execute(async (tx) => {
    // Of two pushes of one file that begin at once the second finds the first.
    await tx.selectFrom('projects').select('id').where('id', '=', project_id).forNoKeyUpdate().execute()
    const same = await tx
      .selectFrom('datasets')
      .selectAll()
      .where('project_id', '=', project_id)
      .where('sha256', '=', sha256)
      .where('bytes', '=', bytes)
      .where('format', '=', format)
      .where((where) => where.or([where('deleted_at', 'is', null), where('object_key', 'is not', null)]))
      .orderBy('id')
      // Held, so that its object is not removed before it is named here too.
      .forShare()
      .execute()
    const known = same.find((row) => row.deleted_at === null && isSame(row, name, reading))
    if (known) return known
    const stored = same.find(({ object_key }) => object_key !== null)
    return tx
      .insertInto('datasets')
      .values({
        id,
        project_id,
        name,
        format,
        bytes,
        sha256,
        reading: JSON.stringify(reading),
        state: stored ? 'ready' : 'uploading',
        object_key: stored?.object_key ?? null,
        columns: stored?.columns ? JSON.stringify(stored.columns) : null,
        rows: stored?.rows ?? null,
        first: stored?.first ?? null,
        last: stored?.last ?? null,
        ready_at: stored ? created_at : null,
        created_at,
      })
      .returningAll()
      .executeTakeFirstOrThrow()
  })
  return { dataset: await viewOf(deps, made), created: made.id === id }
}

const isSame = (row: DatasetRow, name: string, reading: DatasetRow['reading']) =>
  row.name === name &&
  (['adjustment', 'timezone', 'bar_label', 'currency'] as const).every(
    (field) => row.reading[field] === reading[field],
  )

export const partsOf = (bytes: number) => Math.ceil(bytes / part_bytes)

/** The parts of an upload that have come, in their order. */
export async function partsThatCame({ db }: Pick<Deps, 'db'>, dataset_id: string) {
  return db
    .selectFrom('dataset_parts')
    .select(['number', 'object_key'])
    .where('dataset_id', '=', dataset_id)
    .orderBy('number')
    .execute()
}

/** One dataset of a project; throws AppError not_found, also for another project's. */
export async function findDataset(
  deps: Pick<Deps, 'db'>,
  project_id: string,
  id: string,
): Promise<DatasetRow> {
  const row = isId('ds', id)
    ? await deps.db
        .selectFrom('datasets')
        .selectAll()
        .where('project_id', '=', project_id)
        .where('id', '=', id)
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
    : undefined
  if (!row) throw new AppError('not_found', `There is no dataset ${id.slice(0, 100)}.`)
  return row
}

export async function readDataset(deps: Deps, project_id: string, id: string): Promise<DatasetView> {
  return viewOf(deps, await findDataset(deps, project_id, id))
}

/** Newest first, by keyset. Throws AppError invalid_cursor. */
export async function listDatasets(
  deps: Deps,
  project_id: string,
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): Promise<{ items: DatasetView[]; next_cursor: string | null }> {
  if (cursor !== undefined && !isId('ds', cursor))
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  const found = await deps.db
    .selectFrom('datasets')
    .selectAll()
    .where('project_id', '=', project_id)
    .where('deleted_at', 'is', null)
    .$if(cursor !== undefined, (rows) => rows.where('id', '<', cursor ?? ''))
    .orderBy('id', 'desc')
    .limit(Math.min(limit, mostListed) + 1)
    .execute()
  const page = found.slice(0, limit)
  return {
    items: await Promise.all(page.map((row) => viewOf(deps, row))),
    next_cursor: found.length > limit ? (page.at(-1)?.id ?? null) : null,
  }
}

/** Hides it; its bytes go when no job that has not ended and no other dataset needs them. Throws AppError not_found. */
export async function deleteDataset(deps: Deps, project_id: string, id: string): Promise<void> {
  const { numUpdatedRows } = await deps.db
    .updateTable('datasets')
    .set({ deleted_at: deps.clock.now() })
    .where('project_id', '=', project_id)
    .where('id', '=', id)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) throw new AppError('not_found', `There is no dataset ${id.slice(0, 100)}.`)
}

/** The ready datasets among these ids, by id, whosever they are. */
export async function readyDatasets(
  db: Deps['db'] | Tx,
  ids: readonly string[],
): Promise<Map<string, DatasetRow>> {
  if (ids.length === 0) return new Map()
  const rows = await db
    .selectFrom('datasets')
    .selectAll()
    .where('id', 'in', [...ids])
    .where('state', '=', 'ready')
    .where('deleted_at', 'is', null)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

export interface DatasetInput {
  input: { name: string; url: string; sha256: string }
  reading: DatasetRow['reading']
}

/** What a runner fetches for a job that reads a dataset, also when it has been deleted since. */
export async function datasetInput(
  deps: Pick<Deps, 'db'>,
  attempt: Pick<AttemptRow, 'id'>,
  dataset_id: string,
): Promise<DatasetInput> {
  const { sha256, format, reading } = await deps.db
    .selectFrom('datasets')
    .select(['sha256', 'format', 'reading'])
    .where('id', '=', dataset_id)
    .executeTakeFirstOrThrow()
  const url = `/v1/attempts/${attempt.id}/dataset`
  return { input: { name: `data-0.${format}`, url, sha256 }, reading }
}

/** The object that a job reads, also when the dataset has been deleted since; null: it reads none. */
export async function findJobDataset(deps: Deps, { job_id }: Pick<AttemptRow, 'job_id'>) {
  const row = await deps.db
    .selectFrom('jobs')
    .innerJoin('datasets', 'datasets.id', 'jobs.dataset_id')
    .select(['datasets.object_key', 'datasets.bytes', 'datasets.format', 'datasets.reading'])
    .where('jobs.id', '=', job_id)
    .executeTakeFirst()
  return row?.object_key ? { ...row, object_key: row.object_key } : null
}

export async function viewOf(deps: Deps, row: DatasetRow): Promise<DatasetView> {
  const { reading } = row
  const received = row.state === 'ready' ? [] : await partsThatCame(deps, row.id)
  return {
    id: row.id,
    name: row.name,
    format: row.format,
    bytes: row.bytes,
    sha256: row.sha256,
    adjustment: reading.adjustment,
    timezone: reading.timezone ?? null,
    bar_label: reading.bar_label ?? null,
    currency: reading.currency ?? null,
    state: row.state,
    columns: row.columns,
    rows: row.rows,
    first: row.first,
    last: row.last,
    created_at: row.created_at.toISOString(),
    upload:
      row.state === 'ready'
        ? null
        : { part_bytes, parts: partsOf(row.bytes), received: received.map(({ number }) => number) },
  }
}
