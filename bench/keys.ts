// `npm run bench -- keys [--checks 5000] [--at_once 32]`: what it takes to find out whose a key is, on PostgreSQL: one after the other,
// and each of many that come at once, which one statement answers.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gather } from '../infra/gather.ts'
import { openDatabase } from '../infra/db.ts'
import { createKeyCheck } from '../jobs/keys.ts'
import { freePort, startServer } from '../test/support/server.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'
import { startPostgres } from './support/postgres.ts'

/** Checks before those that are measured, for the compiler of the engine and the plan of the statement. */
const warmUps = 500

export const measure: Measurement = async (options) => {
  const checks = option(options, 'checks', 5_000)
  const at_once = option(options, 'at_once', 32)
  await using postgres = await startPostgres()
  const data_dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const { database_url } = postgres
  // Makes the database, and its first key.
  const server = await startServer(data_dir, await freePort(), { BERTH_DATABASE_URL: database_url })
  await server.stop()
  const { db, close } = await openDatabase({ database_url, data_dir: '' })
  try {
    const clock = { now: () => new Date() }
    const check = createKeyCheck({ db, clock, gather })
    const taken_ms: number[] = []
    for (let n = 0; n < warmUps + checks; n++) {
      const from_ms = performance.now()
      await check(server.key)
      if (n >= warmUps) taken_ms.push(performance.now() - from_ms)
    }
    const from_ms = performance.now()
    for (let n = 0; n < checks; n += at_once)
      await Promise.all(Array.from({ length: at_once }, () => check(server.key)))
    const crowd_ms = (performance.now() - from_ms) / (Math.ceil(checks / at_once) * at_once)
    return {
      figures: {
        checks,
        alone_p50_ms: rounded(percentile(taken_ms, 0.5), 3),
        alone_p99_ms: rounded(percentile(taken_ms, 0.99), 3),
        at_once,
        each_ms: rounded(crowd_ms, 3),
      },
      targets: { alone_p50_ms: { at_most: 0.3 }, each_ms: { at_most: 0.3 } },
    }
  } finally {
    await close()
    rmSync(data_dir, { recursive: true, force: true })
  }
}
