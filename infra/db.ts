// Opens the database: PostgreSQL by URL, else PGlite in the data folder.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely, PGliteDialect, PostgresDialect, sql } from 'kysely'
import { FileMigrationProvider, Migrator } from 'kysely/migration'
import { promises as fs } from 'node:fs'
import * as path from 'node:path'
import type { Clock } from '../jobs/deps.ts'
import type { Database, Tables } from '../jobs/store/schema.ts'

/** Connections of one process: a few for the pass, the rest for requests; PostgreSQL's default is 100 in all. */
const maxConnections = 20
const connect_ms = 10_000
/** Longer statements are a mistake; the pass and the API use milliseconds. */
const statement_ms = 60_000

export interface OpenedDatabase {
  db: Database
  kind: 'postgres' | 'embedded'
  close: () => Promise<void>
}

/** Opens it; nothing is migrated. Errors name the host, never the password. */
export async function openDatabase(config: {
  database_url: string | null
  data_dir: string
}): Promise<OpenedDatabase> {
  return config.database_url === null
    ? openEmbedded(join(config.data_dir, 'pg'))
    : openPostgres(config.database_url)
}

async function openEmbedded(folder: string): Promise<OpenedDatabase> {
  const { PGlite, types } = await import('@electric-sql/pglite')
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const pglite = await PGlite.create(folder, { parsers: { [types.INT8]: Number } })
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
  return { db, kind: 'embedded', close: () => db.destroy() }
}

async function openPostgres(url: string): Promise<OpenedDatabase> {
  const { default: pg } = await import('pg')
  pg.types.setTypeParser(pg.types.builtins.INT8, Number)
  const pool = new pg.Pool({
    connectionString: url,
    max: maxConnections,
    connectionTimeoutMillis: connect_ms,
    statement_timeout: statement_ms,
    application_name: 'berth',
  })
  // A connection that breaks while idle is replaced by the pool; without a listener the process would end.
  pool.on('error', () => undefined)
  // The same for one that breaks between two statements: the next statement fails, and says so to whoever asked.
  pool.on('connect', (client) => void client.on('error', () => undefined))
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return { db, kind: 'postgres', close: () => db.destroy() }
}

/** Brings the schema up to date; one migrator at a time by the library's advisory lock. */
export async function migrate(db: Database): Promise<void> {
  const migrationFolder = path.join(import.meta.dirname, '..', 'migrations')
  const migrator = new Migrator({ db, provider: new FileMigrationProvider({ fs, path, migrationFolder }) })
  const { error, results } = await migrator.migrateToLatest()
  if (!error) return
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'before the first'
  throw new Error(
    `the database could not be migrated (${failed}): ${error instanceof Error ? error.message : 'unknown'}`,
    { cause: error },
  )
}

export interface DatabaseClock extends Clock {
  /** Takes the database's time again. */
  sync: () => Promise<void>
}

/** Database time, advanced by this process's monotonic clock between two looks. */
export async function createDatabaseClock(db: Database): Promise<DatabaseClock> {
  let database_ms = 0
  let monotonic_ms = 0
  const sync = async () => {
    const asked_ms = performance.now()
    const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db)
    const answered_ms = performance.now()
    const now_ms = rows[0]?.now.getTime() ?? 0
    // Never backwards within a process: what was decided at a time stays before what follows.
    const expected_ms = database_ms + (answered_ms - monotonic_ms)
    database_ms = Math.max(now_ms + (answered_ms - asked_ms) / 2, Math.min(expected_ms, now_ms + maxSkew_ms))
    monotonic_ms = answered_ms
  }
  await sync()
  return { now: () => new Date(database_ms + performance.now() - monotonic_ms), sync }
}

/** How far a process's time may run ahead of the database's before it is set back. */
const maxSkew_ms = 1_000
