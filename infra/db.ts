// Opens the database: PostgreSQL by URL, else PGlite in the data folder.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { Kysely, PGliteDialect, sql } from 'kysely'
import { FileMigrationProvider, Migrator } from 'kysely/migration'
import { promises as fs } from 'node:fs'
import * as path from 'node:path'
import type { Database, Tables } from '../jobs/store/schema.ts'
import { openKysely, openPool, usualBounds } from './postgres.ts'

export interface OpenedDatabase {
  db: Database
  kind: 'postgres' | 'embedded'
  /** Brings the schema up to date, however long that takes. */
  migrate: () => Promise<void>
  close: () => Promise<void>
}

/** Opens it; nothing is migrated. Errors name the host, never the password. */
export async function openDatabase(config: {
  database_url: string | null
  data_dir: string
  database_connections?: number
  database_timeout_ms?: number
}): Promise<OpenedDatabase> {
  const { database_url, database_connections, database_timeout_ms } = config
  if (database_url === null) return openEmbedded(join(config.data_dir, 'pg'))
  const pool = await openPool(database_url, {
    connections: database_connections ?? usualBounds.connections,
    timeout_ms: database_timeout_ms ?? usualBounds.timeout_ms,
  })
  const db = openKysely(pool)
  return { db, kind: 'postgres', migrate: () => migratePostgres(database_url), close: () => db.destroy() }
}

async function openEmbedded(folder: string): Promise<OpenedDatabase> {
  const { PGlite, types } = await import('@electric-sql/pglite')
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true, mode: 0o700 })
  const pglite = await PGlite.create(folder, { parsers: { [types.INT8]: Number } })
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
  return { db, kind: 'embedded', migrate: () => migrate(db), close: () => db.destroy() }
}

/** On a connection without bounds: an index of a large table takes as long as it takes. */
async function migratePostgres(url: string): Promise<void> {
  const db = openKysely(await openPool(url, { connections: 1, timeout_ms: null }))
  await migrate(db).finally(() => db.destroy())
}

/**
 * Brings the schema up to date; one migrator at a time by the library's advisory lock. A schema that a newer version has made is left as it
 * is: migrations add, and what they take away no version before them uses (docs/operations.md), so that a server of the version before
 * may be started again in the middle of an upgrade, and after one that is taken back.
 */
export async function migrate(db: Database): Promise<void> {
  const migrationFolder = path.join(import.meta.dirname, '..', 'migrations')
  const provider = new FileMigrationProvider({ fs, path, migrationFolder })
  const own = Object.keys(await provider.getMigrations())
  const done = await doneMigrations(db)
  if (done.some((name) => !own.includes(name)) && own.every((name) => done.includes(name))) return
  const { error, results } = await new Migrator({ db, provider }).migrateToLatest()
  if (!error) return
  const failed = results?.find(({ status }) => status === 'Error')?.migrationName ?? 'before the first'
  throw new Error(
    `the database could not be migrated (${failed}): ${error instanceof Error ? error.message : 'unknown'}`,
    { cause: error },
  )
}

async function doneMigrations(db: Database): Promise<string[]> {
  const { rows: found } = await sql<{ table: string | null }>`
    select to_regclass('kysely_migration')::text as table`.execute(db)
  if (!found[0]?.table) return []
  const { rows } = await sql<{ name: string }>`select name from kysely_migration`.execute(db)
  return rows.map(({ name }) => name)
}
