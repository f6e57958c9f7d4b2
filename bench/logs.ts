// `npm run bench -- logs [--runners 16] [--seconds 10] [--kib 64]`: bytes of log that one server on PostgreSQL takes in from
// runners over their route, each sending the next chunk when the last one is acknowledged.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Pool } from 'undici'
import { openDatabase } from '../infra/db.ts'
import { deriveKey } from '../infra/secrets.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { startReplica } from '../test/support/replica.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { copyJob, type Member, runOne } from './support/crowd.ts'
import { installedPostgres, startInstalledPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily } from './support/processes.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

/** Before it is measured: code is compiled, plans are made. */
const warmUp_ms = 3_000

export const measure: Measurement = async (options) => {
  const runners = option(options, 'runners', 16)
  const seconds = option(options, 'seconds', 10)
  const chunk = textOf(option(options, 'kib', 64) * 1_024)
  const { bin, version } = installedPostgres()
  await using postgres = await startInstalledPostgres(bin)
  const cloud = createSteadyCloud()
  const clouds = await serveClouds([cloud.provider])
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const key = randomBytes(32)
  const { database_url } = postgres
  const env = { BERTH_SECRET_KEY: key.toString('base64') }
  const server = await startReplica({ database_url, data_dir, clouds_url: clouds.url, env })
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  const pool = new Pool(server.url, { connections: runners })
  try {
    await runOne(server, cloud, db)
    const members = await copyJob(db, deriveKey(key, 'runner-token'), runners)
    const taken_ms: number[] = []
    const state = { stopped: false, sent: 0 }
    const pid = server.child.pid ?? 0
    const used = () => [cpuSeconds(pid), cpuSecondsOfFamily(postgres.pid)] as const
    const all = Promise.all(members.map((member) => write(pool, member, chunk, state, taken_ms)))
    await new Promise((resolve) => setTimeout(resolve, warmUp_ms))
    taken_ms.length = 0
    const [from_ms, [node_s, postgres_s]] = [performance.now(), used()]
    await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    const measured_s = (performance.now() - from_ms) / 1_000
    const [node_end_s, postgres_end_s] = used()
    const answered = taken_ms.slice()
    state.stopped = true
    await all
    const { rows } = await sql<{ bytes: number }>`
      select coalesce(sum(octet_length(text)), 0)::bigint as bytes from log_chunks`.execute(db)
    const bytes = answered.length * chunk.length
    const each_mb = (used_s: number) => rounded((used_s * 1_000) / (bytes / 1e6), 1)
    return {
      figures: {
        postgres: version,
        runners,
        chunk_bytes: chunk.length,
        seconds: rounded(measured_s),
        mb_per_s: rounded(bytes / 1e6 / measured_s),
        chunks_per_s: rounded(answered.length / measured_s),
        p50_ms: rounded(percentile(answered, 0.5)),
        p99_ms: rounded(percentile(answered, 0.99)),
        server_cpu_ms_per_mb: each_mb(node_end_s - node_s),
        postgres_cpu_ms_per_mb: each_mb(postgres_end_s - postgres_s),
        lost_bytes: state.sent * chunk.length - (rows[0]?.bytes ?? 0),
      },
      targets: { mb_per_s: { at_least: 20 }, lost_bytes: { at_most: 0 } },
    }
  } finally {
    await pool.close()
    await server.kill()
    await clouds.close()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

/** One runner: its chunks in their order, until it is told to stop. */
async function write(
  pool: Pool,
  { attempt_id, token }: Member,
  text: string,
  state: { stopped: boolean; sent: number },
  taken_ms: number[],
): Promise<void> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const path = `/v1/attempts/${attempt_id}/logs`
  for (let number = 1; !state.stopped; number++) {
    const body = JSON.stringify({ number, at: new Date().toISOString(), stream: 'stdout', text })
    const from_ms = performance.now()
    const answer = await pool.request({ path, method: 'POST', headers, body })
    const said = await answer.body.text()
    if (answer.statusCode !== 200) throw new Error(`a chunk was answered ${answer.statusCode}: ${said}`)
    taken_ms.push(performance.now() - from_ms)
    state.sent++
  }
}

/** Lines as a sweep prints them. */
function textOf(bytes: number): string {
  let text = ''
  for (let n = 0; text.length < bytes; n++)
    text += `2026-03-02 09:${n % 60}:00 point ${n} fast=${n % 20} slow=${n % 240} sharpe=${(n % 300) / 100} drawdown=-0.${n % 99}\n`
  return text.slice(0, bytes)
}
