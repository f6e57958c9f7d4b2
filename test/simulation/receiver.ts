// Who receives webhooks: some answer, some fail at times, some are slow, one is gone.
import { createHash } from 'node:crypto'
import type { Draw } from './draw.ts'
import type { Scheduler } from './scheduler.ts'

export interface Receiver {
  fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Bodies by message id. */
  received: Map<string, { body: string; times: number }>
  calm: () => void
}

const timeout_ms = 15_000

export function createReceiver(
  scheduler: Scheduler,
  draw: Draw,
  violated: (message: string) => void,
): Receiver {
  const received: Receiver['received'] = new Map()
  let calm = false
  const keep = (init: RequestInit) => {
    const headers = new Headers(init.headers)
    const id = headers.get('webhook-id') ?? ''
    const body = typeof init.body === 'string' ? createHash('md5').update(init.body).digest('hex') : ''
    if (!headers.has('webhook-signature')) violated(`message ${id} is not signed`)
    const before = received.get(id)
    if (before && before.body !== body) violated(`message ${id} was sent with two bodies`)
    received.set(id, { body, times: (before?.times ?? 0) + 1 })
  }
  return {
    received,
    calm() {
      calm = true
    },
    async fetch(url, init) {
      const kind = url.split('/').at(-1)
      await scheduler.sleep(null, draw.between(5, 300), `a message arrives at ${kind}`)
      if (kind === 'gone') return new Response('', { status: 410 })
      const unwell = !calm && kind !== 'good'
      if (unwell && kind === 'flaky' && draw.chance(0.3)) return new Response('', { status: 503 })
      if (unwell && kind === 'flaky' && draw.chance(0.2)) throw new Error('connection reset')
      keep(init)
      if (unwell && kind === 'flaky' && draw.chance(0.2)) throw new Error('connection reset')
      if (unwell && kind === 'slow') {
        const ms = draw.between(100, 20_000)
        await scheduler.sleep(null, Math.min(ms, timeout_ms), `${kind} takes its time`)
        if (ms > timeout_ms) throw new Error('timed out')
      }
      return new Response('', { status: 200 })
    },
  }
}
