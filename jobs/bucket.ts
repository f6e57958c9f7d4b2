// A token bucket: calls at a steady rate, with a burst. A call that must wait has its turn, in the order in which they came.

/** A look over the regions of a small account comes at once, and quotas are of a minute or have room for it. */
const leastBurst = 5

export interface Bucket {
  /** How long a call waits for its turn; null: longer than `most_ms`, and it has none. `per_s`: the rate from now on. */
  take: (now_ms: number, per_s: number, most_ms: number) => number | null
}

export function createBucket(): Bucket {
  /** When the calls that were let through would be over at a steady rate. */
  let over_ms = 0
  let last_ms = Number.NEGATIVE_INFINITY
  return {
    take(now_ms, per_s, most_ms) {
      // The time of the database goes back where one takes over whose clock is behind.
      if (now_ms < last_ms) over_ms -= last_ms - now_ms
      last_ms = now_ms
      const each_ms = 1_000 / per_s
      // A second's worth, as quotas of a second allow.
      const burst_ms = (Math.max(leastBurst, per_s) - 1) * each_ms
      const from_ms = Math.max(over_ms, now_ms)
      const wait_ms = Math.max(0, from_ms - burst_ms - now_ms)
      if (wait_ms > most_ms) return null
      over_ms = from_ms + each_ms
      return Math.ceil(wait_ms)
    },
  }
}
