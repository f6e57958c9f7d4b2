// Who dies where. Every place that a process waits at is remembered, and deaths are spread over them.
import type { Draw } from './draw.ts'
import type { FaultPlan } from './faults.ts'
import { type Replica, type Shared } from './replica.ts'
import type { Scheduler } from './scheduler.ts'

/** A new process comes this long after a death. */
const comesAfter_ms = [500, 8_000] as const
/** A process that has not come to its chosen place by then dies where it is. */
const patience_ms = 60_000
/** Nothing would be done between deaths that come closer to each other. */
const leastLife_ms = 5_000
/** A place that nobody has come to until then is a rare one: that first visit may be the only one. */
const rareAfter_ms = 15_000

/** Before the commit of a park. */
const isPark = /^before sql commitBatch.*\bpark round/

/** Places between a look and the write that follows from it, and how often a process is held up there. */
const heldUp: readonly (readonly [RegExp, number])[] = [
  [/^before sql .*\bpark round/, 0.6],
  [/^before list scanAccount/, 0.2],
  [/^before sql (announce act|.*\brecord act)/, 0.15],
  [/^before sql .*\bcarryOut round/, 0.01],
]

/** Of one seed, beside those of its plan. */
const parkPauses = 2

interface Doom {
  /** null: wherever it is after some places. */
  label: string | null
  visits: number
  by_ms: number
}

/** Within this time deaths and pauses are spread. */
export function createFate(scheduler: Scheduler, draw: Draw, plan: FaultPlan, within_ms: number) {
  const visits = new Map<string, number>()
  const crashed = new Set<string>()
  const dooms = new Map<string, Doom>()
  let paused = 0
  let calm = false
  let crashes = 0
  const start_ms = scheduler.now_ms()
  // Spread over the time, or all of them would fall upon the first few jobs.
  const isOpen = (most: number, so_far: number) =>
    so_far < most * Math.min(1, 0.2 + (scheduler.now_ms() - start_ms) / within_ms)
  const doom = (): Doom => {
    const open = [...visits.keys()].filter((label) => isOfPass(label) && !crashed.has(label))
    const now = scheduler.now_ms()
    if (open.length === 0 || draw.chance(0.15))
      return {
        label: null,
        visits: draw.between(1, 200),
        by_ms: now + draw.between(leastLife_ms, patience_ms),
      }
    // Half of the deaths wait for a place that few come to, or they would all be at the same ones.
    const rare = draw.chance(0.5)
    const times = (label: string) => visits.get(label) ?? 0
    const label = rare ? open.toSorted((a, b) => times(a) - times(b))[draw.between(0, 2)] : draw.pick(open)
    return {
      label: label ?? draw.pick(open),
      visits: rare ? 1 : draw.between(1, 3),
      by_ms: now + (rare ? 2 * patience_ms : draw.between(leastLife_ms, patience_ms)),
    }
  }
  /** How likely a process is to be held up at a place now; null: it is not. */
  const held = (label: string, due: boolean): number | null => {
    const likely = heldUp.find(([place]) => place.test(label))?.[1] ?? 0
    // The rarest place of all follows a park that another process has overtaken, so each seed tries to come there.
    if (isPark.test(label) && paused < plan.pauses + parkPauses) return likely
    if (!isOpen(plan.pauses, paused)) return null
    return due ? 0.3 : likely
  }
  const pause = ({ id, owner }: Replica, label: string) => {
    paused++
    // Shorter than a process is waited for: what it has looked at is old when it writes. Or just longer: then two
    // believe that it is theirs.
    const kind = label.includes(' park ') ? 0.3 + 0.6 * draw.share() : draw.share()
    const ms =
      kind < 0.3
        ? draw.between(2_000, 9_500)
        : kind < 0.9
          ? draw.between(9_500, 45_000)
          : draw.between(45_000, 180_000)
    owner.paused_until_ms = scheduler.now_ms() + ms
    scheduler.trace(`${owner.name} pauses until ${owner.paused_until_ms} at ${label}`)
    dooms.set(id, doom())
    return false
  }
  return {
    visited: () => [...visits.keys()],
    crashed,
    crashes: () => crashes,
    pauses: () => paused,
    calm() {
      calm = true
    },
    /** Whether a process dies at the place it has come to. */
    decide(replica: () => Replica | undefined, label: string): boolean {
      const before = visits.get(label) ?? 0
      visits.set(label, before + 1)
      const self = replica()
      const own = self && dooms.get(self.id)
      if (!self || !own || calm) return false
      if (own.label === null || own.label === label) own.visits--
      const due = own.visits <= 0 || scheduler.now_ms() >= own.by_ms
      const isRare = before === 0 && isOfPass(label) && scheduler.now_ms() - start_ms > rareAfter_ms
      const likely = held(label, due)
      if (likely !== null && draw.chance(likely)) return pause(self, label)
      const rarely = isRare && draw.chance(rareDeath(label))
      if (!isOpen(plan.crashes, crashes) || !(due || rarely)) return false
      crashes++
      crashed.add(label)
      return true
    },
    /** Starts the first processes, and another for each that dies. */
    keepAlive(shared: Shared, replicas: Replica[], start: (shared: Shared) => Replica) {
      const come = () => {
        const replica = start(shared)
        replicas.push(replica)
        if (plan.crashes > 0) dooms.set(replica.id, doom())
        void replica.died.then(() =>
          scheduler.later(draw.between(...comesAfter_ms), 'a new process comes', come),
        )
      }
      for (let count = 0; count < plan.processes; count++) come()
    },
  }
}

/** How often a process dies at a place at its first visit, late in a run. */
function rareDeath(label: string): number {
  if (!label.includes(' park ')) return 0.5
  // What follows a stale park is the rarest place of all: processes are held up before it, and die there.
  return label.includes('release') ? 1 : 0.1
}

/** Places in the pass and its calls; the others are of the API, the webhooks and the timers. */
export const isOfPass = (label: string) => /(reconcile|round|act|observe)\.ts/.test(label)
