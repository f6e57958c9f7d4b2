// `npm run bench -- webhooks [--endpoints 20] [--jobs 500] [--single 40]`: how fast one server on PostgreSQL delivers a backlog to
// local receivers, how long one message takes that has nothing before it, and both with receivers beside that hang.
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../infra/db.ts'
import type { Database } from '../jobs/store/schema.ts'
import { realBacktest } from '../test/support/desk.ts'
import { freePort, type RunningServer, startServer } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily } from './support/processes.ts'

/** A backlog that is not gone by then is not measured any more. */
const longest_ms = 120_000

export const measure: Measurement = async (options) => {
  const endpoints = option(options, 'endpoints', 20)
  const jobs = option(options, 'jobs', 500)
  const single = option(options, 'single', 40)
  await using postgres = await startPostgres()
  await using receiver = await openReceiver()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  // The API to write events, and the sender: nothing is launched beside them.
  const env = { BERTH_DATABASE_URL: postgres.database_url, BERTH_ROLES: 'api,webhooks' }
  const server = await startServer(data_dir, await freePort(), env)
  const { db, close } = await openDatabase({ database_url: postgres.database_url, data_dir: '' })
  try {
    const call = caller(server)
    for (let n = 0; n < endpoints; n++)
      await call('/v1/webhooks', { url: `${receiver.url}/${n}`, events: ['job.queued'] })
    const lag_ms = await lags(call, receiver, single)
    const pid = server.child.pid ?? 0
    const used = () => ({ node_s: cpuSeconds(pid), postgres_s: cpuSecondsOfFamily(postgres.pid) })
    const from = used()
    const taken_s = await backlog(call, db, jobs)
    const to = used()
    for (let n = 0; n < endpoints / 4; n++)
      await call('/v1/webhooks', { url: `${receiver.url}/hang/${n}`, events: ['job.queued'] })
    const beside_s = await backlog(call, db, jobs)
    const beside_ms = await lags(call, receiver, single)
    return {
      figures: {
        endpoints,
        deliveries: jobs * endpoints,
        deliveries_per_s: rounded((jobs * endpoints) / taken_s, 0),
        beside_hanging_per_s: rounded((jobs * endpoints) / beside_s, 0),
        lag_p50_ms: rounded(percentile(lag_ms, 0.5)),
        lag_p99_ms: rounded(percentile(lag_ms, 0.99)),
        beside_hanging_lag_p99_ms: rounded(percentile(beside_ms, 0.99)),
        twice: receiver.twice(),
        node_cores: rounded((to.node_s - from.node_s) / taken_s),
        postgres_cores: rounded((to.postgres_s - from.postgres_s) / taken_s),
      },
      targets: {
        deliveries_per_s: { at_least: 500 },
        beside_hanging_per_s: { at_least: 500 },
        lag_p99_ms: { at_most: 1_000 },
        beside_hanging_lag_p99_ms: { at_most: 1_000 },
        twice: { at_most: 0 },
      },
    }
  } finally {
    await server.kill()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

type Call = (path: string, body: object) => Promise<unknown>

const caller =
  (server: RunningServer): Call =>
  async (path, body) => {
    const headers = { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' }
    const answer = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
    return answer.json()
  }

/** Takes messages at once, but for those that it never answers. */
async function openReceiver() {
  const times = new Map<string, number>()
  let arrived: (at_ms: number) => void = () => undefined
  const server = createServer((request, response) => {
    request.resume()
    if (request.url?.startsWith('/hang/')) return
    const id = String(request.headers['webhook-id'])
    times.set(id, (times.get(id) ?? 0) + 1)
    arrived(performance.now())
    request.on('end', () => response.end())
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Messages that came more than once. */
    twice: () => [...times.values()].filter((count) => count > 1).length,
    /** When so many messages from now on have come. */
    after: (count: number) =>
      new Promise<number>((resolve) => {
        let left = count
        arrived = (at_ms) => {
          if (--left === 0) resolve(at_ms)
        }
      }),
    [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      return Promise.resolve()
    },
  }
}

/** Milliseconds from a submit to the first message of it, one after the other. */
async function lags(
  call: Call,
  { after }: Pick<Awaited<ReturnType<typeof openReceiver>>, 'after'>,
  count: number,
): Promise<number[]> {
  const taken: number[] = []
  for (let n = 0; n < count; n++) {
    const first = after(1)
    const from_ms = performance.now()
    await call('/v1/jobs', realBacktest())
    taken.push((await first) - from_ms)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return taken
}

/** Seconds from the submit of many jobs until all their messages are recorded as delivered, hanging receivers' not. */
async function backlog(call: Call, db: Database, jobs: number): Promise<number> {
  await until(db, 0)
  const all = Array.from({ length: jobs }, () => realBacktest())
  const from_ms = performance.now()
  await call('/v1/jobs/batch', { jobs: all })
  await until(db, 0)
  return (performance.now() - from_ms) / 1_000
}

async function until(db: Database, left: number): Promise<void> {
  for (const end_ms = performance.now() + longest_ms; performance.now() < end_ms;) {
    const { count } = await db
      .selectFrom('deliveries')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('state', '=', 'pending')
      .where('url', 'not like', '%/hang/%')
      .executeTakeFirstOrThrow()
    if (Number(count) <= left) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('the backlog is not gone')
}
