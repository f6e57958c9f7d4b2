// Nudges of a function that nobody can wake: it tells the servers that listen, and looks again after a while itself.
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import type { Waker } from '../../jobs/deps.ts'
import type { Database } from '../../jobs/store/schema.ts'
import { channel, shared } from '../nudge.ts'

export interface EdgeWaker extends Waker {
  /** Tells what was woken since the last time. A nudge that is lost costs latency: everyone also polls. */
  tell: (db: Database) => Promise<void>
}

export function createEdgeWaker(): EdgeWaker {
  let woken = new Set<string>()
  return {
    wake(topic) {
      if (shared.includes(topic)) woken.add(topic)
    },
    wait: (_, timeout_ms, signal) =>
      sleep(timeout_ms, undefined, signal ? { signal } : {}).catch(() => undefined),
    async tell(db) {
      if (woken.size === 0) return
      const topics = [...woken].join(',')
      woken = new Set()
      await sql`select pg_notify(${channel}, ${topics})`.execute(db).catch(() => undefined)
    },
  }
}
