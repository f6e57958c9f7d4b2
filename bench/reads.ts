// `npm run bench -- reads [--jobs 1000000] [--requests 40] [--limit 100]`: lists by every filter and every two of them,
// and single jobs, over HTTP from a server on PostgreSQL whose project has lived.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { openDatabase } from '../infra/db.ts'
import { jobStates } from '../jobs/state.ts'
import type { Database } from '../jobs/store/schema.ts'
import { fillJobs, needle, providers } from '../test/support/many-jobs.ts'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily } from './support/processes.ts'

const day_ms = 86_400_000
/** Requests to each filter before those that are measured: the pages of the index come into memory. */
const warmUps = 3

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 1_000_000)
  const requests = option(options, 'requests', 40)
  const limit = option(options, 'limit', 100)
  await using postgres = await startPostgres()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const env = { BERTH_DATABASE_URL: postgres.database_url }
  const start = async () => startServer(data_dir, await freePort(), env)
  let server = await start()
  const { db, close } = await openDatabase({ database_url: postgres.database_url, data_dir: '' })
  try {
    await server.stop()
    const fill_s = await fill(db, jobs)
    const from_ms = performance.now()
    server = await start()
    const ready_s = (performance.now() - from_ms) / 1_000
    const lists = new Map<string, number[]>()
    const pid = server.child.pid ?? 0
    const used_s = () => cpuSeconds(pid) + cpuSecondsOfFamily(postgres.pid)
    const before_s = used_s()
    for (const filter of filters()) {
      const path = `/v1/jobs?${new URLSearchParams({ ...filter, limit: String(limit) }).toString()}`
      lists.set(Object.entries(filter).flat().join(' '), await time(server, () => path, requests))
    }
    const cpu_ms = ((used_s() - before_s) * 1_000) / (lists.size * (requests + warmUps))
    const ids = await someIds(db, requests * 10)
    const gets = await time(server, (n) => `/v1/jobs/${ids[n % ids.length]}`, ids.length)
    const all = [...lists.values()].flat()
    const slowest = [...lists].toSorted(([, a], [, b]) => percentile(b, 0.99) - percentile(a, 0.99))
    for (const [name, taken] of slowest.slice(0, 10))
      console.log(
        `${rounded(percentile(taken, 0.5))} ms, 99 % in ${rounded(percentile(taken, 0.99))} ms: ${name}`,
      )
    const needles = [...lists].filter(([name]) => name.includes(needle.value)).flatMap(([, taken]) => taken)
    return {
      figures: {
        jobs,
        database_gib: rounded(await size(db)),
        fill_s: rounded(fill_s, 0),
        ready_s: rounded(ready_s),
        filters: lists.size,
        limit,
        list_cpu_ms: rounded(cpu_ms),
        list_p50_ms: rounded(percentile(all, 0.5)),
        list_p99_ms: rounded(percentile(all, 0.99)),
        slowest_filter: slowest[0]?.[0] ?? '',
        slowest_filter_p50_ms: rounded(
          Math.max(...[...lists.values()].map((taken) => percentile(taken, 0.5))),
        ),
        one_match_p99_ms: rounded(percentile(needles, 0.99)),
        get_p50_ms: rounded(percentile(gets, 0.5)),
        get_p99_ms: rounded(percentile(gets, 0.99)),
      },
      targets: {
        ready_s: { at_most: 2 },
        list_p99_ms: { at_most: 50 },
        slowest_filter_p50_ms: { at_most: 50 },
        one_match_p99_ms: { at_most: 50 },
        get_p99_ms: { at_most: 50 },
      },
    }
  } finally {
    await server.kill()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

/** None, each by itself, and every two of them. */
function filters(): Record<string, string>[] {
  const at = (days: number) => new Date(Date.now() - days * day_ms).toISOString()
  const values: Record<string, string>[][] = [
    jobStates.map((state) => ({ state })),
    [{ kind: 'backtest' }],
    [{ label: 'desk:desk-3' }, { label: `${needle.name}:${needle.value}` }],
    providers.slice(0, 2).map((provider) => ({ provider })),
    [{ created_after: at(30) }],
    [{ created_before: at(60) }],
  ]
  const pairs = values.flatMap((first, index) =>
    values.slice(index + 1).flatMap((second) => first.flatMap((a) => second.map((b) => ({ ...a, ...b })))),
  )
  return [{}, ...values.flat(), ...pairs]
}

async function fill(db: Database, jobs: number): Promise<number> {
  const from_ms = performance.now()
  const { id: project_id } = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow()
  const progress = (done: number) => {
    if (done % 100_000 === 0) console.log(`${done} jobs`)
  }
  await fillJobs(db, { project_id, jobs, now: new Date(), progress })
  // As autovacuum does in a database that has lived.
  await sql`vacuum analyze`.execute(db)
  return (performance.now() - from_ms) / 1_000
}

async function time(server: RunningServer, path: (n: number) => string, requests: number): Promise<number[]> {
  const headers = { authorization: `Bearer ${server.key}` }
  const taken_ms: number[] = []
  for (let n = -warmUps; n < requests; n++) {
    const from_ms = performance.now()
    const answer = await fetch(server.url + path(Math.max(0, n)), { headers })
    await answer.arrayBuffer()
    if (answer.status !== 200) throw new Error(`${path(n)} answered ${answer.status}`)
    if (n >= 0) taken_ms.push(performance.now() - from_ms)
  }
  return taken_ms
}

async function someIds(db: Database, count: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from jobs tablesample bernoulli(1) order by md5(id) limit ${count}`.execute(db)
  return rows.map(({ id }) => id)
}

async function size(db: Database): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`select pg_database_size(current_database()) as bytes`.execute(
    db,
  )
  return (rows[0]?.bytes ?? 0) / 1024 ** 3
}
