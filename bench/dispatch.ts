// `npm run bench -- dispatch [--launches 20000]`: how many jobs a second one process places, launches at a provider that
// answers at once, and records, out of queues of a thousand to a million, beside graphile-worker draining jobs that do
// nothing and single-row transactions, all on one PostgreSQL.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../functions/_app.ts'
import { type Berth, compose } from '../infra/compose.ts'
import { parseConfig } from '../infra/config.ts'
import { runPass } from '../jobs/reconcile.ts'
import { newReplicaId } from '../jobs/store/claim.ts'
import type { Database } from '../jobs/store/schema.ts'
import type { LaunchRequest } from '../providers/provider.ts'
import { realBacktest } from '../test/support/desk.ts'
import { type Measurement, option, rounded } from './measurement.ts'
import { drainByGraphile } from './support/graphile.ts'
import { startPostgres } from './support/postgres.ts'
import { addToQueue, type Filled, fillQueue } from './support/queue-of.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

/** In an order in which the small and the large ones are as old as each other on the average. */
const queues: readonly (Filled & { name: string })[] = [
  { name: 'thousand', jobs: 1_000, shapes: 1 },
  { name: 'million', jobs: 1_000_000, shapes: 1 },
  { name: 'hundred_thousand', jobs: 100_000, shapes: 1 },
  { name: 'hundred_thousand_of_1000_shapes', jobs: 100_000, shapes: 1_000 },
  { name: 'thousand_again', jobs: 1_000, shapes: 1 },
]
/** No pace of a vendor's is in the way. */
const instant_per_s = 10_000
/** Launches before anything is measured: a process is slow until its code is compiled. */
const warmUp = 5_000
/** At once, each a transaction of its own. */
const singleRowClients = 8

export const measure: Measurement = async (options) => {
  const launches = option(options, 'launches', 20_000)
  await using postgres = await startPostgres()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const cloud = instantCloud()
  const config = parseConfig({
    BERTH_DATABASE_URL: postgres.database_url,
    BERTH_DATA_DIR: data_dir,
    // Whoever asks for offers, and no pass of its own.
    BERTH_ROLES: 'api,offers',
    BERTH_LOG_LEVEL: 'error',
  })
  const berth = await compose(config, [cloud.provider])
  const loops = await berth.start('http://bench.invalid')
  const figures: Record<string, number> = { launches }
  const rate = (name: string, per_s: number) => {
    figures[`${name}_per_s`] = rounded(per_s, 0)
    console.error(`${name}: ${rounded(per_s, 0)} a second`)
  }
  try {
    const job_id = await submitOne(berth, data_dir)
    const run = (queue: Filled, most: number) => dispatch(berth, cloud.launched, job_id, queue, most)
    await run({ jobs: 1_000, shapes: 1 }, warmUp)
    for (const { name, ...queue } of queues) rate(name, await run(queue, launches))
    rate('graphile', await drainByGraphile(postgres.database_url, launches, false))
    rate('graphile_batched', await drainByGraphile(postgres.database_url, launches, true))
    rate('single_rows', await singleRows(berth.deps.db, launches))
  } finally {
    await loops.stop()
    await berth.close()
    rmSync(data_dir, { recursive: true, force: true })
  }
  const of = (name: string) => figures[`${name}_per_s`] ?? 0
  const thousand = (of('thousand') + of('thousand_again')) / 2
  figures['thousand_mean_per_s'] = rounded(thousand, 0)
  figures['thousand_to_million'] = rounded(thousand / of('million'))
  figures['million_to_thousand'] = rounded(of('million') / thousand)
  figures['million_to_graphile'] = rounded(of('million') / of('graphile'))
  figures['million_to_graphile_batched'] = rounded(of('million') / of('graphile_batched'))
  figures['million_to_single_rows'] = rounded(of('million') / of('single_rows'))
  return {
    figures,
    targets: {
      thousand_mean_per_s: { at_least: 3_000 },
      million_per_s: { at_least: 3_000 },
      thousand_to_million: { at_most: 1.3 },
      million_to_thousand: { at_most: 1.3 },
    },
  }
}

function instantCloud() {
  let launched = 0
  const { provider } = createSteadyCloud()
  const launch = ({ name }: LaunchRequest) => {
    launched++
    return Promise.resolve({ machine: name })
  }
  const traits = { ...provider.traits, calls_per_s: instant_per_s }
  return { provider: { ...provider, traits, launch }, launched: () => launched }
}

/** A real job, whose rows are copied. */
async function submitOne({ deps }: Berth, data_dir: string): Promise<string> {
  const key = readFileSync(join(data_dir, 'admin.key'), 'utf8').trim()
  const answer = await createApp(deps).request('/v1/jobs', {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(realBacktest({ queue_timeout_s: 30 * 86_400 })),
  })
  const job = (await answer.json()) as { id: string }
  if (answer.status !== 201) throw new Error(JSON.stringify(job))
  return job.id
}

/** Launches a second, each recorded as launched. A queue is filled up again while nobody measures. */
async function dispatch(
  { deps }: Berth,
  launched: () => number,
  job_id: string,
  queue: Filled,
  launches: number,
): Promise<number> {
  await fillQueue(deps.db, job_id, queue)
  const replica = newReplicaId(deps.clock, deps.random)
  const before = launched()
  let taken_ms = 0
  for (let done = 0; done < launches; done = launched() - before) {
    if (done > 0) await addToQueue(deps.db, { ...queue, jobs: Math.min(queue.jobs, launches - done) })
    const from_ms = performance.now()
    const { calls } = await runPass(deps, replica)
    await calls
    taken_ms += performance.now() - from_ms
    if (launched() - before === done) throw new Error('a pass launched nothing')
  }
  const done = launched() - before
  const recorded = await deps.db
    .selectFrom('attempts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('launched_at', 'is not', null)
    .executeTakeFirstOrThrow()
  if (Number(recorded.count) !== done)
    throw new Error(`${done} were launched, and ${recorded.count} are recorded`)
  return (done * 1_000) / taken_ms
}

/** Transactions a second that insert a row each, as pgbench's simplest ones do. */
async function singleRows(db: Database, rows: number): Promise<number> {
  let left = rows
  const client = async () => {
    for (let n = left--; n > 0; n = left--)
      await db
        .insertInto('replicas')
        .values({ id: `bench ${n}`, started_at: new Date(), renewed_at: new Date() })
        .execute()
  }
  const from_ms = performance.now()
  await Promise.all(Array.from({ length: singleRowClients }, client))
  return (rows * 1_000) / (performance.now() - from_ms)
}
