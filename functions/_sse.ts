import type { Context } from 'hono'
import { streamSSE } from 'hono/streaming'
import type { Deps } from '../jobs/deps.ts'
import { topics } from '../jobs/deps.ts'
import type { Env } from './_env.ts'
import { poll_ms } from './_wait.ts'

/** Between two comments that keep proxies from closing a quiet stream. */
const keepAlive_ms = 15_000

export interface Message {
  id: string
  event: string
  data: string
}

export const wantsStream = (c: Context<Env>) => /\btext\/event-stream\b/.test(c.req.header('accept') ?? '')

/**
 * Streams what `next` finds, in order, until it says that nothing more will come or the bound of
 * BERTH_SSE_MAX_S is reached; clients resume with Last-Event-ID. `next` reads after the cursor it is given.
 */
export function streamEvents(
  c: Context<Env>,
  deps: Deps,
  job_id: string,
  start: string | null,
  next: (cursor: string | null) => Promise<{ messages: Message[]; cursor: string | null; over: boolean }>,
): Response {
  c.header('Cache-Control', 'no-store')
  c.header('X-Accel-Buffering', 'no')
  return streamSSE(c, async (stream) => {
    const gone = new AbortController()
    stream.onAbort(() => gone.abort())
    const end = deps.clock.now().getTime() + deps.settings.sse_max_s * 1_000
    let cursor = start
    let spoke_at = deps.clock.now().getTime()
    while (!gone.signal.aborted && deps.clock.now().getTime() < end) {
      const found = await next(cursor)
      for (const message of found.messages) await stream.writeSSE(message)
      cursor = found.cursor
      if (found.over && found.messages.length === 0) return stream.writeSSE({ event: 'end', data: '{}' })
      if (found.messages.length > 0) spoke_at = deps.clock.now().getTime()
      else await deps.waker.wait(topics.job(job_id), poll_ms, gone.signal)
      if (deps.clock.now().getTime() - spoke_at >= keepAlive_ms) {
        await stream.write(': still here\n\n')
        spoke_at = deps.clock.now().getTime()
      }
    }
  })
}
