// A job's log: numbered chunks by attempt. A cursor names a position in each attempt, `shard.attempt:number`
// joined by commas, so that shards that write at the same time are read without a gap.
import { type Insertable, type Selectable, sql } from 'kysely'
import { z } from 'zod'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import { createGroup } from './group.ts'
import { masked } from './mask.ts'
import type { RunnerAttempt } from './report.ts'
import { maskOf } from './secrets.ts'
import type { Database, Tables, Tx } from './store/schema.ts'

/** Most chunks a page holds. */
export const maxLogPage = 1_000
/** Attempts whose positions a cursor names: 64 shards with some retries. Of more, those that another of the shard followed are left out. */
const maxPositions = 512

export const logChunk = z
  .object({
    number: z.int().min(1).max(2_147_483_647),
    at: z.iso.datetime({ offset: true }),
    stream: z.enum(['stdout', 'stderr', 'runner']),
    text: z.string().max(262_144),
  })
  .meta({ id: 'LogChunk' })
export type LogChunk = z.infer<typeof logChunk>

export interface LogLine {
  shard: number
  attempt: number
  number: number
  at: string
  stream: 'stdout' | 'stderr' | 'runner'
  text: string
}

/** Of one attempt: what a program says first and last is what is read. */
const head_bytes = 32 * 1024 ** 2
const tail_bytes = 32 * 1024 ** 2

/** Stores one chunk without its secrets; a repeated number is a no-op. Durable when it answers. Rejects with AppError: busy. */
export type AppendLog = (attempt: RunnerAttempt, chunk: LogChunk, isGone?: () => boolean) => Promise<void>

/** Text in one statement: some tens of milliseconds, and sixteen of the largest chunks. */
const mostTogether_chars = 4 * 1024 ** 2

/** Chunks that come at once are written together. */
export function createLogs(deps: Deps): AppendLog {
  const group = createGroup<Chunk, void>({
    name: 'chunks of logs',
    clock: deps.clock,
    gather: deps.gather,
    weigh: ({ text }) => 1 + text.length,
    most_weight: mostTogether_chars,
    async run(chunks) {
      for (const some of oneOfEach(chunks)) await storeChunks(deps.db, some)
      return chunks.map(() => ({ value: undefined }))
    },
  })
  return async (attempt, chunk, isGone) => {
    const mask = await maskOf(deps, attempt)
    const row = {
      project_id: attempt.project_id,
      job_id: attempt.job_id,
      attempt_id: attempt.id,
      number: chunk.number,
      at: new Date(chunk.at),
      stream: chunk.stream,
      text: masked(mask(chunk.text)),
      partition_at: attempt.created_at,
    }
    await group(row, isGone)
    deps.waker.wake(topics.job(attempt.job_id))
  }
}

type Chunk = Insertable<Tables['log_chunks']>
type Size = Pick<
  Selectable<Tables['log_sizes']>,
  'attempt_id' | 'bytes' | 'head_number' | 'tail_number' | 'tail_bytes' | 'dropped_bytes'
>

/**
 * Chunks of one log are counted one after the other: a second one is a repeated one, or that of a runner which did not wait.
 * In the order of their logs, so that servers do not wait for each other.
 */
function oneOfEach(chunks: readonly Chunk[]): Chunk[][] {
  const logs = Map.groupBy(chunks, ({ attempt_id }) => attempt_id)
  const sorted = [...logs.values()].toSorted(([a], [b]) =>
    (a?.attempt_id ?? '') < (b?.attempt_id ?? '') ? -1 : 1,
  )
  const most = Math.max(...sorted.map(({ length }) => length))
  return Array.from({ length: most }, (_, n) => sorted.flatMap((log) => log[n] ?? []))
}

async function storeChunks(db: Database, chunks: readonly Chunk[]): Promise<void> {
  const sizes = await insertChunks(db, chunks)
  for (const chunk of chunks) {
    const size = sizes.find(({ attempt_id }) => attempt_id === chunk.attempt_id)
    if (size && size.bytes > head_bytes) await db.transaction().execute((tx) => dropMiddle(tx, chunk, size))
  }
}

/** Stores chunks, each of another log, and adds them to the sizes of those, at once; answers the sizes of those that had not been counted. */
async function insertChunks(db: Database, chunks: readonly Chunk[]): Promise<readonly Size[]> {
  // Not as arrays: drivers escape each character of a text that stands in one.
  const { rows } = await sql<Size>`/* store chunks */
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(chunks)}::json) as given(project_id text, job_id text,
        attempt_id text, number int, at timestamptz, stream text, text text, partition_at timestamptz)),
    stored as (
      insert into log_chunks (project_id, job_id, attempt_id, number, at, stream, text, partition_at)
      select project_id, job_id, attempt_id, number, at, stream, text, partition_at from given
      on conflict do nothing)
    insert into log_sizes as known (attempt_id, project_id, bytes, counted)
    select attempt_id, project_id, octet_length(text), number from given
    on conflict (attempt_id) do update set bytes = known.bytes + excluded.bytes, counted = excluded.counted,
      tail_bytes = case when known.head_number is null then 0 else known.tail_bytes + excluded.bytes end
    where known.counted < excluded.counted
    returning attempt_id, known.bytes, head_number, tail_number, known.tail_bytes, dropped_bytes`.execute(db)
  return rows
}

/** Keeps the beginning and the end of a log that has become too long. */
async function dropMiddle(tx: Tx, { attempt_id, partition_at, number }: Chunk, size: Size): Promise<void> {
  if (size.head_number === null) {
    const begins = { head_number: number, tail_number: number + 1, tail_bytes: 0 }
    await tx.updateTable('log_sizes').set(begins).where('attempt_id', '=', attempt_id).execute()
    return
  }
  if (size.tail_bytes <= tail_bytes) return
  const oldest = await tx
    .selectFrom('log_chunks')
    .select(['number', sql<number>`octet_length(text)`.as('bytes')])
    .where('attempt_id', '=', attempt_id)
    .where('partition_at', '=', partition_at)
    .where('number', '>=', size.tail_number ?? 0)
    .orderBy('number')
    .limit(maxDropped)
    .execute()
  let left = size.tail_bytes
  const gone = oldest.filter(({ bytes }) => {
    if (left <= tail_bytes) return false
    left -= bytes
    return true
  })
  const last = gone.at(-1)
  if (!last) return
  await tx
    .deleteFrom('log_chunks')
    .where('attempt_id', '=', attempt_id)
    .where('partition_at', '=', partition_at)
    .where('number', '>=', size.tail_number ?? 0)
    .where('number', '<=', last.number)
    .execute()
  const dropped = size.dropped_bytes + size.tail_bytes - left
  await tx
    .updateTable('log_sizes')
    .set({ tail_number: last.number + 1, tail_bytes: left, dropped_bytes: dropped })
    .where('attempt_id', '=', attempt_id)
    .execute()
}
/** Chunks that one more chunk pushes out: many small ones for one large one. */
const maxDropped = 10_000

/** The next chunks after a cursor, in order within each attempt, attempts in order of their start. */
export async function readLogs(
  deps: Deps,
  job_id: string,
  cursor: string | null,
  limit: number,
): Promise<{ items: LogLine[]; cursor: string }> {
  const place = parseCursor(cursor)
  const { positions } = place
  const newest = place.is_cut ? newestOf(positions) : null
  const attempts = await deps.db
    .selectFrom('attempts')
    .modifyFront(sql`/* attempts with logs */`)
    .select(['id', 'shard_index', 'number', 'created_at'])
    .where('job_id', '=', job_id)
    .orderBy('id')
    .execute()
  const items: LogLine[] = []
  for (const attempt of attempts) {
    if (items.length >= limit) break
    const key = `${attempt.shard_index}.${attempt.number}`
    // Attempts of a shard follow each other: what was before one that has been read was read to its end.
    if (!positions.has(key) && attempt.number < (newest?.get(attempt.shard_index) ?? 0)) continue
    const rows = await deps.db
      .selectFrom('log_chunks')
      .select(['number', 'at', 'stream', 'text'])
      .where('attempt_id', '=', attempt.id)
      .where('partition_at', '=', attempt.created_at)
      .where('number', '>', positions.get(key) ?? 0)
      .orderBy('number')
      .limit(limit - items.length)
      .execute()
    let read = positions.get(key) ?? 0
    for (const row of rows) {
      const of = { shard: attempt.shard_index, attempt: attempt.number, at: row.at.toISOString() }
      if (row.number > read + 1) items.push({ ...of, ...gap(row.number - read - 1), number: row.number - 1 })
      items.push({ ...of, number: row.number, stream: row.stream, text: row.text })
      read = row.number
    }
    const last = rows.at(-1)
    if (last) positions.set(key, last.number)
  }
  return { items, cursor: formatCursor(place) }
}

/** Says where the middle of a log that was too long is missing. */
const gap = (chunks: number): Pick<LogLine, 'stream' | 'text'> => ({
  stream: 'runner',
  text: `[... ${chunks} chunks are not kept: of a long log the first and the last ${head_bytes / 1024 ** 2} MiB are ...]\n`,
})

/** The cursor right after one line, given the cursor before it. */
export function advance(cursor: string | null, line: LogLine): string {
  const place = parseCursor(cursor)
  place.positions.set(`${line.shard}.${line.attempt}`, line.number)
  return formatCursor(place)
}

/** How far a log was read: the last number of each attempt that has one. */
interface LogPlace {
  positions: Map<string, number>
  /** Of each shard only the newest attempt is named: of those before it nothing more is read. */
  is_cut: boolean
}
const cutMark = 'newest'

function parseCursor(cursor: string | null): LogPlace {
  const positions = new Map<string, number>()
  if (cursor === null || cursor === '') return { positions, is_cut: false }
  const parts = cursor.split(',')
  const is_cut = parts[0] === cutMark
  if (is_cut) parts.shift()
  if (parts.length > maxPositions) throw new AppError('invalid_cursor', 'The cursor names too many attempts.')
  for (const part of parts) {
    const match = /^(\d{1,6}\.\d{1,6}):(\d{1,10})$/.exec(part)
    if (!match?.[1] || !match[2])
      throw new AppError('invalid_cursor', 'A log cursor is what an earlier page or event id gave.')
    positions.set(match[1], Number(match[2]))
  }
  return { positions, is_cut }
}

function formatCursor({ positions, is_cut }: LogPlace): string {
  const cuts = is_cut || positions.size > maxPositions
  const newest = cuts ? newestOf(positions) : null
  const named = [...positions].filter(([key]) => {
    const [shard, attempt] = placeOf(key)
    return newest === null || attempt === newest.get(shard)
  })
  return [...(cuts ? [cutMark] : []), ...named.map(([key, number]) => `${key}:${number}`)].join(',')
}

/** Of each shard the newest attempt that has a position. */
function newestOf(positions: ReadonlyMap<string, number>): Map<number, number> {
  const newest = new Map<number, number>()
  for (const key of positions.keys()) {
    const [shard, attempt] = placeOf(key)
    newest.set(shard, Math.max(attempt, newest.get(shard) ?? 0))
  }
  return newest
}

function placeOf(key: string): [shard: number, attempt: number] {
  const [shard = 0, attempt = 0] = key.split('.').map(Number)
  return [shard, attempt]
}
