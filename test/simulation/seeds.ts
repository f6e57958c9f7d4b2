// Many seeds in a few processes.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { SeedReport } from './report.ts'

/** Seeds a process takes at a time: opening its database costs as much as one, and a database grows with use. */
const seedsPerProcess = 25

/** Runs seeds, several processes at once, and tells each as it is done. */
export async function runSeeds(
  from: number,
  seeds: number,
  processes: number,
  done: (report: SeedReport) => void,
): Promise<void> {
  const share = Math.ceil(seeds / processes)
  let next = from
  const worker = async () => {
    while (next < from + seeds) {
      const first = next
      next = Math.min(from + seeds, first + Math.min(seedsPerProcess, share))
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
