// `npm run bench -- takeover [--kills 5] [--jobs 20]`: one of two servers on one PostgreSQL is killed while it holds
// the leases of jobs that it is launching at a slow vendor; how long until the other decides for them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { realBacktest } from '../test/support/desk.ts'
import { startReplica } from '../test/support/replica.ts'
import type { RunningServer } from '../test/support/server.ts'
import { type Measurement, option, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

/** What design.md promises: ten seconds without a sign of life, a second between looks, and one to spare. */
const promise_s = 12
/** A bound against a hang. */
const patience_s = 60

export const measure: Measurement = async (options) => {
  const kills = option(options, 'kills', 5)
  const jobs = option(options, 'jobs', 20)
  await using postgres = await startPostgres()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const waited_s: number[] = []
  let lost = 0
  try {
    for (let kill = 0; kill < kills; kill++) {
      const each = await takeOver(postgres.database_url, data_dir, jobs)
      lost += jobs - each.length
      waited_s.push(...each)
      console.log(
        `kill ${kill + 1} of ${kills}: ${each.length} taken over, the last after ${Math.max(...each)} s`,
      )
    }
  } finally {
    rmSync(data_dir, { recursive: true, force: true })
  }
  return {
    figures: {
      kills,
      jobs: kills * jobs,
      lost,
      first_s: rounded(Math.min(...waited_s)),
      last_s: rounded(Math.max(...waited_s)),
    },
    targets: { lost: { at_most: 0 }, last_s: { at_most: promise_s } },
  }
}

/** Seconds from the kill to the second launch call of each job that was being launched. */
async function takeOver(database_url: string, data_dir: string, jobs: number): Promise<number[]> {
  let slow = true
  // Nobody answers a call of the first server: it holds its leases until it dies.
  const cloud = createSteadyCloud(() => (slow ? new Promise(() => undefined) : Promise.resolve()))
  const clouds = await serveClouds([cloud.provider])
  const start = () => startReplica({ database_url, data_dir, clouds_url: clouds.url })
  const servers = [await start()]
  try {
    for (let job = 0; job < jobs; job++) await submit(servers[0])
    await until(() => cloud.launches.length >= jobs)
    // The other comes to leases of one that lives, and leaves them alone.
    servers.push(await start())
    const held = new Set(cloud.launches.map(({ request }) => request.attempt_id))
    if (held.size < jobs || cloud.launches.length > jobs)
      throw new Error('a job was launched twice, or not at all')
    slow = false
    const killed_ms = performance.now()
    await servers[0]?.kill()
    const again = () => cloud.launches.slice(jobs).filter(({ request }) => held.has(request.attempt_id))
    await until(() => again().length >= jobs)
    return again().map(({ at_ms }) => rounded((at_ms - killed_ms) / 1_000))
  } finally {
    await Promise.all(servers.map((server) => server.kill()))
    await clouds.close()
  }
}

async function submit(server: RunningServer | undefined): Promise<void> {
  const headers = { authorization: `Bearer ${server?.key}`, 'content-type': 'application/json' }
  const body = JSON.stringify(realBacktest())
  const answer = await fetch(`${server?.url}/v1/jobs`, { method: 'POST', headers, body })
  if (answer.status !== 201) throw new Error(`a submit answered ${answer.status}`)
}

async function until(holds: () => boolean): Promise<void> {
  const end_ms = performance.now() + patience_s * 1_000
  while (!holds() && performance.now() < end_ms) await new Promise((resolve) => setTimeout(resolve, 20))
}
