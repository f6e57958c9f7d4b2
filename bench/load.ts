// `npm run bench -- load [--minutes 4] [--rate 1000] [--running 1000]`: three servers behind one address, a mix of requests at a steady
// rate, and so many jobs at work whose runners report through the same address. Every minute one server is killed and another
// started in its place.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { openDatabase } from '../infra/db.ts'
import type { Database } from '../jobs/store/schema.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { realBacktest } from '../test/support/desk.ts'
import { startReplica } from '../test/support/replica.ts'
import type { RunningServer } from '../test/support/server.ts'
import { type Measurement, option, rounded } from './measurement.ts'
import { createLastingCloud } from './support/lasting-cloud.ts'
import type { MixedLoad } from './support/mixed-load.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily } from './support/processes.ts'

const replicas = 3
/** Between two questions whether the address is ready, each on a connection of its own. */
const probe_ms = 100
const probeBound_ms = 1_000
/** A server that has just started compiles what it runs. */
const warmUp_ms = 10_000
/** A bound against a hang: a thousand launches at a hundred a second, on a slow machine. */
const start_ms = 180_000

export const measure: Measurement = async (options) => {
  const minutes = option(options, 'minutes', 4)
  const rate = option(options, 'rate', 1_000)
  const running = option(options, 'running', 1_000)
  await using postgres = await startPostgres()
  const folder = mkdtempSync(join(tmpdir(), 'berth-load-'))
  const spreader = fork(join(import.meta.dirname, 'support', 'spreader-process.ts'))
  const [url] = (await once(spreader, 'message')) as [string]
  const cloud = createLastingCloud(() => url)
  const clouds = await serveClouds([cloud.provider])
  const servers: RunningServer[] = []
  const start = async () => {
    servers.push(
      await startReplica({
        database_url: postgres.database_url,
        data_dir: folder,
        clouds_url: clouds.url,
        env: { BERTH_PUBLIC_URL: url, BERTH_LOCAL_PROVIDER: 'false' },
      }),
    )
    spreader.send(servers.map((server) => server.url))
  }
  for (let each = 0; each < replicas; each++) await start()
  const key = servers[0]?.key ?? ''
  const { db, close } = await openDatabase({ database_url: postgres.database_url, data_dir: '' })
  try {
    await submitAll(url, key, running)
    await atWork(db, running)
    // As PostgreSQL does by itself within a minute: a server that is asked for so much is older than that.
    await sql`analyze`.execute(db)
    const [load_before = 0] = loadavg()
    const load = fork(join(import.meta.dirname, 'support', 'mixed-load.ts'), [url, key, String(rate)])
    // What is measured begins when the servers are warm.
    await sleep(warmUp_ms)
    load.send('now')
    const before = cloud.reports()
    const postgres_before_s = cpuSecondsOfFamily(postgres.pid)
    // Of those that are killed what they had used until then.
    let servers_s = 0
    const used = new Map<RunningServer, number>()
    const begin = (server: RunningServer) => used.set(server, cpuSeconds(server.child.pid ?? 0))
    const end = (server: RunningServer) =>
      (servers_s += cpuSeconds(server.child.pid ?? 0) - (used.get(server) ?? 0))
    servers.forEach(begin)
    const prober = probe(url)
    let [kills, least] = [0, Number.POSITIVE_INFINITY]
    const began_ms = performance.now()
    for (let minute = 1; minute <= minutes; minute++) {
      await sleep(Math.max(0, began_ms + (minute - 0.5) * 60_000 - performance.now()))
      const killed = servers.shift()
      if (killed) end(killed)
      await killed?.kill()
      kills++
      await start()
      least = Math.min(least, await countRunning(db))
      await sleep(Math.max(0, began_ms + minute * 60_000 - performance.now()))
      least = Math.min(least, await countRunning(db))
    }
    const told = once(load, 'message') as Promise<[MixedLoad]>
    load.send('enough')
    const [mixed] = await told
    const ready = prober.stop()
    servers.forEach(end)
    const postgres_s = cpuSecondsOfFamily(postgres.pid) - postgres_before_s
    const after = cloud.reports()
    cloud.enough()
    const stored = await storedIn(db)
    return {
      figures: {
        minutes,
        kills,
        requests_per_s: rounded((mixed.requests - mixed.failed) / mixed.seconds, 0),
        p50_ms: rounded(mixed.p50_ms, 1),
        p99_ms: rounded(mixed.p99_ms, 1),
        failed_percent: rounded((100 * mixed.failed) / mixed.requests, 4),
        failures: JSON.stringify(mixed.failures),
        jobs_running_at_least: least,
        reports_per_s: rounded((after.answered - before.answered) / mixed.seconds, 0),
        reports_again: after.again - before.again,
        ready_percent: rounded(ready, 3),
        // Of the two that all of this shares; the clients, the runners and the balancer take them too.
        servers_cores: rounded(servers_s / mixed.seconds),
        postgres_cores: rounded(postgres_s / mixed.seconds),
        others_load: rounded(load_before, 1),
        jobs: stored.jobs,
        waiting: stored.waiting,
      },
      targets: {
        requests_per_s: { at_least: 0.99 * rate },
        failed_percent: { at_most: 0.1 },
        jobs_running_at_least: { at_least: running },
        ready_percent: { at_least: 99.9 },
      },
    }
  } finally {
    cloud.enough()
    await Promise.all(servers.map((server) => server.kill()))
    spreader.kill()
    await clouds.close()
    await close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Jobs that are launched and work until the end. */
async function submitAll(url: string, key: string, count: number): Promise<void> {
  const at_once = 100
  for (let sent = 0; sent < count; sent += at_once) {
    const jobs = Array.from({ length: Math.min(at_once, count - sent) }, (_, index) => {
      const spec = realBacktest({ placement: { providers: ['steady'] } })
      // Equal jobs would wait for one another's result.
      return { ...spec, params: { ...spec.params, search: { seed: sent + index } } }
    })
    const answer = await fetch(`${url}/v1/jobs/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ jobs }),
    })
    if (!answer.ok) throw new Error(`a batch answered ${answer.status}: ${await answer.text()}`)
  }
}

async function countRunning(db: Database): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    select count(*)::int as count from jobs where state = 'running'`.execute(db)
  return rows[0]?.count ?? 0
}

async function atWork(db: Database, count: number): Promise<void> {
  for (const until = performance.now() + start_ms; (await countRunning(db)) < count; await sleep(500))
    if (performance.now() > until) throw new Error(`${await countRunning(db)} of ${count} jobs run`)
}

async function storedIn(db: Database) {
  const { rows } = await sql<{ jobs: number; waiting: number }>`
    select count(*)::int as jobs, count(*) filter (where state = 'queued')::int as waiting from jobs`.execute(
    db,
  )
  return { jobs: rows[0]?.jobs ?? 0, waiting: rows[0]?.waiting ?? 0 }
}

/** Asks whether the address is ready, again and again; `stop` answers how often it was, in percent. */
function probe(url: string) {
  const { hostname, port } = new URL(url)
  const counts = { asked: 0, ready: 0 }
  const timer = setInterval(() => {
    counts.asked++
    const sent = request(
      { hostname, port, path: '/readyz', agent: false, timeout: probeBound_ms },
      (response) => {
        if (response.statusCode === 200) counts.ready++
        response.resume()
      },
    )
    sent.on('timeout', () => sent.destroy())
    sent.on('error', () => undefined).end()
  }, probe_ms)
  return {
    stop() {
      clearInterval(timer)
      return (100 * counts.ready) / Math.max(1, counts.asked)
    },
  }
}
