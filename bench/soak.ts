// `npm run bench -- soak [--minutes 30] [--rate 100] [--real 1]`: two servers on one PostgreSQL under a steady load, most of it on a cloud whose
// machines are runners in this process, some of it as real processes. Every minute one server is killed, some machines go away in
// the middle of their work, and half-way all servers are started anew one after the other, as an upgrade does. Nothing may be lost or done
// twice, and neither memory, nor latency, nor what a job leaves in the database may grow.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { openDatabase } from '../infra/db.ts'
import type { Database } from '../jobs/store/schema.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { createDraw } from '../test/simulation/draw.ts'
import { realBacktest } from '../test/support/desk.ts'
import { startReplica } from '../test/support/replica.ts'
import type { RunningServer } from '../test/support/server.ts'
import { openWitness } from '../test/support/witness.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily, residentMib } from './support/processes.ts'
import { createSoakCloud } from './support/soak-cloud.ts'

const replicas = 2
/** Share of machines that go away in the middle of their work: what they did is done again. */
const dying = 0.01
const patience_ms = 30_000
const again_ms = 250
/** Of what is under way when the load ends. */
const rest_ms = 300_000
/** The first servers' code is compiled, their pools are filled and their caches are warm by then. */
const warm = 0.2

interface Sample {
  at_min: number
  submit_p99_ms: number
  /** The largest server's. */
  resident_mib: number
  database_mib: number
  ended: number
  waiting: number
}

export const measure: Measurement = async (options) => {
  const minutes = option(options, 'minutes', 30)
  const rate = option(options, 'rate', 100)
  const real = option(options, 'real', 1)
  await using postgres = await startPostgres()
  await using witness = openWitness()
  const folder = mkdtempSync(join(tmpdir(), 'berth-soak-'))
  const servers: RunningServer[] = []
  const urls = () => servers.map(({ url }) => url)
  const cloud = createSoakCloud(urls, createDraw('soak'), dying)
  const clouds = await serveClouds([cloud.provider])
  const start = () =>
    startReplica({
      database_url: postgres.database_url,
      data_dir: folder,
      clouds_url: clouds.url,
      env: { BERTH_LOCAL_PROVIDER: 'true', BERTH_LOCAL_SLOTS: '4', BERTH_PYTHON: witness.python },
    })
  for (let each = 0; each < replicas; each++) servers.push(await start())
  const { db, close } = await openDatabase({ database_url: postgres.database_url, data_dir: '' })
  const key = servers[0]?.key ?? ''
  const load = createLoad(urls, key)
  const samples: Sample[] = []
  let [kills, restarts] = [0, 0]
  // With their starts, and without the programs that they start.
  let servers_s = 0
  const next = () => {
    const server = servers.shift()
    servers_s += cpuSeconds(server?.child.pid ?? 0)
    return server
  }
  try {
    const began = performance.now()
    const stop = new AbortController()
    const sending = [
      load.every(1_000 / rate, (number) => modelJob(number), stop.signal),
      load.every(1_000 / real, (number) => realJob(number), stop.signal),
    ]
    for (let minute = 1; minute <= minutes; minute++) {
      await sleep(Math.max(0, began + (minute - 0.5) * 60_000 - performance.now()))
      if (minute === Math.ceil(minutes / 2)) {
        // The new one serves before the old one is told to end.
        for (let each = 0; each < replicas; each++, restarts++) {
          servers.push(await start())
          await next()?.stop()
        }
      } else if (minute < minutes) {
        await next()?.kill()
        servers.push(await start())
        kills++
      }
      await sleep(Math.max(0, began + minute * 60_000 - performance.now()))
      samples.push(await sampleOf(db, load.take(), { minute, servers }))
      console.log(JSON.stringify(samples.at(-1)))
    }
    stop.abort()
    await Promise.all(sending)
    const left = await rest(db)
    const counts = await countsOf(db)
    await tellFailures(db)
    const seen = witness.saw('ended')
    for (const { child } of servers) servers_s += cpuSeconds(child.pid ?? 0)
    const { user, system } = process.cpuUsage()
    const each_ms = (used_s: number) => rounded((used_s * 1_000) / counts.jobs, 1)
    return {
      figures: {
        minutes,
        ...counts,
        accepted: load.accepted(),
        lost: load.accepted() - counts.jobs,
        not_ended: left,
        model_done_twice: [...cloud.done.values()].filter((times) => times > 1).length,
        real: seen.length,
        real_done_twice: seen.length - new Set(seen).size,
        machines_made: cloud.made(),
        machines_left: cloud.alive(),
        kills,
        restarts,
        ...trends(samples),
        servers_cpu_ms: each_ms(servers_s),
        postgres_cpu_ms: each_ms(cpuSecondsOfFamily(postgres.pid)),
        // The load, the runners and their cloud.
        own_cpu_ms: each_ms((user + system) / 1e6),
      },
      targets: {
        lost: { at_most: 0 },
        not_ended: { at_most: 0 },
        model_done_twice: { at_most: 0 },
        real_done_twice: { at_most: 0 },
        machines_left: { at_most: 0 },
        memory_growth_mib: { at_most: 100 },
        latency_growth: { at_most: 1.5 },
        bytes_of_a_job_growth: { at_most: 1.3 },
      },
    }
  } finally {
    await Promise.all(servers.map((server) => server.kill()))
    await clouds.close()
    await close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Work of a moment, known by its seed. */
const modelJob = (number: number) =>
  realBacktest({
    placement: { providers: ['steady'] },
    params: { ...realBacktest().params, search: { seed: number } },
  })

const realJob = (number: number) =>
  realBacktest({
    resources: { cpu: 1 },
    placement: { providers: ['local'] },
    params: { ...realBacktest().params, parameters: { fast: number + 1, slow: 1_000_000 } },
  })

/** What no second try would change. */
class Refused extends Error {}

/** Clients that send again, under the same key, what was not answered. */
function createLoad(urls: () => readonly string[], key: string) {
  let taken: number[] = []
  let accepted = 0
  async function submit(name: string, spec: object): Promise<void> {
    const body = JSON.stringify(spec)
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'idempotency-key': name,
    }
    const began = performance.now()
    for (let tried = 0; ; tried++) {
      const all = urls()
      try {
        const url = `${all[tried % Math.max(1, all.length)]}/v1/jobs`
        const answer = await fetch(url, {
          method: 'POST',
          body,
          headers,
          signal: AbortSignal.timeout(patience_ms),
        })
        const said = await answer.text()
        if (answer.ok) break
        if (answer.status < 429) throw new Refused(said)
      } catch (error) {
        // Killed, or not there yet.
        if (error instanceof Refused) throw error
      }
      await sleep(again_ms)
    }
    accepted++
    taken.push(performance.now() - began)
  }
  return {
    accepted: () => accepted,
    /** How long submits took since the last look. */
    take() {
      const before = taken
      taken = []
      return before
    },
    /** Submits one every so often until it is told to end; resolves when all are accepted. */
    async every(ms: number, specOf: (number: number) => object, signal: AbortSignal): Promise<void> {
      const began = performance.now()
      const sent: Promise<void>[] = []
      for (let number = 0; !signal.aborted; number++) {
        const spec = specOf(number)
        sent.push(submit(`${JSON.stringify(spec).length}-${ms}-${number}`, spec))
        await sleep(Math.max(0, began + number * ms - performance.now()), undefined, { signal }).catch(
          () => undefined,
        )
      }
      await Promise.all(sent)
    },
  }
}

async function sampleOf(
  db: Database,
  submit_ms: readonly number[],
  { minute, servers }: { minute: number; servers: readonly RunningServer[] },
): Promise<Sample> {
  const { rows } = await sql<{ bytes: string; ended: string; waiting: string }>`
    select pg_database_size(current_database()) as bytes,
      (select count(*) from jobs where state in ('succeeded', 'failed', 'cancelled')) as ended,
      (select count(*) from jobs where state = 'queued') as waiting`.execute(db)
  const [row] = rows
  return {
    at_min: minute,
    submit_p99_ms: rounded(percentile(submit_ms, 0.99), 1),
    resident_mib: Math.max(...servers.map(({ child }) => residentMib(child.pid ?? 0))),
    database_mib: rounded(Number(row?.bytes) / 1024 ** 2, 1),
    ended: Number(row?.ended),
    waiting: Number(row?.waiting),
  }
}

/** Waits until nothing is under way; answers how many jobs have not ended. */
async function rest(db: Database): Promise<number> {
  for (const until = performance.now() + rest_ms; ; await sleep(500)) {
    const { rows } = await sql<{ jobs: string; attempts: string }>`
      select (select count(*) from jobs where state not in ('succeeded', 'failed', 'cancelled')) as jobs,
        (select count(*) from attempts where ended_at is null) as attempts`.execute(db)
    const left = Number(rows[0]?.jobs) + Number(rows[0]?.attempts)
    if (left === 0 || performance.now() > until) return left
  }
}

async function countsOf(db: Database) {
  const { rows } = await sql<{ jobs: string; succeeded: string; attempts: string }>`
    select count(*) as jobs, count(*) filter (where state = 'succeeded') as succeeded,
      (select count(*) from attempts) as attempts from jobs`.execute(db)
  return {
    jobs: Number(rows[0]?.jobs),
    succeeded: Number(rows[0]?.succeeded),
    attempts: Number(rows[0]?.attempts),
  }
}

/** Says why jobs failed, and what became of their attempts: three of them may have met machines that went away. */
async function tellFailures(db: Database): Promise<void> {
  const { rows } = await sql<object>`
    select id, error, warnings, (select json_agg(attempt order by number) from attempts attempt
      where attempt.job_id = jobs.id) as attempts
    from jobs where state <> 'succeeded' order by id limit 5`.execute(db)
  for (const row of rows) console.log(JSON.stringify(row))
}

/** The last third beside the one after everything is warm. */
function trends(samples: readonly Sample[]) {
  const rest = samples.slice(Math.floor(samples.length * warm))
  const third = Math.max(1, Math.floor(rest.length / 3))
  const mean = (part: readonly Sample[], of: (sample: Sample) => number) =>
    part.reduce((sum, each) => sum + of(each), 0) / Math.max(1, part.length)
  const [early, late] = [rest.slice(0, third), rest.slice(-third)]
  const bytesOf = (part: readonly Sample[]) =>
    mean(part, ({ database_mib, ended }) => database_mib / Math.max(1, ended))
  return {
    submit_p99_ms: rounded(
      mean(rest, ({ submit_p99_ms }) => submit_p99_ms),
      1,
    ),
    memory_growth_mib: rounded(
      mean(late, (each) => each.resident_mib) - mean(early, (each) => each.resident_mib),
      1,
    ),
    latency_growth: rounded(
      mean(late, (each) => each.submit_p99_ms) / mean(early, (each) => each.submit_p99_ms),
    ),
    bytes_of_a_job_growth: rounded(bytesOf(late) / bytesOf(early)),
    ended_per_s: rounded((samples.at(-1)?.ended ?? 0) / Math.max(1, samples.length) / 60, 1),
    longest_queue: Math.max(...samples.map(({ waiting }) => waiting)),
  }
}
