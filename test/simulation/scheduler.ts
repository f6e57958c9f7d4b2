// Virtual time and the order of everything. One thing runs at a time: an event is taken, what it wakes runs until
// it waits again, then the next event is taken. So a seed gives one history, whatever the machine does.
import { createHash } from 'node:crypto'
import type { Draw } from './draw.ts'

/** Who waits: a replica, a runner, a client. What a dead owner waits for never comes. */
export interface Owner {
  name: string
  dead: boolean
  /** A paused process: its events come after this time. */
  paused_until_ms: number
  /** Called before an event of this owner; true: the process dies here, and nothing after it happens. */
  dies_at?: (label: string) => boolean
}

/** A wait that may be over before its time: then it leaves no step. */
export interface Wait {
  over: boolean
}

export interface Scheduler {
  now_ms: () => number
  /** Resolves after some virtual time: a scheduling point, and a crash point of its owner. */
  sleep: (owner: Owner | null, ms: number, label: string, wait?: Wait) => Promise<void>
  /** Runs something after some virtual time, whoever lives. */
  later: (ms: number, label: string, run: () => void) => void
  /** Holds the world until the returned function is called: a transaction is one step. */
  hold: () => () => void
  /** Takes events until the condition holds; false: the time bound came first, or nothing was left to happen. */
  run: (until: () => boolean, bound_ms: number) => Promise<boolean>
  trace: (line: string) => void
  /** The last lines of the history. */
  tail: (lines: number, match?: (line: string) => boolean) => string[]
  /** SHA-256 of the whole history. */
  fingerprint: () => string
  steps: () => number
}

interface Event {
  at_ms: number
  /** Breaks ties; drawn, so that equal times come in any order. */
  order: number
  owner: Owner | null
  label: string
  wait: Wait | undefined
  wake: () => void
}

/** Lines kept for a failing seed. */
const keptLines = 20_000
/** Rounds of the event loop a step may take: more is something that never comes to rest. */
const maxRounds = 100_000

export function createScheduler(draw: Draw, start_ms: number): Scheduler {
  const events: Event[] = []
  const lines: string[] = []
  const hash = createHash('sha256')
  let now = start_ms
  let steps = 0
  let held = 0
  const trace = (line: string) => {
    const text = `${((now - start_ms) / 1_000).toFixed(3).padStart(9)} ${line}`
    hash.update(text).update('\n')
    lines.push(text)
    if (lines.length > 2 * keptLines) lines.splice(0, keptLines)
  }
  const add = (ms: number, owner: Owner | null, label: string, wake: () => void, wait?: Wait) => {
    const at_ms = now + Math.max(0, Math.round(ms))
    push(events, { at_ms, order: draw.share(), owner, label, wait, wake })
  }
  const rest = async () => {
    for (let round = 0; round < maxRounds; round++) {
      await new Promise(setImmediate)
      if (held === 0) return
    }
    throw new Error('a step did not come to rest')
  }
  const take = async (event: Event) => {
    const { owner } = event
    if (owner?.dead || event.wait?.over) return
    const dies = owner?.dies_at?.(event.label) ?? false
    if (!dies && owner && owner.paused_until_ms > event.at_ms && !isSent(event.label))
      return push(events, { ...event, at_ms: owner.paused_until_ms })
    now = event.at_ms
    steps++
    if (owner && dies) {
      owner.dead = true
      trace(`${owner.name} dies at ${event.label}`)
    } else {
      if (owner) trace(`${owner.name} ${event.label}`)
      event.wake()
    }
    await rest()
  }
  return {
    now_ms: () => now,
    sleep: (owner, ms, label, wait) =>
      new Promise((resolve) => {
        add(ms, owner, label, resolve, wait)
      }),
    later: (ms, label, run) => add(ms, null, label, run),
    hold() {
      held++
      return () => void held--
    },
    async run(until, bound_ms) {
      const end = now + bound_ms
      await rest()
      while (!until()) {
        const next = pop(events)
        if (!next) return false
        if (next.at_ms > end) {
          push(events, next)
          now = end
          return false
        }
        await take(next)
      }
      return true
    },
    trace,
    tail: (count, match) => (match ? lines.filter(match) : lines).slice(-count),
    fingerprint: () => hash.copy().digest('hex'),
    steps: () => steps,
  }
}

// Between the announcement of a launch, at its commit or of its own, and its call lies no other guard: a process that
// pauses there for longer than a lease launches late, and only a scan for orphans can repair that. Pauses fall elsewhere.
const isSent = (label: string) => /^(before launch|after sql (announce act|.*\bcarryOut round))/.test(label)

// A binary heap by time, then by the drawn order.
const before = (a: Event, b: Event) => a.at_ms < b.at_ms || (a.at_ms === b.at_ms && a.order < b.order)

function push(heap: Event[], event: Event): void {
  let at = heap.push(event) - 1
  while (at > 0) {
    const above = (at - 1) >> 1
    const parent = heap[above] as Event
    if (!before(event, parent)) break
    heap[at] = parent
    at = above
  }
  heap[at] = event
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (!first || !last || heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++
    if (!before(heap[child] as Event, last)) break
    heap[at] = heap[child] as Event
    at = child
  }
  heap[at] = last
  return first
}
