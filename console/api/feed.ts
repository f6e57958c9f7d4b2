// The project's feed over one connection: every event once, on from the last one that was seen.
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { headersOf } from './client.ts'
import type { Credentials } from './credential.ts'
import type { FeedEvent } from './types.ts'

export type FeedState = 'connecting' | 'live' | 'away'

export interface FeedOptions {
  fetch: typeof globalThis.fetch
  credentials: Credentials
  signal: AbortSignal
  onEvent: (event: FeedEvent) => void
  onState: (state: FeedState) => void
  /** Events may have been missed: what is shown must be read anew. */
  onGap: () => void
  /** Pauses between tries, until the time is over or it is worth a try. */
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}

const firstPause_ms = 250
/** A server that is restarted is back within seconds; one that is away for longer is asked rarely. */
const maxPause_ms = 10_000

/** Follows until the signal ends it. */
export async function followFeed(options: FeedOptions): Promise<void> {
  const { signal, onState, onGap, pause } = options
  let place = 'latest'
  let wait = firstPause_ms
  let is_first = true
  while (!signal.aborted) {
    const end = await readOnce(
      options,
      place,
      (id) => (place = id),
      () => {
        wait = firstPause_ms
        onState('live')
        // "latest" says nothing of the time since what is shown was read.
        if (!is_first && place === 'latest') onGap()
      },
    )
    is_first = false
    if (signal.aborted || end === 'refused') return
    if (end === 'expired') {
      place = 'latest'
      continue
    }
    if (end === 'over') {
      // Something between here and the server may end every stream at once.
      await pause(firstPause_ms, signal)
      continue
    }
    onState('away')
    await pause(wait, signal)
    wait = Math.min(2 * wait, maxPause_ms)
  }
}

type End = 'over' | 'away' | 'expired' | 'refused'

async function readOnce(
  { fetch, credentials, signal, onEvent }: FeedOptions,
  place: string,
  moved: (id: string) => void,
  opened: () => void,
): Promise<End> {
  try {
    const headers = headersOf({ headers: { Accept: 'text/event-stream' } }, credentials)
    const answer = await fetch(`/v1/events?after=${encodeURIComponent(place)}`, { headers, signal })
    if (answer.status === 410) return 'expired'
    if (answer.status === 401 || answer.status === 403) {
      if (answer.status === 401) credentials.forget()
      return 'refused'
    }
    if (!answer.ok || answer.body === null) return 'away'
    opened()
    const events = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
    for await (const { data, id } of events as unknown as AsyncIterable<{ data: string; id?: string }>) {
      if (id === undefined || id === '') continue
      moved(id)
      onEvent(JSON.parse(data) as FeedEvent)
    }
    return 'over'
  } catch {
    // The connection broke, or this page goes away; the caller looks at the signal.
    return 'away'
  }
}
