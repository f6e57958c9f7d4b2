// A breaker: after failures in a row calls stop, but for one probe at a time with growing pauses. The first call that succeeds, probe or
// not, closes it. Pure but for its own memory.

/** One or two failures happen to every vendor; five in a row, with no success between, are an outage. */
const opensAfter = 5
/** The pause before the first probe, and the longest: what is to be looked at or stopped waits so long at most after a recovery. */
const firstPause_ms = 1_000
const mostPause_ms = 30_000

export type Admitted = 'call' | 'probe'

export interface Breaker {
  /** How a call may be made now; null: not at all. There is one probe at a time. */
  admits: (now_ms: number) => Admitted | null
  /** The call that was admitted was not made. */
  withdrawn: (as: Admitted) => void
  /** Answers whether it was open. */
  succeeded: () => boolean
  /** Answers whether that opened it, or was a probe. */
  failed: (now_ms: number, as: Admitted) => boolean
  /** null: closed. */
  open: () => { since_ms: number; probe_ms: number } | null
}

export function createBreaker(): Breaker {
  let failures = 0
  let opened: { since_ms: number; probe_ms: number; probing: boolean; pause_ms: number } | null = null
  return {
    admits(now_ms) {
      if (!opened) return 'call'
      // Before the pause began it is not: the clock was set back, and how much of it is over is not known.
      const isPause = now_ms < opened.probe_ms && now_ms >= opened.probe_ms - opened.pause_ms
      if (opened.probing || isPause) return null
      opened.probing = true
      return 'probe'
    },
    withdrawn(as) {
      if (opened && as === 'probe') opened.probing = false
    },
    succeeded() {
      const wasOpen = opened !== null
      failures = 0
      opened = null
      return wasOpen
    },
    failed(now_ms, as) {
      failures++
      if (opened) {
        // What was under way when it opened tells nothing new.
        if (as === 'call') return false
        const pause_ms = Math.min(mostPause_ms, 2 * opened.pause_ms)
        opened = { ...opened, probing: false, pause_ms, probe_ms: now_ms + pause_ms }
        return true
      }
      if (failures < opensAfter) return false
      opened = {
        since_ms: now_ms,
        probe_ms: now_ms + firstPause_ms,
        probing: false,
        pause_ms: firstPause_ms,
      }
      return true
    },
    open: () => opened && { since_ms: opened.since_ms, probe_ms: opened.probe_ms },
  }
}
