// `npm run bench -- submit [--clients 32] [--seconds 6] [--rounds 4]`: authenticated, durable submits over HTTP with
// shard, event and idempotency rows, beside two things that pgbench does on the same PostgreSQL, in turns: its own
// simple-update (the row of an account is updated and read, and a row of history written: the built-in transaction that
// touches one row of a table), and the insert of one row that has no other statement, no check and one index.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { installedPostgres, type MeasuredPostgres, startInstalledPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily } from './support/processes.ts'
import type { Load } from './support/submit-load.ts'

const run = promisify(execFile)
/** What pgbench is usually asked with on two cores. */
const single = { clients: 8, threads: 2 }

/** Before the first turn: code is compiled, plans are made. */
const warmUp_s = 8

export const measure: Measurement = async (options) => {
  const clients = option(options, 'clients', 32)
  const seconds = option(options, 'seconds', 6)
  const rounds = option(options, 'rounds', 4)
  const { bin, version } = installedPostgres()
  await using postgres = await startInstalledPostgres(bin)
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  try {
    const settings = { BERTH_DATABASE_URL: postgres.database_url, BERTH_ROLES: 'api' }
    // Submits alone: without the pass nothing is launched beside them.
    const server = await startServer(data_dir, await freePort(), settings)
    const pgbench = await openPgbench(bin, postgres, data_dir)
    await submits(server, clients, 1, warmUp_s)
    const updates: number[] = []
    const inserts: number[] = []
    const loads: Load[] = []
    const pid = server.child.pid ?? 0
    let node_s = 0
    let postgres_s = 0
    for (let round = 0; round < rounds; round++) {
      updates.push(await pgbench.simpleUpdates(seconds))
      const before = [cpuSeconds(pid), cpuSecondsOfFamily(postgres.pid)] as const
      loads.push(await submits(server, clients, seconds, 0.5))
      node_s += cpuSeconds(pid) - before[0]
      postgres_s += cpuSecondsOfFamily(postgres.pid) - before[1]
      inserts.push(await pgbench.inserts(seconds))
    }
    const count = await stored(postgres)
    await server.stop()
    const taken_ms = loads.flatMap((load) => load.taken_ms)
    const submitted = loads.reduce((sum, load) => sum + load.submits, 0)
    const per_s = submitted / (rounds * seconds)
    const mean = (each: readonly number[]) => each.reduce((sum, one) => sum + one, 0) / each.length
    // Those before and after what is measured cost as much as the others.
    const each_us = (used_s: number) => rounded((used_s * 1e6) / (submitted * (1 + 0.5 / seconds)), 0)
    return {
      figures: {
        postgres: version,
        clients,
        submits: submitted,
        stored: count,
        failed: loads.reduce((sum, { failed }) => sum + failed, 0),
        submits_per_s: rounded(per_s, 0),
        simple_updates_per_s: rounded(mean(updates), 0),
        ratio: rounded(per_s / mean(updates)),
        inserts_per_s: rounded(mean(inserts), 0),
        ratio_to_inserts: rounded(per_s / mean(inserts)),
        p50_ms: rounded(percentile(taken_ms, 0.5)),
        p99_ms: rounded(percentile(taken_ms, 0.99)),
        server_cpu_us: each_us(node_s),
        postgres_cpu_us: each_us(postgres_s),
        clients_cpu_us: each_us(loads.reduce((sum, { cpu_s }) => sum + cpu_s, 0)),
      },
      targets: { ratio: { at_least: 0.8 }, p99_ms: { at_most: 50 }, failed: { at_most: 0 } },
    }
  } finally {
    rmSync(data_dir, { recursive: true, force: true })
  }
}

async function submits(
  server: RunningServer,
  clients: number,
  seconds: number,
  warm_s: number,
): Promise<Load> {
  const script = join(import.meta.dirname, 'support', 'submit-load.ts')
  const args = [server.url, server.key, clients, seconds, warm_s].map(String)
  const { stdout } = await run(process.execPath, [script, ...args], { maxBuffer: 64 * 1024 ** 2 })
  const load = JSON.parse(stdout) as Load
  if (load.failure) console.error(load.failure)
  return load
}

/** Makes what pgbench needs; answers what measures its transactions a second. */
async function openPgbench(bin: string, { database_url }: MeasuredPostgres, folder: string) {
  const pgbench = join(bin, 'pgbench')
  await run(pgbench, ['-i', '-q', database_url])
  const client = new pg.Client({ connectionString: database_url })
  await client.connect()
  await client.query('create table single_rows (id bigserial primary key, at timestamptz, text text)')
  await client.end()
  const script = join(folder, 'single-row.sql')
  writeFileSync(script, `insert into single_rows (at, text) values (clock_timestamp(), 'one row');\n`)
  const perSecond = async (seconds: number, what: readonly string[]): Promise<number> => {
    const { clients, threads } = single
    const args = ['-n', '-c', clients, '-j', threads, '-T', seconds, ...what, database_url].map(String)
    const { stdout } = await run(pgbench, args)
    const tps = /^tps = ([\d.]+)/m.exec(stdout)?.[1]
    if (!tps) throw new Error(`pgbench said no tps:\n${stdout}`)
    return Number(tps)
  }
  return {
    simpleUpdates: (seconds: number) => perSecond(seconds, ['-b', 'simple-update']),
    inserts: (seconds: number) => perSecond(seconds, ['-f', script]),
  }
}

async function stored({ database_url }: MeasuredPostgres): Promise<number> {
  const client = new pg.Client({ connectionString: database_url })
  await client.connect()
  const { rows } = await client.query<{ count: number }>(`select count(*)::int as count from jobs j
    join shards s on s.job_id = j.id join events e on e.job_id = j.id join idempotency i on i.resource_id = j.id`)
  await client.end()
  return rows[0]?.count ?? 0
}
