// The lines of a log, put together from chunks that may end within a line.
import type { LogLine as Chunk } from '../../api/types.ts'

export interface Line {
  text: string
  stream: Chunk['stream']
  shard: number
  attempt: number
  at: string
}

/** More lines than this are not held by a page: the file can be downloaded. */
export const maxLines = 2_000_000

export interface Lines {
  all: Line[]
  /** Lines without their end, by writer. */
  open: Map<string, Line>
  /** Where to go on reading, as the API writes it. */
  positions: Map<string, number>
}

export const noLines = (): Lines => ({ all: [], open: new Map(), positions: new Map() })

/** Adds chunks to what is there: an array that grows, for a million lines are not copied for each chunk. */
export function addChunks(lines: Lines, chunks: readonly Chunk[]): void {
  for (const { shard, attempt, number, at, stream, text } of chunks) {
    lines.positions.set(`${shard}.${attempt}`, number)
    const key = `${shard}.${attempt}.${stream}`
    const parts = text.split('\n')
    const rest = parts.pop() ?? ''
    for (const part of parts) {
      const begun = lines.open.get(key)
      if (begun === undefined) lines.all.push({ text: part, stream, shard, attempt, at })
      else {
        begun.text += part
        lines.open.delete(key)
      }
    }
    if (rest === '') continue
    const begun = lines.open.get(key)
    if (begun !== undefined) begun.text += rest
    else {
      const line = { text: rest, stream, shard, attempt, at }
      lines.all.push(line)
      lines.open.set(key, line)
    }
  }
  if (lines.all.length > maxLines) lines.all.splice(0, lines.all.length - maxLines)
}

/** As functions/read-logs.ts takes it. */
export const cursorOf = ({ positions }: Lines): string =>
  [...positions].map(([key, number]) => `${key}:${number}`).join(',')
