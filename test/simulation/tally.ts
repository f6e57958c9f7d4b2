// What many seeds add up to: tallies can be merged, those of other days too.
import { join } from 'node:path'
import { checkout } from './code.ts'
import { isOfPass } from './fate.ts'
import { awaitsOf, passAwaits } from './points.ts'
import type { SeedReport } from './report.ts'

export interface Tally {
  seeds: number
  /** Seeds that broke an invariant. */
  failed: number[]
  steps: number
  virtual_s: number
  jobs: number
  attempts: number
  machines: number
  replicas: number
  crashes: number
  /** Of any one seed. */
  fewest_jobs: number
  fewest_fault_kinds: number
  fault_kinds: string[]
  outcomes: Record<string, number>
  /** Lines that await something at which a process died. */
  crashed_lines: string[]
  billed_micros: number
  settled_micros: number
}

export const nothing: Tally = {
  seeds: 0,
  failed: [],
  steps: 0,
  virtual_s: 0,
  jobs: 0,
  attempts: 0,
  machines: 0,
  replicas: 0,
  crashes: 0,
  fewest_jobs: Number.MAX_SAFE_INTEGER,
  fewest_fault_kinds: Number.MAX_SAFE_INTEGER,
  fault_kinds: [],
  outcomes: {},
  crashed_lines: [],
  billed_micros: 0,
  settled_micros: 0,
}

export function tallyOf({ seed, violations, faults, crashed, ...report }: SeedReport): Tally {
  const { steps, virtual_s, jobs, attempts, machines, replicas, crashes } = report
  return {
    seeds: 1,
    failed: violations.length > 0 ? [seed] : [],
    steps,
    virtual_s,
    jobs,
    attempts,
    machines,
    replicas,
    crashes,
    fewest_jobs: jobs,
    fewest_fault_kinds: faults.length,
    fault_kinds: faults.toSorted(),
    outcomes: report.outcomes,
    crashed_lines: union(crashed.filter(isOfPass).flatMap(awaitsOf), []),
    billed_micros: report.billed_micros,
    settled_micros: report.settled_micros,
  }
}

export function merged(a: Tally, b: Tally): Tally {
  const outcomes = { ...a.outcomes }
  for (const [outcome, count] of Object.entries(b.outcomes))
    outcomes[outcome] = (outcomes[outcome] ?? 0) + count
  return {
    seeds: a.seeds + b.seeds,
    failed: [...a.failed, ...b.failed],
    steps: a.steps + b.steps,
    virtual_s: a.virtual_s + b.virtual_s,
    jobs: a.jobs + b.jobs,
    attempts: a.attempts + b.attempts,
    machines: a.machines + b.machines,
    replicas: a.replicas + b.replicas,
    crashes: a.crashes + b.crashes,
    fewest_jobs: Math.min(a.fewest_jobs, b.fewest_jobs),
    fewest_fault_kinds: Math.min(a.fewest_fault_kinds, b.fewest_fault_kinds),
    fault_kinds: union(a.fault_kinds, b.fault_kinds),
    outcomes,
    crashed_lines: union(a.crashed_lines, b.crashed_lines),
    billed_micros: a.billed_micros + b.billed_micros,
    settled_micros: a.settled_micros + b.settled_micros,
  }
}

const union = (a: readonly string[], b: readonly string[]) => [...new Set([...a, ...b])].toSorted()

/** Lines of the pass and its calls that await something at which no process died. */
export const uncrashed = ({ crashed_lines }: Tally, rare: boolean): string[] =>
  passAwaits(join(checkout, 'jobs'), rare).filter((line) => !crashed_lines.includes(line))
