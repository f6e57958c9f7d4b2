// `npm run bench -- sweep [--jobs 20]`: sweeps of a billion points, submitted over HTTP to a server on PostgreSQL: how
// long that takes, what is stored of one, and when its first part is launched.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { openDatabase } from '../infra/db.ts'
import type { Database } from '../jobs/store/schema.ts'
import { serveClouds } from '../test/support/cloud-wire.ts'
import { startReplica } from '../test/support/replica.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'

const billion = {
  kind: 'backtest',
  cache: false,
  params: {
    data: { dataset: 'sample:sp500-20' },
    strategy: { name: 'sma_cross' },
    parameters: {
      fast: { range: [1, 1_000, 1] },
      slow: { range: [1_001, 2_000, 1] },
      stop_loss: { range: [0, 0.999, 0.001] },
    },
  },
}

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 20)
  await using postgres = await startPostgres()
  const cloud = createSteadyCloud()
  const clouds = await serveClouds([cloud.provider])
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const { database_url } = postgres
  const server = await startReplica({ database_url, data_dir, clouds_url: clouds.url, env: {} })
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  const post = async () => {
    const headers = { authorization: `Bearer ${server.key}`, 'content-type': 'application/json' }
    const answer = await fetch(`${server.url}/v1/jobs`, {
      method: 'POST',
      headers,
      body: JSON.stringify(billion),
    })
    if (answer.status !== 201) throw new Error(`a submit answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as { id: string; shards: { total: number } }
  }
  try {
    const [accepted_ms, intent_ms]: [number[], number[]] = [[], []]
    let parts = 0
    // The first one warms the process up and is not counted.
    for (let job = 0; job <= jobs; job++) {
      const before = cloud.launches.length
      const from_ms = performance.now()
      const { shards } = await post()
      const answered_ms = performance.now()
      for (let tries = 0; cloud.launches.length === before && tries < 1_000; tries++)
        await new Promise((resolve) => setTimeout(resolve, 5))
      parts = shards.total
      if (job === 0) continue
      accepted_ms.push(answered_ms - from_ms)
      intent_ms.push((cloud.launches[before]?.at_ms ?? Number.POSITIVE_INFINITY) - from_ms)
    }
    const stored = await storedBytes(db)
    return {
      figures: {
        jobs,
        points: 1e9,
        parts,
        accepted_p50_ms: rounded(percentile(accepted_ms, 0.5)),
        accepted_longest_ms: rounded(percentile(accepted_ms, 1)),
        launched_p50_ms: rounded(percentile(intent_ms, 0.5)),
        launched_longest_ms: rounded(percentile(intent_ms, 1)),
        stored_bytes_of_one: stored,
      },
      targets: {
        accepted_p50_ms: { at_most: 50 },
        launched_longest_ms: { at_most: 1_000 },
        stored_bytes_of_one: { at_most: 65_536 },
      },
    }
  } finally {
    await server.kill()
    await clouds.close()
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}

/** Bytes of all rows of the newest job, with its launched parts: the largest that any has. */
async function storedBytes(db: Database): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    with job as (select id from jobs order by id desc limit 1)
    select sum(bytes)::int as bytes from (
      select pg_column_size(j.*) as bytes from jobs j where id in (select id from job)
      union all select pg_column_size(s.*) from shards s where job_id in (select id from job)
      union all select pg_column_size(a.*) from attempts a where job_id in (select id from job)
      union all select pg_column_size(e.*) from events e where job_id in (select id from job)
      union all select pg_column_size(p.*) from points p where job_id in (select id from job)) as of_job`.execute(
    db,
  )
  return rows[0]?.bytes ?? Number.POSITIVE_INFINITY
}
