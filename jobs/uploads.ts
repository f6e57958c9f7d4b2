// The bytes of a dataset: in parts that may be sent again, put together and read when all of them have come.
import { findDataset, part_bytes, partsOf, partsThatCame, viewOf, type DatasetView } from './datasets.ts'
import type { Deps } from './deps.ts'
import { ObjectTooLarge } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import type { DatasetRow } from './plan.ts'
import { storedFile } from './result-tables.ts'
import type { Tx } from './store/schema.ts'
import { streamOf } from './stream.ts'

/** Stores one part, numbered from 0; the same again replaces it. Throws AppError. */
export async function putPart(
  deps: Deps,
  dataset: DatasetRow,
  number: number,
  body: ReadableStream<Uint8Array>,
): Promise<{ bytes: number; sha256: string }> {
  if (dataset.state === 'ready') throw new AppError('job_finished', `${dataset.id} is complete already.`)
  const expected = sizeOfPart(dataset.bytes, number)
  if (expected === null)
    throw new AppError('not_found', `${dataset.id} has ${partsOf(dataset.bytes)} parts, numbered from 0.`)
  const created_at = deps.clock.now()
  const object_key = `${dataset.project_id}/${dataset.id}/${newId('art', created_at, deps.random)}`
  const stored = await deps.store.put(object_key, body, { max_bytes: expected }).catch((cause: unknown) => {
    if (!(cause instanceof ObjectTooLarge)) throw cause
    throw new AppError('body_too_large', `Part ${number} has ${expected} bytes.`, { cause })
  })
  if (stored.bytes !== expected) {
    await deps.store.delete(object_key)
    throw new AppError(
      'checksum_mismatch',
      `Part ${number} has ${expected} bytes, ${stored.bytes} came: send it again.`,
    )
  }
  const named = await deps.db
    .transaction()
    .execute((tx) => namePart(tx, dataset, { ...stored, number, object_key, created_at }))
  if (named === null) {
    await deps.store.delete(object_key)
    throw new AppError('job_finished', `${dataset.id} was completed or deleted before part ${number} came.`)
  }
  if (named.before !== undefined) await deps.store.delete(named.before)
  return stored
}

interface Part {
  number: number
  bytes: number
  sha256: string
  object_key: string
  created_at: Date
}

/** Answers the object that the part replaces; null: the upload is over. */
async function namePart(
  tx: Tx,
  { id: dataset_id, project_id }: DatasetRow,
  part: Part,
): Promise<{ before: string | undefined } | null> {
  // Locked, so that of a part that comes twice at once the second sees the first.
  const open = await tx
    .selectFrom('datasets')
    .select('id')
    .where('id', '=', dataset_id)
    .where('state', '=', 'uploading')
    .where('deleted_at', 'is', null)
    .forNoKeyUpdate()
    .executeTakeFirst()
  if (!open) return null
  const row = await tx
    .selectFrom('dataset_parts')
    .select('object_key')
    .where('dataset_id', '=', dataset_id)
    .where('number', '=', part.number)
    .executeTakeFirst()
  await tx
    .insertInto('dataset_parts')
    .values({ dataset_id, project_id, ...part })
    .onConflict((conflict) => conflict.columns(['dataset_id', 'number']).doUpdateSet(part))
    .execute()
  return { before: row?.object_key }
}

/** null: there is no such part. */
function sizeOfPart(bytes: number, number: number): number | null {
  if (number < 0 || number >= partsOf(bytes)) return null
  return Math.min(part_bytes, bytes - number * part_bytes)
}

/**
 * Puts the parts together, compares the whole with its sha256 and reads what is in it. The same again answers with
 * what it is. Throws AppError: checksum_mismatch, invalid_request.
 */
export async function completeDataset(deps: Deps, dataset: DatasetRow): Promise<DatasetView> {
  if (dataset.state === 'ready') return viewOf(deps, dataset)
  const parts = await partsThatCame(deps, dataset.id)
  const missing = partsOf(dataset.bytes) - parts.length
  if (missing > 0)
    throw new AppError('invalid_request', `${missing} of ${partsOf(dataset.bytes)} parts are missing.`, {
      errors: [{ path: 'parts', message: `${missing} are missing` }],
    })
  const now = deps.clock.now()
  const object_key = `${dataset.project_id}/${dataset.id}/${newId('art', now, deps.random)}`
  const whole = joined(
    deps,
    parts.map((part) => part.object_key),
  )
  let stored
  try {
    stored = await deps.store.put(object_key, whole, { max_bytes: dataset.bytes })
  } catch (error) {
    return await partsGone(deps, dataset, parts, error)
  }
  try {
    if (stored.sha256 !== dataset.sha256) {
      // Which of them is wrong is not known: kept, they would be what every later push goes on with.
      await dropParts(deps, dataset.id)
      throw new AppError(
        'checksum_mismatch',
        `The parts together have the sha256 ${stored.sha256}, not ${dataset.sha256}: the file was changed, or damaged on its way. Send all parts again.`,
      )
    }
    const { columns, rows, first, last } = await describe(deps, dataset, object_key)
    const { numUpdatedRows } = await deps.db
      .updateTable('datasets')
      .set({ state: 'ready', object_key, columns: JSON.stringify(columns), rows, first, last, ready_at: now })
      .where('id', '=', dataset.id)
      .where('state', '=', 'uploading')
      .where('deleted_at', 'is', null)
      .executeTakeFirst()
    // Two that complete it at once: the other's object is the dataset's.
    if (numUpdatedRows === 0n) await deps.store.delete(object_key)
  } catch (error) {
    await deps.store.delete(object_key)
    throw error
  }
  await dropParts(deps, dataset.id)
  return viewOf(deps, await findDataset(deps, dataset.project_id, dataset.id))
}

/** Parts could not be read: another request has completed or deleted the dataset, or sent one of them again, or they are lost. */
async function partsGone(
  deps: Deps,
  { project_id, id }: DatasetRow,
  parts: readonly { object_key: string }[],
  error: unknown,
): Promise<DatasetView> {
  const dataset = await findDataset(deps, project_id, id)
  if (dataset.state === 'ready') return viewOf(deps, dataset)
  const now = new Set((await partsThatCame(deps, id)).map(({ object_key }) => object_key))
  if (parts.every(({ object_key }) => now.has(object_key))) throw error
  throw new AppError('checksum_mismatch', `Parts of ${id} were sent again meanwhile: complete it again.`)
}

async function describe(deps: Deps, { format, bytes }: DatasetRow, object_key: string) {
  const told = await deps.describe_table(format, storedFile(deps, { object_key, bytes }))
  if ('fault' in told)
    throw new AppError('invalid_request', `The file cannot be read as ${format}: ${told.fault}`, {
      errors: [{ path: 'format', message: told.fault }],
    })
  for (const column of ['date', 'close'])
    if (!told.columns.includes(column)) {
      const message = `has no column ${column}; it has ${told.columns.slice(0, 20).join(', ')}`
      throw new AppError('invalid_request', `The file ${message}.`, {
        errors: [{ path: 'columns', message }],
      })
    }
  return told
}

/** One stream of many objects; each is opened when the one before it has been read. */
function joined(deps: Deps, object_keys: readonly string[]): ReadableStream<Uint8Array> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for (const key of object_keys) {
      const part = await deps.store.get(key)
      if (!part) throw new Error(`part ${key} is gone`)
      yield* part.body
    }
  }
  return streamOf(chunks())
}

/** Removes the parts of an upload; what fails after the rows are gone costs space until the store is tidied. */
export async function dropParts(
  { db, store }: Pick<Deps, 'db' | 'store'>,
  dataset_id: string,
): Promise<void> {
  const gone = await db
    .deleteFrom('dataset_parts')
    .where('dataset_id', '=', dataset_id)
    .returning('object_key')
    .execute()
  for (const { object_key } of gone) await store.delete(object_key)
}
