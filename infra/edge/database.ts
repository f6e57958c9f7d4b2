// The database of an edge function: a pool of connections where the runtime lets requests share them, else one of each request.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Pool } from 'pg'
import type { Database } from '../../jobs/store/schema.ts'
import { openKysely, openPool } from '../postgres.ts'
import type { EdgeConfig } from './settings.ts'

/**
 * How long things live that are connected: `process`: as long as the program, which listens by itself; `invocation`: the program is
 * frozen between two requests; `request`: no request may use the connection of another.
 */
export type Life = 'process' | 'invocation' | 'request'

export interface EdgeDatabase {
  db: Database
  /** Runs the work of one request. What it is given waits for what was left for later, and closes what the request has opened for itself. */
  within: <Result>(work: (close: () => Promise<void>) => Result) => Result
  /** Leaves something for when the request is answered: nobody waits for the answer meanwhile. */
  later: (work: Promise<unknown>) => void
  close: () => Promise<void>
}

/** Of one request: a transaction holds one, and now and then another statement goes beside it. */
const ofRequest = 3
/** Of one function that answers a request at a time: behind a pooler, for there may be hundreds of it. */
const ofInvocation = 3

export async function openEdgeDatabase(config: EdgeConfig, life: Life): Promise<EdgeDatabase> {
  const { database_url: url, database_connections, database_timeout_ms: timeout_ms } = config
  if (life === 'request') return perRequest(url, timeout_ms)
  const is_pooled = life === 'invocation'
  const connections = is_pooled ? ofInvocation : database_connections
  const db = openKysely(await openPool(url, { connections, timeout_ms, is_pooled }), { prepares: !is_pooled })
  const { within, later } = openRequests()
  return { db, within, later, close: () => db.destroy() }
}

interface Opened {
  pool: Promise<Pool> | null
  left: Promise<unknown>[]
}

/** What belongs to each request, wherever it is asked for. */
function openRequests() {
  const requests = new AsyncLocalStorage<Opened>()
  return {
    own: () => requests.getStore(),
    within: <Result>(work: (close: () => Promise<void>) => Result): Result => {
      const request: Opened = { pool: null, left: [] }
      const close = async () => {
        await Promise.allSettled(request.left)
        await (await request.pool)?.end()
      }
      return requests.run(request, () => work(close))
    },
    later: (work: Promise<unknown>) => void requests.getStore()?.left.push(work),
  }
}

function perRequest(url: string, timeout_ms: number): EdgeDatabase {
  const { own, within, later } = openRequests()
  const bounds = { connections: ofRequest, timeout_ms, is_pooled: true }
  const pool = {
    options: {} as Pool['options'],
    connect: (async () => {
      const request = own()
      if (!request) throw new Error('the database was asked outside of a request')
      request.pool ??= openPool(url, bounds)
      return (await request.pool).connect()
    }) as Pool['connect'],
    end: () => Promise.resolve(),
  }
  return {
    db: openKysely(pool, { prepares: false }),
    within,
    later,
    close: () => Promise.resolve(),
  }
}
