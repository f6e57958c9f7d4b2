// graphile-worker, a queue of jobs on PostgreSQL for Node: jobs that do nothing, drained by one process.
import { Logger, run, runMigrations } from 'graphile-worker'
import pg from 'pg'

/** Jobs at once, and (batched) jobs fetched at once, as its documentation measures it. */
const concurrency = 24
const fetched = 500

/** Jobs a second. `batched`: it fetches and completes many at a time, which it does not by itself. */
export async function drainByGraphile(
  connectionString: string,
  jobs: number,
  batched: boolean,
): Promise<number> {
  const pool = new pg.Pool({ connectionString, max: 20 })
  pool.on('error', () => undefined)
  pool.on('connect', (client) => void client.on('error', () => undefined))
  const logger = new Logger(() => () => undefined)
  const batches = { localQueue: { size: fetched }, completeJobBatchDelay: 0, failJobBatchDelay: 0 }
  const preset = {
    worker: { concurrentJobs: concurrency, pollInterval: 100, ...(batched ? batches : {}) },
  }
  let left = jobs
  const drained = Promise.withResolvers<void>()
  const nothing = () => {
    if (--left === 0) drained.resolve()
  }
  await runMigrations({ pgPool: pool, logger })
  await pool.query(
    `select graphile_worker.add_jobs(array(
      select row('nothing', '{}'::json, null, null, null, null, null, null)::graphile_worker.job_spec
      from generate_series(1, $1::int)))`,
    [jobs],
  )
  await pool.query('vacuum analyze')
  const from_ms = performance.now()
  const runner = await run({ pgPool: pool, taskList: { nothing }, logger, noHandleSignals: true, preset })
  await drained.promise
  const per_s = (jobs * 1_000) / (performance.now() - from_ms)
  await runner.stop()
  await pool.end()
  return per_s
}
