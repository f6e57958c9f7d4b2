// What goes wrong in one seed: rates for each kind of fault, and blows that hit everybody at a time.
import { type CloudFaults, noFaults } from '../fakes/model-cloud.ts'
import type { Draw } from './draw.ts'
import { calmRunners, type RunnerFaults } from './runner.ts'

export interface FaultPlan {
  cloud: CloudFaults
  runners: RunnerFaults
  /** Share of requests and of answers between clients, runners and servers that are lost. */
  loss: number
  /** Processes at once. */
  processes: number
  /** Processes that die, at most. */
  crashes: number
  pauses: number
  /** Of the project, in micro-dollars; null: none. Raised when the faults cease. */
  budget_micros: number | null
  blows: { at_ms: number; blow: Blow; account: number; lasts_ms: number }[]
  /** The names of what was switched on. */
  kinds: string[]
}
export type Blow = 'down' | 'blind' | 'vanish'

/** Kinds that a seed has at least. */
export const leastKinds = 5

const cloudKinds: Record<keyof CloudFaults, readonly [number, number]> = {
  lost_answer: [0.1, 0.3],
  lost_call: [0.1, 0.3],
  error_but_created: [0.1, 0.3],
  denied: [0.05, 0.2],
  throttled: [0.1, 0.4],
  stock_out: [0.1, 0.5],
  refused: [0.05, 0.15],
  late_effect: [0.05, 0.2],
  slow_call: [0.05, 0.3],
  slow_boot: [0.1, 0.4],
  no_boot: [0.05, 0.2],
  reclaim_with_notice: [0.2, 0.5],
  reclaim: [0.2, 0.5],
  glitch: [0.1, 0.4],
}
const runnerKinds: Record<keyof RunnerFaults, readonly [number, number]> = {
  fails: [0.2, 0.5],
  crashes: [0.05, 0.2],
  hangs: [0.05, 0.2],
  stubborn: [0.1, 0.4],
  late: [0.2, 0.5],
  duplicate: [0.1, 0.3],
  offline: [0.1, 0.4],
  wrong_clock: [0.3, 1],
}
const blowKinds: Record<Blow, readonly [number, number]> = {
  down: [20_000, 120_000],
  blind: [40_000, 120_000],
  vanish: [1, 1],
}
/** The API of an account is down for this long in few seeds. */
const longOutage_ms = 3_600_000

/** Draws a plan; blows fall within the given time. */
export function planFaults(draw: Draw, within_ms: number): FaultPlan {
  const some = (range: readonly [number, number]) => range[0] + draw.share() * (range[1] - range[0])
  for (;;) {
    const plan: FaultPlan = {
      cloud: { ...noFaults },
      runners: { ...calmRunners },
      loss: 0,
      processes: draw.between(2, 3),
      crashes: 0,
      pauses: 0,
      budget_micros: null,
      blows: [],
      kinds: [],
    }
    const on = (kind: string) => draw.chance(0.45) && plan.kinds.push(kind) > 0
    for (const kind of Object.keys(cloudKinds) as (keyof CloudFaults)[])
      if (on(kind)) plan.cloud[kind] = some(cloudKinds[kind])
    for (const kind of Object.keys(runnerKinds) as (keyof RunnerFaults)[])
      if (on(kind)) plan.runners[kind] = some(runnerKinds[kind])
    if (on('loss')) plan.loss = some([0.02, 0.2])
    plan.crashes = draw.between(10, 30)
    if (on('pauses')) plan.pauses = draw.between(8, 20)
    if (on('budget')) plan.budget_micros = draw.between(90_000, 500_000)
    for (const blow of Object.keys(blowKinds) as Blow[]) {
      if (!on(blow)) continue
      const at_ms = draw.between(0, within_ms)
      const lasts_ms = blow === 'down' && draw.chance(0.1) ? longOutage_ms : some(blowKinds[blow])
      plan.blows.push({ at_ms, blow, account: draw.between(0, 1), lasts_ms })
    }
    if (plan.kinds.length >= leastKinds) return plan
  }
}
