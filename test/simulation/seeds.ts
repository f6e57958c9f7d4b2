// Many seeds in a few processes, and what they add up to.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkout } from './code.ts'
import { isOfPass } from './fate.ts'
import { awaitsOf, passAwaits } from './points.ts'
import type { SeedReport } from './report.ts'

/** Seeds a process takes at a time: opening its database costs as much as one. */
const seedsPerProcess = 10

export interface Cumulative {
  seeds: number
  failed: number
  steps: number
  virtual_hours: number
  jobs: number
  attempts: number
  machines: number
  replicas: number
  crashes: number
  fewest_jobs: number
  fewest_fault_kinds: number
  fault_kinds: number
  outcomes: number
  /** Places of the pass that a process came to, before and after each call, and those that one died at. */
  places: number
  places_crashed: number
  /** Lines of the pass that await something, and those that a process died at. */
  awaits: number
  awaits_crashed: number
  billed_usd: number
  settled_usd: number
}

/** Runs seeds, several processes at once, and tells each as it is done. */
export async function runSeeds(
  from: number,
  seeds: number,
  processes: number,
  done: (report: SeedReport) => void,
): Promise<void> {
  let next = from
  const worker = async () => {
    while (next < from + seeds) {
      const first = next
      next = Math.min(from + seeds, first + seedsPerProcess)
      await inProcess(first, next - first, done)
    }
  }
  await Promise.all(Array.from({ length: processes }, worker))
}

/** One process of its own: nothing of a seed is left for the next but what the database's emptying leaves. */
export const inProcess = (from: number, seeds: number, done: (report: SeedReport) => void) =>
  spawnRun(['--from', String(from), '--seeds', String(seeds)], seeds, done)

/** Reports of copies of the code with defects, in the order of the list. */
export async function runDefects(count: number, processes: number): Promise<SeedReport[]> {
  const reports: SeedReport[] = []
  const share = async (first: number) => {
    const places = Array.from({ length: count }, (_, place) => place).filter(
      (each) => each % processes === first,
    )
    await spawnRun(['--defects', places.join()], places.length, (report) => {
      const place = places.shift()
      if (place !== undefined) reports[place] = report
    })
  }
  await Promise.all(Array.from({ length: processes }, (_, first) => share(first)))
  return reports
}

async function spawnRun(
  options: readonly string[],
  expected: number,
  done: (report: SeedReport) => void,
): Promise<void> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'run.ts'), ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-4_000)))
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  let reports = 0
  for await (const line of createInterface({ input: child.stdout })) {
    reports++
    done(JSON.parse(line) as SeedReport)
  }
  const exit_code = await exited
  if (exit_code !== 0 || reports !== expected)
    throw new Error(`${options.join(' ')} ended with ${exit_code} after ${reports} reports: ${said}`)
}

/** What a failing seed shows: how to run it again, what broke, and how it came to that. */
export function failure({ seed, violations, faults, trace }: SeedReport): string {
  const again = `npm run bench -- simulate --from ${seed} --seeds 1`
  return [
    `seed ${seed} fails; again: ${again}`,
    `faults: ${faults.join(', ')}`,
    ...violations,
    ...trace,
  ].join('\n')
}

export function accumulate(reports: readonly SeedReport[]): Cumulative & { uncrashed: string[] } {
  const sum = (of: (report: SeedReport) => number) => reports.reduce((total, report) => total + of(report), 0)
  const least = (of: (report: SeedReport) => number) => Math.min(...reports.map(of))
  const visited = new Set(reports.flatMap((report) => report.visited.filter(isOfPass)))
  const crashed = new Set(reports.flatMap((report) => report.crashed.filter(isOfPass)))
  const awaits = passAwaits(join(checkout, 'jobs'))
  const awaitsCrashed = new Set([...crashed].flatMap(awaitsOf))
  const usd = (micros: number) => Math.round(micros) / 1_000_000
  return {
    seeds: reports.length,
    failed: reports.filter(({ violations }) => violations.length > 0).length,
    steps: sum(({ steps }) => steps),
    virtual_hours: Math.round(sum(({ virtual_s }) => virtual_s) / 360) / 10,
    jobs: sum(({ jobs }) => jobs),
    attempts: sum(({ attempts }) => attempts),
    machines: sum(({ machines }) => machines),
    replicas: sum(({ replicas }) => replicas),
    crashes: sum(({ crashes }) => crashes),
    fewest_jobs: least(({ jobs }) => jobs),
    fewest_fault_kinds: least(({ faults }) => faults.length),
    fault_kinds: new Set(reports.flatMap(({ faults }) => faults)).size,
    outcomes: new Set(reports.flatMap(({ outcomes }) => Object.keys(outcomes))).size,
    places: visited.size,
    places_crashed: [...visited].filter((place) => crashed.has(place)).length,
    awaits: awaits.length,
    awaits_crashed: awaits.filter((line) => awaitsCrashed.has(line)).length,
    billed_usd: usd(sum(({ billed_micros }) => billed_micros)),
    settled_usd: usd(sum(({ settled_micros }) => settled_micros)),
    uncrashed: [
      ...[...visited].filter((place) => !crashed.has(place)),
      ...awaits.filter((line) => !awaitsCrashed.has(line)),
    ],
  }
}
