// Time for clouds, runners and clients of the simulation when they live beside real processes: real, but faster.
import type { Owner, Scheduler } from '../simulation/scheduler.ts'

/** How many seconds of a cloud or a runner pass in one: boots take a tenth, work takes a tenth. */
export const pace = 10

/** What runners and clients use of a scheduler. A dead owner never wakes. */
export function pacedScheduler(trace: (line: string) => void): Scheduler {
  const start_ms = Date.parse('2026-03-02T09:00:00Z')
  const from_ms = performance.now()
  const scheduler: Pick<Scheduler, 'now_ms' | 'sleep' | 'trace'> = {
    now_ms: () => start_ms + (performance.now() - from_ms) * pace,
    sleep: (owner: Owner | null, ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => !owner?.dead && resolve(), ms / pace)
        timer.unref()
      }),
    trace,
  }
  return scheduler as Scheduler
}
