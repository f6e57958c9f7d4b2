// A job's log: numbered chunks by attempt. A cursor names a position in each attempt, `shard.attempt:number`
// joined by commas, so that shards that write at the same time are read without a gap.
import { z } from 'zod'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import type { AttemptRow } from './plan.ts'

/** Most chunks a page holds. */
export const maxLogPage = 1_000
/** Attempts whose positions a cursor can name: 64 shards with some retries; more are read from their start. */
const maxPositions = 512

export const logChunk = z
  .object({
    number: z.int().min(1),
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

/** Stores one chunk; a repeated number is a no-op. Durable when this returns. */
export async function appendLog(deps: Deps, attempt: AttemptRow, chunk: LogChunk): Promise<void> {
  await deps.db
    .insertInto('log_chunks')
    .values({
      project_id: attempt.project_id,
      job_id: attempt.job_id,
      attempt_id: attempt.id,
      number: chunk.number,
      at: new Date(chunk.at),
      stream: chunk.stream,
      text: chunk.text,
      partition_at: attempt.created_at,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  deps.waker.wake(topics.job(attempt.job_id))
}

/** The next chunks after a cursor, in order within each attempt, attempts in order of their start. */
export async function readLogs(
  deps: Deps,
  job_id: string,
  cursor: string | null,
  limit: number,
): Promise<{ items: LogLine[]; cursor: string }> {
  const positions = parseCursor(cursor)
  const attempts = await deps.db
    .selectFrom('attempts')
    .select(['id', 'shard_index', 'number', 'created_at'])
    .where('job_id', '=', job_id)
    .orderBy('id')
    .execute()
  const items: LogLine[] = []
  for (const attempt of attempts) {
    if (items.length >= limit) break
    const key = `${attempt.shard_index}.${attempt.number}`
    const rows = await deps.db
      .selectFrom('log_chunks')
      .select(['number', 'at', 'stream', 'text'])
      .where('attempt_id', '=', attempt.id)
      .where('partition_at', '=', attempt.created_at)
      .where('number', '>', positions.get(key) ?? 0)
      .orderBy('number')
      .limit(limit - items.length)
      .execute()
    for (const row of rows)
      items.push({ shard: attempt.shard_index, attempt: attempt.number, ...row, at: row.at.toISOString() })
    const last = rows.at(-1)
    if (last) positions.set(key, last.number)
  }
  return { items, cursor: formatCursor(positions) }
}

/** The cursor right after one line, given the cursor before it. */
export function advance(cursor: string | null, line: LogLine): string {
  const positions = parseCursor(cursor)
  positions.set(`${line.shard}.${line.attempt}`, line.number)
  return formatCursor(positions)
}

function parseCursor(cursor: string | null): Map<string, number> {
  const positions = new Map<string, number>()
  if (cursor === null || cursor === '') return positions
  const parts = cursor.split(',')
  if (parts.length > maxPositions) throw new AppError('invalid_cursor', 'The cursor names too many attempts.')
  for (const part of parts) {
    const match = /^(\d{1,6}\.\d{1,6}):(\d{1,9})$/.exec(part)
    if (!match?.[1] || !match[2])
      throw new AppError('invalid_cursor', 'A log cursor is what an earlier page or event id gave.')
    positions.set(match[1], Number(match[2]))
  }
  return positions
}

const formatCursor = (positions: ReadonlyMap<string, number>) =>
  [...positions]
    .slice(-maxPositions)
    .map(([key, number]) => `${key}:${number}`)
    .join(',')
