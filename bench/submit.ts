// `npm run bench -- submit [--jobs 500]`: authenticated, durable submits over HTTP at several clients at once, beside
// single-row transactions on the same kind of database.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, openDatabase } from '../infra/db.ts'
import { openDesk, realBacktest } from '../test/support/desk.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'

const clients = 8

export const measure: Measurement = async (options) => {
  const jobs = option(options, 'jobs', 500)
  const single_per_s = await singleRows(jobs)
  // Submits alone: without the pass nothing is launched beside them.
  await using desk = await openDesk({ BERTH_ROLES: 'api' })
  const taken_ms: number[] = []
  let left = jobs
  const client = async () => {
    while (left-- > 0) {
      const from_ms = performance.now()
      await desk.submit(realBacktest())
      taken_ms.push(performance.now() - from_ms)
    }
  }
  const from_ms = performance.now()
  await Promise.all(Array.from({ length: clients }, client))
  const submits_per_s = (jobs * 1_000) / (performance.now() - from_ms)
  const figures = {
    jobs,
    clients,
    submits_per_s: rounded(submits_per_s),
    single_row_transactions_per_s: rounded(single_per_s),
    ratio: rounded(submits_per_s / single_per_s),
    p50_ms: rounded(percentile(taken_ms, 0.5)),
    p99_ms: rounded(percentile(taken_ms, 0.99)),
  }
  return { figures, targets: { p99_ms: { at_most: 200 } } }
}

async function singleRows(rows: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const { db, close } = await openDatabase({ database_url: null, data_dir: folder })
  await migrate(db)
  const from_ms = performance.now()
  for (let n = 0; n < rows; n++)
    await db
      .insertInto('replicas')
      .values({ id: String(n), started_at: new Date(), renewed_at: new Date() })
      .execute()
  const per_s = (rows * 1_000) / (performance.now() - from_ms)
  await close()
  rmSync(folder, { recursive: true, force: true })
  return per_s
}
