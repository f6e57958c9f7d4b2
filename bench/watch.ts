// `npm run bench -- watch [--runners 10000] [--seconds 60]`: what one server on PostgreSQL costs that watches runners
// which report over HTTP at the intervals that its answers set, and asks their vendor about each.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { openDatabase } from '../infra/db.ts'
import { deriveKey } from '../infra/secrets.ts'
import type { Database } from '../jobs/store/schema.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { startReplica } from '../test/support/replica.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { copyJob, running, runOne, startCrowd } from './support/crowd.ts'
import { startPostgres } from './support/postgres.ts'
import { cpuSeconds, cpuSecondsOfFamily, residentMib } from './support/processes.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

/** The first reports come within this time, and as long again everything settles before it is measured. */
const settle_s = 40

export const measure: Measurement = async (options) => {
  const runners = option(options, 'runners', 10_000)
  const seconds = option(options, 'seconds', 60)
  await using postgres = await startPostgres()
  const cloud = createSteadyCloud()
  const clouds = await serveClouds([cloud.provider])
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const key = randomBytes(32)
  const { database_url } = postgres
  const env = { BERTH_SECRET_KEY: key.toString('base64') }
  const server = await startReplica({ database_url, data_dir, clouds_url: clouds.url, env })
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  try {
    await runOne(server, cloud, db)
    const members = await copyJob(db, deriveKey(key, 'runner-token'), runners)
    const crowd = startCrowd(server.url, members, settle_s * 1_000)
    await new Promise((resolve) => setTimeout(resolve, 2 * settle_s * 1_000))
    crowd.take()
    const pid = server.child.pid ?? 0
    const look = () => ({
      at_ms: performance.now(),
      node_s: cpuSeconds(pid),
      postgres_s: cpuSecondsOfFamily(postgres.pid),
      looks: cloud.inspected(),
    })
    const from = look()
    let [resident, late_s] = [0, 0]
    for (let second = 0; second < seconds; second++) {
      await new Promise((resolve) => setTimeout(resolve, 1_000))
      resident = Math.max(resident, residentMib(pid))
      late_s = Math.max(late_s, await lateness(db))
    }
    const to = look()
    const taken_s = (to.at_ms - from.at_ms) / 1_000
    const { answered_ms, failed, interval_ms } = crowd.take()
    crowd.stop()
    return {
      figures: {
        runners,
        seconds,
        running: await running(db),
        reports_per_s: rounded(answered_ms.length / taken_s),
        interval_s: rounded(interval_ms / 1_000),
        failed_reports: failed,
        report_p50_ms: rounded(percentile(answered_ms, 0.5)),
        report_p99_ms: rounded(percentile(answered_ms, 0.99)),
        report_longest_ms: rounded(percentile(answered_ms, 1)),
        looks_per_s: rounded((to.looks - from.looks) / taken_s),
        latest_look_s: rounded(late_s),
        resident_mib: resident,
        node_cores: rounded((to.node_s - from.node_s) / taken_s, 3),
        postgres_cores: rounded((to.postgres_s - from.postgres_s) / taken_s, 3),
      },
      targets: {
        running: { at_least: runners },
        failed_reports: { at_most: 0 },
        // Later than this a look would be missed: twice the longest interval.
        latest_look_s: { at_most: 30 },
        resident_mib: { at_most: 512 },
        node_cores: { at_most: 1 },
      },
    }
  } finally {
    await server.kill()
    await clouds.close()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

/** Seconds that the most overdue shard waits to be looked at. */
async function lateness(db: Database): Promise<number> {
  const { rows } = await sql<{ late_s: number | null }>`
    select extract(epoch from clock_timestamp() - min(due_at))::float as late_s from shards`.execute(db)
  return rows[0]?.late_s ?? 0
}
