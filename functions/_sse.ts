import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { Deps } from '../jobs/deps.ts'
import { topics } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import { clientsFault, logFailure } from './_problem.ts'
import { poll_ms } from './_wait.ts'

/** Between two comments that keep proxies from closing a quiet stream. */
const keepAlive_ms = 15_000
/** A key that is revoked, and who has left, hear no more after this. */
const recheck_ms = 10_000
/** The largest message in that time is half a megabit a second; who takes less reads no more, and would hold its place for good. */
const stalled_ms = 120_000

export interface Message {
  id: string
  event: string
  data: string
}

export const wantsStream = (c: Context<Env>) => /\btext\/event-stream\b/.test(c.req.header('accept') ?? '')

/** What is streamed, read on from a cursor. */
export interface Source {
  start: string | null
  /** What is there after the cursor; `over`: nothing more will come. */
  next: (cursor: string | null) => Promise<{ messages: Message[]; cursor: string | null; over: boolean }>
  /** Resolves when there may be more than at the last look, at the latest after some time. */
  wait: (ms: number, signal: AbortSignal) => Promise<void>
}

/** Waits for changes of a job. */
export const waitForJob =
  (deps: Deps, job_id: string): Source['wait'] =>
  (ms, signal) =>
    deps.waker.wait(topics.job(job_id), ms, signal)

/**
 * Streams a source, in order, until it says that nothing more will come or the bound of BERTH_SSE_MAX_S is reached;
 * clients resume with Last-Event-ID.
 */
export function streamEvents(
  c: Context<Env>,
  deps: Deps,
  { start, next, wait }: Source,
  ended = () => {},
): Response {
  c.header('X-Accel-Buffering', 'no')
  const answer = streamSSE(c, async (stream) => {
    const gone = new AbortController()
    stream.onAbort(() => gone.abort())
    const end = deps.clock.now().getTime() + deps.settings.sse_max_s * 1_000
    let cursor = start
    let spoke_at = deps.clock.now().getTime()
    let checked_at = spoke_at
    const taken = async (written: Promise<unknown>) => {
      const timer = setTimeout(() => stream.abort(), stalled_ms)
      await written.finally(() => clearTimeout(timer))
    }
    try {
      // Bun and some proxies send nothing of an answer, its status neither, before its first byte.
      await taken(stream.write(': here\n\n'))
      while (!gone.signal.aborted && deps.clock.now().getTime() < end) {
        if (deps.clock.now().getTime() - checked_at >= recheck_ms) {
          await c.get('check_again')()
          checked_at = deps.clock.now().getTime()
        }
        const found = await next(cursor)
        for (const message of found.messages) await taken(stream.writeSSE(message))
        cursor = found.cursor
        if (found.over && found.messages.length === 0)
          return await taken(stream.writeSSE({ event: 'end', data: '{}' }))
        if (found.messages.length > 0) spoke_at = deps.clock.now().getTime()
        else await wait(poll_ms, gone.signal)
        if (deps.clock.now().getTime() - spoke_at >= keepAlive_ms) {
          await taken(stream.write(': still here\n\n'))
          spoke_at = deps.clock.now().getTime()
        }
      }
    } catch (error) {
      // The status has gone out: the stream ends, and its reader comes again. The library would print the error, parameters and all.
      if (!clientsFault(error)) logFailure(error, c, deps.log)
    } finally {
      ended()
    }
  })
  // The library has another.
  answer.headers.set('Cache-Control', 'no-store')
  return answer
}
