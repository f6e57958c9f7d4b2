// `npm run bench -- simulate [--from 1] [--seeds 50] [--processes 2]`: the deterministic simulation of test/simulation/
// over many seeds. A seed that fails is shown with its history and how to run it again.
import { accumulate, failure, runSeeds } from '../test/simulation/seeds.ts'
import type { SeedReport } from '../test/simulation/report.ts'
import { type Measurement, option } from './measurement.ts'

export const measure: Measurement = async (options) => {
  const from = option(options, 'from', 1)
  const seeds = option(options, 'seeds', 50)
  const reports: SeedReport[] = []
  await runSeeds(from, seeds, option(options, 'processes', 2), (report) => {
    const failed = report.violations.length > 0
    // Of those that hold only the sums are kept, so that ten thousand fit into memory.
    reports.push(failed ? report : { ...report, trace: [] })
    if (failed) console.log(failure(report))
    else
      console.log(
        `seed ${report.seed} holds: ${report.steps} steps, ${report.crashes} crashes (${reports.length} of ${seeds})`,
      )
  })
  const { uncrashed, ...figures } = accumulate(reports)
  for (const place of uncrashed) console.log(`no process died at ${place}`)
  return {
    figures: { from, ...figures },
    targets: {
      failed: { at_most: 0 },
      fewest_jobs: { at_least: 50 },
      fewest_fault_kinds: { at_least: 5 },
      // Few seeds need not come to every place.
      ...(seeds >= 50 ? { awaits_crashed: { at_least: figures.awaits } } : {}),
    },
  }
}
