// Nudges across processes on one PostgreSQL: a coalesced NOTIFY, outside every transaction that it tells of.
import { Socket } from 'node:net'
import pg from 'pg'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Log, topics, type Waker } from '../jobs/deps.ts'
import { connectionBounds } from './postgres.ts'

export const channel = 'berth_nudge'
/** At most 20 notifications a second a process: NOTIFY takes a lock that all commits share. */
const notify_ms = 50
/** Between two tries to listen again; meanwhile everyone polls once a second. */
const reconnect_ms = 2_000
export const shared: readonly string[] = [topics.pass, topics.webhooks, topics.events]

export interface Nudges {
  waker: Waker
  close: () => Promise<void>
}

/** The process of PostgreSQL that serves a connection; its types leave it out. */
const backendOf = (client: pg.Client) => (client as pg.Client & { processID: number | null }).processID

/** Wraps a process's waker so that the pass and the webhooks of other processes wake too. */
export function nudgeByPostgres(url: string, timeout_ms: number, local: Waker, log: Log): Nudges {
  const ended = new AbortController()
  const pending = new Set<string>()
  let client: pg.Client | null = null
  let sending = false

  const send = async () => {
    sending = true
    while (pending.size > 0 && client) {
      const topic = [...pending].join(',')
      pending.clear()
      // Lost when the connection breaks now: the others poll. One that does not answer is given up.
      const asked = client
      await asked.query('select pg_notify($1, $2)', [channel, topic]).catch(() => void asked.end())
      await sleep(notify_ms)
    }
    sending = false
  }

  const listen = async () => {
    while (!ended.signal.aborted) {
      const socket = new Socket()
      const cut = () => void socket.destroy()
      ended.signal.addEventListener('abort', cut)
      const bounds = connectionBounds(timeout_ms)
      const next = new pg.Client({
        connectionString: url,
        application_name: 'berth nudges',
        ...bounds,
        // The other end may take a connection, and not begin to speak.
        connectionTimeoutMillis: bounds.query_timeout,
        stream: () => socket,
      })
      const { promise: lost, resolve } = Promise.withResolvers<void>()
      next.on('error', () => resolve())
      next.on('end', () => resolve())
      next.on('notification', ({ payload, processId }) => {
        // Its own come back to it, and it has long since been woken.
        if (processId === backendOf(next)) return
        for (const topic of (payload ?? '').split(',')) if (shared.includes(topic)) local.wake(topic)
      })
      try {
        await next.connect()
        await next.query(`listen ${channel}`)
        client = next
        await lost
      } catch (error) {
        if (!ended.signal.aborted)
          log('warn', 'nudges are not heard', { error: error instanceof Error ? error.message : 'failed' })
      }
      client = null
      await next.end().catch(() => undefined)
      ended.signal.removeEventListener('abort', cut)
      await sleep(reconnect_ms, undefined, { signal: ended.signal }).catch(() => undefined)
    }
  }
  const listening = listen()

  return {
    waker: {
      wake(topic) {
        local.wake(topic)
        if (!shared.includes(topic)) return
        pending.add(topic)
        if (!sending) void send()
      },
      wait: local.wait,
    },
    // Cut without a word: whoever waits for a silent end to hear it waits for long.
    async close() {
      ended.abort()
      await listening
    },
  }
}
