// `npm run bench -- simulate [--from 1] [--seeds 50] [--processes 2]`: the deterministic simulation of test/simulation/
// over many seeds. A seed that fails is shown with its history and how to run it again. What all runs add up to is kept
// in bench/results/simulate.json, block by block, so that a long run may be cut short.
import { join } from 'node:path'
import { checkout } from '../test/simulation/code.ts'
import { addTo, codeOf } from '../test/simulation/results.ts'
import { failure, runSeeds } from '../test/simulation/seeds.ts'
import { merged, nothing, type Tally, tallyOf, uncrashed } from '../test/simulation/tally.ts'
import { type Measurement, option, rounded } from './measurement.ts'

/** Seeds after which the figures are written down. */
const block = 50
const results = join(import.meta.dirname, 'results', 'simulate.json')

/** So many die at the rarest places too. */
const rareSeeds = 500

export const measure: Measurement = async (options) => {
  const from = option(options, 'from', 1)
  const seeds = option(options, 'seeds', 50)
  const processes = option(options, 'processes', 2)
  const code = codeOf(checkout)
  let all = nothing
  for (let first = from; first < from + seeds; first += block) {
    const count = Math.min(block, from + seeds - first)
    const tally = await runBlock(first, count, processes)
    const range = { code, from: first, to: first + count - 1 }
    if (!addTo(results, range, tally, new Date()))
      console.log(
        `seeds ${range.from} to ${range.to} of this code are not added: some are in ${results} already`,
      )
    all = merged(all, tally)
  }
  const left = uncrashed(all, seeds >= rareSeeds)
  for (const line of left) console.log(`no process died at ${line}`)
  return {
    figures: { from, ...figuresOf(all), awaits_uncrashed: left.length },
    targets: {
      failed: { at_most: 0 },
      fewest_jobs: { at_least: 50 },
      fewest_fault_kinds: { at_least: 5 },
      // Few seeds need not come to every place.
      ...(seeds >= 50 ? { awaits_uncrashed: { at_most: 0 } } : {}),
    },
  }
}

async function runBlock(from: number, seeds: number, processes: number): Promise<Tally> {
  let tally = nothing
  await runSeeds(from, seeds, processes, (report) => {
    tally = merged(tally, tallyOf(report))
    if (report.violations.length > 0) console.log(failure(report))
    else
      console.log(
        `seed ${report.seed} holds: ${report.steps} steps, ${report.crashes} crashes (${tally.seeds} of ${seeds})`,
      )
  })
  return tally
}

function figuresOf({
  failed,
  fault_kinds,
  outcomes,
  virtual_s,
  billed_micros,
  settled_micros,
  ...tally
}: Tally) {
  const { seeds, steps, jobs, attempts, machines, replicas, crashes, fewest_jobs, fewest_fault_kinds } = tally
  return {
    seeds,
    failed: failed.length,
    steps,
    jobs,
    attempts,
    machines,
    replicas,
    crashes,
    fewest_jobs,
    fewest_fault_kinds,
    fault_kinds: fault_kinds.length,
    outcomes: Object.keys(outcomes).length,
    virtual_hours: rounded(virtual_s / 3_600, 1),
    billed_usd: rounded(billed_micros / 1_000_000, 6),
    settled_usd: rounded(settled_micros / 1_000_000, 6),
  }
}
