// `npm run bench -- submit [--clients 32] [--seconds 6] [--rounds 4]`: authenticated, durable submits over HTTP with
// shard, event and idempotency rows, beside single-row transactions that pgbench makes on the same PostgreSQL, in turns.
// Once on the disk that is here, and once with flushes that take a millisecond longer: pgbench waits for each, submits
// come in groups.
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
import { slowFlush } from './support/slow-flush.ts'
import type { Load } from './support/submit-load.ts'

const run = promisify(execFile)
/** What pgbench is usually asked with on two cores. */
const single = { clients: 8, threads: 2 }
/** Before the first turn: code is compiled, plans are made. */
const warmUp_s = 8
/**
 * Of a flush to a disk that keeps it: AWS tells of single-digit milliseconds (EBS gp3), and pg_test_fsync found 1.6 ms
 * on an SSD for consumers (https://tanelpoder.com/posts/using-pg-test-fsync-for-testing-low-latency-writes).
 */
const slow_us = 1_000

interface Asked {
  clients: number
  seconds: number
  rounds: number
}

export const measure: Measurement = async (options) => {
  const asked = {
    clients: option(options, 'clients', 32),
    seconds: option(options, 'seconds', 6),
    rounds: option(options, 'rounds', 4),
  }
  const { bin, version } = installedPostgres()
  const here = await beside(bin, {}, asked)
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-flush-'))
  const slow = slowFlush(slow_us, folder)
  const slower = slow && (await beside(bin, slow, asked))
  rmSync(folder, { recursive: true, force: true })
  return {
    figures: {
      postgres: version,
      clients: asked.clients,
      ...here,
      ...(slower && Object.fromEntries(told.map((name) => [`slow_disk_${name}`, slower[name]]))),
    },
    targets: {
      ratio: { at_least: 0.8 },
      p99_ms: { at_most: 50 },
      failed: { at_most: 0 },
      ...(slower && {
        slow_disk_ratio: { at_least: 0.8 },
        slow_disk_p99_ms: { at_most: 50 },
        slow_disk_failed: { at_most: 0 },
      }),
    },
  }
}

/** What is told of the slower disk. */
const told = [
  'submits_per_s',
  'single_row_transactions_per_s',
  'ratio',
  'p50_ms',
  'p99_ms',
  'failed',
] as const

/** Submits beside pgbench on a PostgreSQL of their own. */
async function beside(bin: string, env: NodeJS.ProcessEnv, { clients, seconds, rounds }: Asked) {
  await using postgres = await startInstalledPostgres(bin, env)
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  try {
    const settings = { BERTH_DATABASE_URL: postgres.database_url, BERTH_ROLES: 'api' }
    // Submits alone: without the pass nothing is launched beside them.
    const server = await startServer(data_dir, await freePort(), settings)
    const singleRow = await openSingleRow(bin, postgres, data_dir)
    await submits(server, clients, 1, warmUp_s)
    const singles: number[] = []
    const loads: Load[] = []
    const pid = server.child.pid ?? 0
    let node_s = 0
    let postgres_s = 0
    for (let round = 0; round < rounds; round++) {
      singles.push(await singleRow(seconds))
      const before = [cpuSeconds(pid), cpuSecondsOfFamily(postgres.pid)] as const
      loads.push(await submits(server, clients, seconds, 0.5))
      node_s += cpuSeconds(pid) - before[0]
      postgres_s += cpuSecondsOfFamily(postgres.pid) - before[1]
    }
    const count = await stored(postgres)
    await server.stop()
    const taken_ms = loads.flatMap((load) => load.taken_ms)
    const submitted = loads.reduce((sum, load) => sum + load.submits, 0)
    const per_s = submitted / (rounds * seconds)
    const single_per_s = singles.reduce((sum, each) => sum + each, 0) / rounds
    // Those before and after what is measured cost as much as the others.
    const each_us = (used_s: number) => rounded((used_s * 1e6) / (submitted * (1 + 0.5 / seconds)), 0)
    return {
      submits: submitted,
      stored: count,
      failed: loads.reduce((sum, { failed }) => sum + failed, 0),
      submits_per_s: rounded(per_s, 0),
      single_row_transactions_per_s: rounded(single_per_s, 0),
      ratio: rounded(per_s / single_per_s),
      p50_ms: rounded(percentile(taken_ms, 0.5)),
      p99_ms: rounded(percentile(taken_ms, 0.99)),
      server_cpu_us: each_us(node_s),
      postgres_cpu_us: each_us(postgres_s),
      clients_cpu_us: each_us(loads.reduce((sum, { cpu_s }) => sum + cpu_s, 0)),
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

/** Makes the table; answers what measures transactions a second of one row each. */
async function openSingleRow(bin: string, { database_url }: MeasuredPostgres, folder: string) {
  const client = new pg.Client({ connectionString: database_url })
  await client.connect()
  await client.query('create table single_rows (id bigserial primary key, at timestamptz, text text)')
  await client.end()
  const script = join(folder, 'single-row.sql')
  writeFileSync(script, `insert into single_rows (at, text) values (clock_timestamp(), 'one row');\n`)
  return async (seconds: number): Promise<number> => {
    const { clients, threads } = single
    const args = ['-n', '-c', clients, '-j', threads, '-T', seconds, '-f', script, database_url].map(String)
    const { stdout } = await run(join(bin, 'pgbench'), args)
    const tps = /^tps = ([\d.]+)/m.exec(stdout)?.[1]
    if (!tps) throw new Error(`pgbench said no tps:\n${stdout}`)
    return Number(tps)
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
