// The promises of docs/design.md (Invariants) under seeded faults. Each seed is at least 50 jobs, two processes that
// die and pause, and five kinds of fault; `npm run bench -- simulate` runs more of them.
import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { isPostgres } from '../support/database.ts'
import { leastKinds } from './faults.ts'
import type { SeedReport } from './report.ts'
import { failure, inProcess, runSeeds } from './seeds.ts'
import { merged, nothing, tallyOf, uncrashed } from './tally.ts'

/** About a minute and a half on two idle cores; `npm run bench -- simulate` runs hundreds. */
const seeds = 30
/** Of these until a process has died everywhere: a change of the code that moves all histories may need more of them. */
const moreSeeds = 10
const mostSeeds = 90
/** A bound against a hang. */
const timeout_ms = 900_000
const processes = Math.min(2, availableParallelism())

// The simulation has one connection of its own, whatever database the other tests run on.
test.skipIf(isPostgres)(
  'nothing is lost, doubled, left running or unpaid, whatever dies, lies or is late',
  async () => {
    const reports: SeedReport[] = []
    const run = (from: number, count: number) =>
      runSeeds(from, count, processes, (report) => reports.push(report))
    await run(1, seeds)
    const hasCrashedAll = () => uncrashed(reports.map(tallyOf).reduce(merged, nothing), false).length === 0
    while (!hasCrashedAll() && reports.length < mostSeeds) await run(reports.length + 1, moreSeeds)
    const failed = reports.filter(({ violations }) => violations.length > 0)
    expect(failed.map(failure).join('\n\n')).toBe('')
    const all = reports.map(tallyOf).reduce(merged, nothing)
    expect(all.seeds).toBeGreaterThanOrEqual(seeds)
    expect(all.fewest_jobs).toBeGreaterThanOrEqual(50)
    expect(all.fewest_fault_kinds).toBeGreaterThanOrEqual(leastKinds)
    expect(Math.min(...reports.map(({ processes }) => processes))).toBeGreaterThanOrEqual(2)
    // A process died at every line where the pass and its calls wait, but for those that take hundreds of seeds.
    expect(uncrashed(all, false)).toEqual([])

    // In a process of its own the same seed has the same history, step by step.
    const [, , again] = reports.toSorted((a, b) => a.seed - b.seed)
    await inProcess(again?.seed ?? 0, 1, ({ fingerprint }) => expect(fingerprint).toBe(again?.fingerprint))
  },
  timeout_ms,
)
