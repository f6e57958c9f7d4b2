// What is told of one seed.
import { billMicros } from '../fakes/model-cloud.ts'
import type { createFate } from './fate.ts'
import type { FaultPlan } from './faults.ts'
import type { World } from './world.ts'

/** When every history begins. */
export const start_ms = Date.parse('2026-03-02T09:00:00Z')

export interface SeedReport {
  seed: number
  violations: string[]
  /** SHA-256 of the history: the same seed gives the same. */
  fingerprint: string
  steps: number
  virtual_s: number
  jobs: number
  attempts: number
  machines: number
  /** Processes at once, and in all. */
  processes: number
  replicas: number
  crashes: number
  faults: string[]
  outcomes: Record<string, number>
  /** What the clouds ask for, and what the ledger says. */
  billed_micros: number
  settled_micros: number
  /** Places that a process came to, and those that it died at. */
  visited: string[]
  crashed: string[]
  /** The end of the history; empty when all held. */
  trace: string[]
}

/** Lines of the history that a failing seed shows: the last, and the last about what failed. */
const tracedLines = 80

export function report(
  seed: number,
  world: World,
  plan: FaultPlan,
  fate: ReturnType<typeof createFate>,
  violations: string[],
): SeedReport {
  const { scheduler, monitor, clouds } = world
  const outcomes: Record<string, number> = {}
  for (const { outcome } of monitor.attempts.values())
    if (outcome) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  const ids = violations.flatMap((message) => message.match(/(att|job|shd)_\w+/g) ?? [])
  const last4 = ids.map((id) => id.slice(-4))
  const about = (line: string) =>
    ids.some((id) => line.includes(id)) || last4.some((end) => line.includes(`runner ${end}`))
  return {
    seed,
    violations,
    fingerprint: scheduler.fingerprint(),
    steps: scheduler.steps(),
    virtual_s: Math.round((scheduler.now_ms() - start_ms) / 1_000),
    jobs: monitor.jobs.size,
    attempts: monitor.attempts.size,
    machines: clouds.reduce((sum, { machines }) => sum + machines.length, 0),
    processes: plan.processes,
    replicas: world.replicas.length,
    crashes: fate.crashes(),
    faults: plan.kinds,
    outcomes,
    billed_micros: clouds.reduce(
      (sum, { machines, account }) =>
        sum + machines.reduce((each, machine) => each + billMicros(machine, account.traits), 0),
      0,
    ),
    settled_micros: [...monitor.settled.values()].reduce((sum, micros) => sum + micros, 0),
    visited: fate.visited(),
    crashed: [...fate.crashed],
    trace:
      violations.length === 0
        ? []
        : [
            ...(ids.length > 0 ? ['-- what concerns it:', ...scheduler.tail(tracedLines, about)] : []),
            '-- the last steps:',
            ...scheduler.tail(tracedLines),
          ],
  }
}

/** What has not come to rest. */
export function unrest({ monitor }: World): string {
  const jobs = [...monitor.jobs.values()].filter(
    ({ state }) => !['succeeded', 'failed', 'cancelled'].includes(state),
  )
  const attempts = [...monitor.attempts.values()].filter(({ state }) => state !== 'ended')
  return [...jobs, ...attempts]
    .map(({ id, state }) => `${id} is ${state}`)
    .slice(0, 10)
    .join(', ')
}
