// A migrated database for one test file: PGlite by default, PostgreSQL with BERTH_TEST_DATABASE=postgres.
import { PGlite, types } from '@electric-sql/pglite'
import { inject } from 'vitest'
import { Kysely, PGliteDialect, sql } from 'kysely'
import pg from 'pg'
import { openDatabase } from '../../infra/db.ts'
import type { Database, Tables } from '../../jobs/store/schema.ts'

export const isPostgres = process.env['BERTH_TEST_DATABASE'] === 'postgres'

interface Opened {
  db: Database
  /** Empties every table, for the next test. */
  close: () => Promise<void>
}

// One database a worker: opening one takes a second, emptying it 20 ms.
let opened: Promise<Database> | null = null

export async function openTestDatabase(): Promise<Opened> {
  opened ??= isPostgres ? openOnPostgres() : openInMemory()
  const db = await opened
  return { db, close: () => empty(db) }
}

async function empty(db: Database): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
      and c.relname not like 'kysely%'`.execute(db)
  await db.connection().execute(async (one) => {
    // The audit log refuses to be emptied.
    await sql`set session_replication_role = replica`.execute(one)
    await sql.raw(`truncate ${rows.map(({ name }) => name).join(', ')} cascade`).execute(one)
    await sql`set session_replication_role = origin`.execute(one)
  })
}

async function openInMemory(): Promise<Database> {
  const image = inject('database_image')
  const pglite = await PGlite.create({
    loadDataDir: new Blob([Buffer.from(image, 'base64')]),
    parsers: { [types.INT8]: Number },
  })
  return new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
}

async function openOnPostgres(): Promise<Database> {
  return (await openDatabase({ database_url: await createPostgresDatabase(), data_dir: '' })).db
}

/** A migrated database of its own on the PostgreSQL of the tests; answers its address. */
export async function createPostgresDatabase(): Promise<string> {
  const server = inject('postgres_url')
  const name = `worker_${process.pid}_${process.env['VITEST_POOL_ID'] ?? 0}_${process.hrtime.bigint()}`
  const admin = new pg.Client({ connectionString: `${server}/postgres` })
  await admin.connect()
  await admin.query(`create database ${name} template berth_template`)
  await admin.end()
  return `${server}/${name}`
}
