// When the next pass may begin: soon enough that nobody waits, seldom enough that passes leave a server its time.

/**
 * From the beginning of a pass to the next where many follow each other: what happens meanwhile is decided together. Other processes are
 * nudged as often (infra/nudge.ts).
 */
const gather_ms = 50
/** After a rest so many begin at once: one job after the other waits for nothing. */
const burst = 10
/** What a pass takes that has little to do; one that takes longer is of a busy server, or of a database far away. */
const quick_ms = 25
/** Shards that are worth a pass of its own. */
const few = 20
/** A slow pass that decided few is followed by a rest of so many times what it took: a fifth of the time goes into such passes. */
const restShare = 4
const mostRest_ms = 250

export interface PassPace {
  begin: (now_ms: number) => void
  end: (now_ms: number, decided: number) => void
  /** How long the next pass has to wait. */
  wait_ms: (now_ms: number) => number
}

export function createPassPace(): PassPace {
  let began_ms = 0
  let free_ms = Number.NEGATIVE_INFINITY
  return {
    begin(now_ms) {
      began_ms = now_ms
      free_ms = Math.max(free_ms, now_ms - burst * gather_ms) + gather_ms
    },
    end(now_ms, decided) {
      const took_ms = now_ms - began_ms
      if (decided >= few || took_ms <= quick_ms) return
      free_ms = Math.max(free_ms, now_ms + Math.min(mostRest_ms, restShare * took_ms))
    },
    wait_ms: (now_ms) => Math.max(0, free_ms - now_ms),
  }
}
