// Lines of a job's log that hold a text. Bounded in bytes and time: a page says where the next one goes on.
import type { Deps } from './deps.ts'
import { advance, type LogLine, readLogs } from './logs.ts'

/** Looked through for one page, and for at most so long: a page answers within a second or two. */
const maxScanned_bytes = 64 * 1024 ** 2
const maxScan_ms = 2_000
/** Chunks read at once: at most 16 MiB. */
const chunksAtOnce = 64

/** `cursor` null: the whole log was looked through. Items hold the lines that match, whatever their case. */
export async function searchLogs(
  deps: Deps,
  job_id: string,
  query: { search: string; cursor: string | null; limit: number },
): Promise<{ items: LogLine[]; cursor: string | null }> {
  const needle = query.search.toLowerCase()
  const until_ms = deps.clock.now().getTime() + maxScan_ms
  const items: LogLine[] = []
  let { cursor } = query
  for (let scanned = 0; scanned < maxScanned_bytes && deps.clock.now().getTime() < until_ms;) {
    const { items: chunks } = await readLogs(deps, job_id, cursor, chunksAtOnce)
    for (const chunk of chunks) {
      if (items.length === query.limit) return { items, cursor }
      cursor = advance(cursor, chunk)
      scanned += chunk.text.length
      const text = matching(chunk.text, needle)
      if (text !== '') items.push({ ...chunk, text })
    }
    if (chunks.length < chunksAtOnce) return { items, cursor: null }
  }
  return { items, cursor }
}

function matching(text: string, needle: string): string {
  if (!text.toLowerCase().includes(needle)) return ''
  const lines = text.split(/(?<=\n)/)
  return lines.filter((line) => line.toLowerCase().includes(needle)).join('')
}
