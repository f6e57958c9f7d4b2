// Reads a log from its beginning and on while the job runs.
import { EventSourceParserStream } from 'eventsource-parser/stream'
import type { Api } from '../../api/client.ts'
import { asProblem, isPassing, type ProblemError } from '../../api/problem.ts'
import type { LogLine as Chunk } from '../../api/types.ts'
import { addChunks, cursorOf, type Lines } from './lines.ts'

/** The first page is on screen at once; a chunk is up to 256 KiB. */
const firstPage = 4
const nextPages = 16
const pause_ms = 1_000
const maxPause_ms = 15_000

export interface LogReading {
  api: Api
  job_id: string
  lines: Lines
  signal: AbortSignal
  /** Called after each addition. */
  onMore: () => void
  onState: (state: 'reading' | 'following' | 'over' | ProblemError) => void
}

export async function readLog(reading: LogReading): Promise<void> {
  const { signal, onState } = reading
  for (let pause = pause_ms; !signal.aborted; pause = Math.min(2 * pause, maxPause_ms)) {
    try {
      onState('reading')
      await readPages(reading)
      onState('following')
      if (await follow(reading)) return onState('over')
      pause = pause_ms
    } catch (error) {
      if (signal.aborted) return
      const problem = asProblem(error)
      onState(problem)
      if (!isPassing(problem)) return
    }
    await new Promise((done) => setTimeout(done, pause))
  }
}

async function readPages({ api, job_id, lines, signal, onMore }: LogReading): Promise<void> {
  for (let limit = lines.all.length === 0 ? firstPage : nextPages; ; limit = nextPages) {
    const query = new URLSearchParams({ limit: String(limit), cursor: cursorOf(lines) })
    const answer = await api.send(`/v1/jobs/${job_id}/logs?${query}`, { signal })
    const { items, next_cursor } = (await answer.json()) as { items: Chunk[]; next_cursor: string | null }
    for (const chunk of items) {
      addChunks(lines, [chunk])
      // Between two chunks the page may draw and be scrolled.
      await turn()
    }
    onMore()
    if (next_cursor === null) return
  }
}

/** Streams on; true: nothing more will come. */
async function follow({ api, job_id, lines, signal, onMore }: LogReading): Promise<boolean> {
  const headers = { Accept: 'text/event-stream', 'Last-Event-ID': cursorOf(lines) }
  const answer = await api.send(`/v1/jobs/${job_id}/logs`, { headers, signal })
  if (answer.body === null) return false
  const events = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
  for await (const { event, data } of events as unknown as AsyncIterable<{ event?: string; data: string }>) {
    if (event === 'end') return true
    addChunks(lines, [JSON.parse(data) as Chunk])
    onMore()
  }
  return false
}

/** Lets the browser do what waits. */
const turn = () => new Promise<void>((done) => setTimeout(done, 0))
