// A stream of server-sent events that outlives its connections.
import { setTimeout as sleep } from 'node:timers/promises'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { firstPause_ms, interruption, maxPause_ms, notBerth, unreachable } from './client.ts'
import { CliError, exits } from './exit.ts'

/** The server speaks every 15 s, if only a comment: three times that in silence is a dead connection. */
const silence_ms = 45_000
/** A log chunk of 256 KiB whose every character is escaped fits. */
const maxEvent_characters = 4 * 1024 ** 2

export interface Feed {
  /** Opens the stream after the event with this id; null: from its start. */
  open: (last_id: string | null) => Promise<Response>
  signal: AbortSignal
  /** For how long the connection may be opened without hearing anything. */
  patience_ms: number
}

/** Yields each event once, in order, until the server says `end`. */
export async function* events({ open, signal, patience_ms }: Feed): AsyncGenerator<EventSourceMessage> {
  let last_id: string | null = null
  let heard_at = performance.now()
  for (let pause = firstPause_ms; ; pause = Math.min(2 * pause, maxPause_ms)) {
    const response = await open(last_id)
    const parts = partsOf(response, signal)
    for await (const message of messages(parts, () => (heard_at = performance.now()))) {
      if (message.event === 'end') return
      if (message.id !== undefined) last_id = message.id
      pause = firstPause_ms
      yield message
    }
    if (performance.now() - heard_at > patience_ms)
      throw unreachable(response.url, new Error('the stream breaks off again and again'))
    await sleep(pause, undefined, { signal }).catch(() => undefined)
    if (signal.aborted) throw interruption()
  }
}

async function* messages(
  parts: AsyncIterable<Uint8Array>,
  heard: () => void,
): AsyncGenerator<EventSourceMessage> {
  const decoder = new TextDecoder()
  let found: EventSourceMessage[] = []
  const parser = createParser({
    onEvent: (message) => found.push(message),
    onError(error) {
      if (error.type !== 'max-buffer-size-exceeded') return
      const message = `The server sent an event of more than ${maxEvent_characters} characters.`
      throw new CliError(exits.unreachable, { code: 'event_too_large', message })
    },
    maxBufferSize: maxEvent_characters,
  })
  for await (const part of parts) {
    heard()
    parser.feed(decoder.decode(part, { stream: true }))
    const ready = found
    found = []
    yield* ready
  }
}

/** The bytes of an answer until it ends, breaks or falls silent: to the reader these are the same. */
async function* partsOf(response: Response, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream') || !response.body) {
    await response.body?.cancel()
    throw notBerth(response.url)
  }
  const reader = response.body.getReader()
  const silent = () => void reader.cancel().catch(() => undefined)
  let timer = setTimeout(silent, silence_ms)
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }) as const)
      clearTimeout(timer)
      if (signal.aborted) throw interruption()
      if (done || value === undefined) return
      yield value
      timer = setTimeout(silent, silence_ms)
    }
  } finally {
    clearTimeout(timer)
    await reader.cancel().catch(() => undefined)
  }
}
