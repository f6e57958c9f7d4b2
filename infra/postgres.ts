// Connections to PostgreSQL: few, bounded in time on both ends, and given up when the other end is silent.
import type { Pool, PoolClient, PoolConfig } from 'pg'
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely'
import { faultOf } from '../jobs/store/faults.ts'
import type { Tables } from '../jobs/store/schema.ts'

export interface PostgresBounds {
  /** Connections of one process. */
  connections: number
  /** Longest statement, and longest that a transaction may be left idle; null: no bound, for migrations. */
  timeout_ms: number | null
  /** Whether a pooler stands before the database, which takes no parameters of a session (docs/edge.md). */
  is_pooled?: boolean
}
/**
 * The pass, the loops and each group of requests hold one or two for milliseconds; PostgreSQL allows 100 in all by
 * default, so five processes fit. Statements take milliseconds, and those of the retention a second or two.
 */
export const usualBounds = { connections: 20, timeout_ms: 20_000 } as const satisfies PostgresBounds

/** Waiting for a connection of the pool, or for a new one. */
const connect_ms = 10_000
/** Locks are held for milliseconds; who waits longer fails before the statements that wait for it do. */
const lockShare = 0.5
/** When no answer has come after the time in which the database itself gives up, the other end is gone. */
const answerShare = 1.25
/** An idle connection is probed after this, and given up by the system after ten probes more, one a second. */
const keepAlive_ms = 10_000

export async function openPool(
  url: string,
  { connections, timeout_ms, is_pooled = false }: PostgresBounds,
): Promise<Pool> {
  const { default: pg } = await import('pg')
  pg.types.setTypeParser(pg.types.builtins.INT8, Number)
  const pool = new pg.Pool({
    connectionString: url,
    max: connections,
    connectionTimeoutMillis: connect_ms,
    application_name: 'berth',
    ...(is_pooled ? pooledBounds(timeout_ms) : connectionBounds(timeout_ms)),
  })
  // A connection that breaks while idle is replaced by the pool; without a listener the process would end.
  pool.on('error', () => undefined)
  // The same for one that breaks between two statements: the next statement fails, and says so to whoever asked.
  pool.on('connect', (client) => void client.on('error', () => undefined))
  return pool
}

export function connectionBounds(timeout_ms: number | null): PoolConfig {
  const keepAlive = { keepAlive: true, keepAliveInitialDelayMillis: keepAlive_ms }
  if (timeout_ms === null) return keepAlive
  return {
    ...keepAlive,
    statement_timeout: timeout_ms,
    lock_timeout: Math.ceil(timeout_ms * lockShare),
    idle_in_transaction_session_timeout: timeout_ms,
    query_timeout: Math.ceil(timeout_ms * answerShare),
  }
}

/** The bounds that this end keeps by itself: what the other end keeps is set of the database's user. */
function pooledBounds(timeout_ms: number | null): PoolConfig {
  const bound = timeout_ms === null ? {} : { query_timeout: Math.ceil(timeout_ms * answerShare) }
  return { keepAlive: true, keepAliveInitialDelayMillis: keepAlive_ms, ...bound }
}

/** `prepares`: not behind a pooler, where the next statement may meet another connection. */
export const openKysely = (
  pool: Pick<Pool, 'options' | 'connect' | 'end'>,
  { prepares = true } = {},
): Kysely<Tables> =>
  new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool: {
        options: pool.options,
        connect: async () => watched(await pool.connect(), prepares),
        end: () => pool.end(),
      },
    }),
  })

/**
 * A connection that is closed as soon as it is known to be lost: one that does not answer would else go back to the
 * pool, and whoever takes it next would wait as long.
 */
function watched(client: PoolClient, prepares: boolean): PostgresPoolClient {
  let lost: Error | null = null
  const query = async (text: string, values: readonly unknown[] = []) => {
    if (lost) throw lost
    try {
      return await client.query({ text, values: [...values], ...(prepares && named(text)) })
    } catch (error) {
      if (error instanceof Error && isCut(error)) lost = error
      throw error
    }
  }
  return {
    // Cursors are not used here.
    query: query as unknown as PostgresPoolClient['query'],
    release: (destroy?: unknown) => client.release(lost ?? destroy === true),
  }
}

function isCut(error: Error): boolean {
  const fault = faultOf(error)
  return fault === 'lost' || fault === 'silent'
}

/**
 * Statements that say so in their first words, `/* name *\/` or `select /* name *\/`, are planned once for each connection. Such a one names
 * its columns: one that answers `*` fails from when a newer version adds a column.
 */
const named = (text: string): { name: string } | null => {
  const name = /^(?:select )?\/\* ([\w ]{1,50}) \*\//.exec(text)?.[1]
  return name === undefined ? null : { name }
}
