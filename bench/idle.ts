// `npm run bench -- idle [--seconds 60] [--waiting 0]`: processor time of a server that has nothing to do; with
// `--waiting 10000`, of one on PostgreSQL with so many jobs of many shapes whose every offer is known to be out of stock.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../infra/db.ts'
import type { Database } from '../jobs/store/schema.ts'
import { ProviderError } from '../providers/errors.ts'
import type { Offer } from '../providers/provider.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { openDesk, realBacktest } from '../test/support/desk.ts'
import { startReplica } from '../test/support/replica.ts'
import type { RunningServer } from '../test/support/server.ts'
import { type Measured, type Measurement, option, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily, residentMib } from './support/processes.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

/** What starting left to do is done by then, and a queue that does not change is left alone. */
const settle_ms = 20_000
const offers = 200
const shapes = 2_500

export const measure: Measurement = async (options) => {
  const seconds = option(options, 'seconds', 60)
  const waiting = option(options, 'waiting', 0)
  return waiting > 0 ? measureWaiting(waiting, seconds) : measureNothing(seconds)
}

async function measureNothing(seconds: number): Promise<Measured> {
  await using desk = await openDesk()
  const pid = desk.server().child.pid ?? 0
  await new Promise((done) => setTimeout(done, settle_ms))
  const before_s = cpuSeconds(pid)
  await new Promise((done) => setTimeout(done, seconds * 1_000))
  const share = (cpuSeconds(pid) - before_s) / seconds
  return {
    figures: { seconds, cpu_percent_of_a_core: rounded(share * 100, 3), resident_mib: residentMib(pid) },
    targets: { cpu_percent_of_a_core: { at_most: 1 } },
  }
}

async function measureWaiting(waiting: number, seconds: number): Promise<Measured> {
  await using postgres = await startPostgres()
  const cloud = createSteadyCloud(() =>
    Promise.reject(new ProviderError('capacity', { provider: 'steady', detail: 'out of stock' })),
  )
  const [one] = await cloud.provider.offers(AbortSignal.timeout(1_000))
  cloud.provider.offers = () =>
    Promise.resolve(Array.from({ length: offers }, (_, n) => ({ ...(one as Offer), id: `shape-${n}` })))
  const clouds = await serveClouds([cloud.provider])
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const { database_url } = postgres
  const server = await startReplica({ database_url, data_dir, clouds_url: clouds.url })
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  try {
    await rememberStockOut(db)
    await submit(server, waiting)
    await new Promise((done) => setTimeout(done, settle_ms))
    const pid = server.child.pid ?? 0
    const used = () => [cpuSeconds(pid), cpuSecondsOfFamily(postgres.pid)] as const
    const [node_s, postgres_s] = used()
    await new Promise((done) => setTimeout(done, seconds * 1_000))
    const [node_end_s, postgres_end_s] = used()
    const still = await db
      .selectFrom('shards')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('state', '=', 'waiting')
      .executeTakeFirstOrThrow()
    return {
      figures: {
        seconds,
        waiting: Number(still.count),
        shapes,
        offers,
        cpu_percent_of_a_core: rounded(((node_end_s - node_s) / seconds) * 100, 3),
        postgres_percent_of_a_core: rounded(((postgres_end_s - postgres_s) / seconds) * 100, 3),
        resident_mib: residentMib(pid),
      },
      targets: {
        waiting: { at_least: waiting },
        cpu_percent_of_a_core: { at_most: 1 },
        postgres_percent_of_a_core: { at_most: 1 },
      },
    }
  } finally {
    await server.kill()
    await clouds.close()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

/** Every offer has refused so often that it is not asked for an hour. */
async function rememberStockOut(db: Database): Promise<void> {
  const now = new Date()
  const refused = {
    code: 'capacity' as const,
    failures: 9,
    blocked_until: new Date(now.getTime() + 3_600_000),
  }
  const place = { provider: 'steady', account: 'main', region: 'here', spot: false }
  const rows = Array.from({ length: offers }, (_, n) => ({
    ...place,
    ...refused,
    offer_id: `shape-${n}`,
    updated_at: now,
  }))
  await db.insertInto('capacity_memory').values(rows).execute()
}

async function submit(server: RunningServer, jobs: number): Promise<void> {
  const headers = { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' }
  for (let from = 0; from < jobs; from += 1_000) {
    const batch = Array.from({ length: Math.min(1_000, jobs - from) }, (_, n) =>
      realBacktest({
        cache: false,
        parallelism: { max_shards: 1 },
        resources: { memory_gib: 1 + ((from + n) % shapes) / 1_000 },
      }),
    )
    const body = JSON.stringify({ jobs: batch })
    const answer = await fetch(`${server.url}/v1/jobs/batch`, { method: 'POST', headers, body })
    const { items } = (await answer.json()) as { items: { problem?: object }[] }
    const [bad] = items.filter(({ problem }) => problem)
    if (bad) throw new Error(JSON.stringify(bad))
  }
}
