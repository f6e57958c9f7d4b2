// Group commit: calls of one kind that come while one is under way go together in the next, one statement for all of
// them. Each is answered only after its own part is done, as if it had been alone.
import type { Clock } from './deps.ts'
import { AppError } from './errors.ts'
import { type Fault, faultOf } from './store/faults.ts'

/** What became of one call. */
export type Outcome<Out> = { value: Out } | { error: unknown }

export interface Grouping<In, Out> {
  /** What the calls do, in the words of a refusal: `submits`. */
  name: string
  clock: Clock
  /** Deps.gather. */
  gather: (() => Promise<void>) | null
  /**
   * Does several calls in their order; answers one outcome for each. What it throws is the fault of all, and nothing
   * was done: then they are tried again. Where a commit's answer was lost it must find out by itself what it had done.
   */
  run: (calls: readonly In[]) => Promise<readonly Outcome<Out>[]>
  /** What a call weighs, 1 and more; one is always taken. */
  weigh?: (call: In) => number
  /** Together in one run. */
  most_weight: number
}

/** A run that takes longer does not hold up the calls that come after it: they go in another beside it. */
const slow_ms = 50
/** Runs under way, slow ones included: a small part of the connections of a process. */
const mostRuns = 4
/** Calls that wait, several seconds of a busy server; more would be answered too late for anybody. */
const mostWaiting = 5_000
/** Longer than a statement may take that is in the way; most clients wait for 30 s. */
const longestWait_ms = 20_000
/** In tries one by one: what fails so for two of them will for the others. */
const mostFaults = 2
const retryAfter_s = 1

interface Waiting<In, Out> {
  call: In
  weight: number
  since_ms: number
  isGone: () => boolean
  resolve: (value: Out) => void
  reject: (error: unknown) => void
}

/** `isGone`: nobody waits for the answer any more. */
export type Grouped<In, Out> = (call: In, isGone?: () => boolean) => Promise<Out>

export function createGroup<In, Out>(grouping: Grouping<In, Out>): Grouped<In, Out> {
  const { name, clock, gather, weigh = () => 1, most_weight } = grouping
  if (gather === null) return (call) => alone(grouping, call)
  let waiting: Waiting<In, Out>[] = []
  let running = 0
  let begun_ms = 0

  const take = (): Waiting<In, Out>[] => {
    const now_ms = clock.now().getTime()
    let weight = 0
    let count = 0
    for (const { weight: each } of waiting) {
      if (count > 0 && weight + each > most_weight) break
      weight += each
      count++
    }
    const taken = waiting.slice(0, count)
    waiting = waiting.slice(count)
    const isOver = ({ since_ms, isGone }: Waiting<In, Out>) => now_ms - since_ms > longestWait_ms || isGone()
    const { over = [], due = [] } = Object.groupBy(taken, (each) => (isOver(each) ? 'over' : 'due'))
    for (const { reject } of over) reject(busy(`${name} have waited for the database for too long`))
    return due
  }
  const pump = async () => {
    running++
    try {
      while (waiting.length > 0) {
        begun_ms = clock.now().getTime()
        await gather()
        const taken = take()
        if (taken.length > 0) await settle(grouping, taken)
      }
    } finally {
      running--
    }
  }
  return (call, isGone = () => false) => {
    if (waiting.length >= mostWaiting) return Promise.reject(busy(`${waiting.length} ${name} wait already`))
    const { promise, resolve, reject } = Promise.withResolvers<Out>()
    const since_ms = clock.now().getTime()
    waiting.push({ call, weight: weigh(call), since_ms, isGone, resolve, reject })
    if (running === 0 || (running < mostRuns && since_ms - begun_ms > slow_ms)) void pump()
    return promise
  }
}

function alone<In, Out>(grouping: Grouping<In, Out>, call: In): Promise<Out> {
  const { promise, resolve, reject } = Promise.withResolvers<Out>()
  const only = { call, weight: 1, since_ms: 0, isGone: () => false, resolve, reject }
  void settle(grouping, [only])
  return promise
}

async function settle<In, Out>(
  { run, name }: Grouping<In, Out>,
  taken: readonly Waiting<In, Out>[],
): Promise<void> {
  const tryAll = async (some: readonly Waiting<In, Out>[]): Promise<Failure | null> => {
    try {
      const outcomes = await run(some.map(({ call }) => call))
      for (const [index, { resolve, reject }] of some.entries()) {
        const outcome = outcomes[index] ?? { error: new Error(`${name}: a call has no outcome`) }
        if ('value' in outcome) resolve(outcome.value)
        else reject(outcome.error)
      }
      return null
    } catch (error) {
      return { error, fault: faultOf(error) }
    }
  }
  let failure = await tryAll(taken)
  for (let tries = 1; failure?.fault && passing.includes(failure.fault) && tries < mostTries; tries++)
    failure = await tryAll(taken)
  if (!failure) return
  const refuse = ({ error }: Failure, some: readonly Waiting<In, Out>[]) => {
    for (const { reject } of some) reject(error)
  }
  const isCut = failure.fault === 'lost' || failure.fault === 'silent'
  if (taken.length === 1 || isCut) return refuse(failure, taken)
  let faults = 0
  for (const [index, each] of taken.entries()) {
    const own = await tryAll([each])
    if (!own) continue
    refuse(own, [each])
    if (own.fault !== null && ++faults >= mostFaults) return refuse(own, taken.slice(index + 1))
  }
}

/** A connection that broke while it was idle tells so at its next statement; locks that crossed are free again. */
const passing: readonly Fault[] = ['lost', 'conflict', 'taken']
/** The first, one on a new connection, and one more where that meets what the first has stored after all. */
const mostTries = 3

interface Failure {
  error: unknown
  fault: Fault | null
}

const busy = (what: string) =>
  new AppError('busy', `${what}: try again in a moment.`, {
    headers: { 'Retry-After': String(retryAfter_s) },
  })
