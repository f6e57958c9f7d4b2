// How many calls of an account this process has under way, its lanes, and how many wait for one.
export interface Lanes {
  /** Takes as many as are wanted and free, of at most so many; answers how many. */
  take: (account: string, wanted: number, most: number) => number
  give: (account: string, lanes: number) => void
  /** Resolves when one is given back. */
  freed: (account: string) => Promise<void>
  /** Counts calls that wait for a lane, or (below zero) do so no longer. */
  wait: (account: string, calls: number) => void
  /** Calls that are under way or wait. */
  calls: (account: string) => number
}

export function createLanes(): Lanes {
  const taken = new Map<string, number>()
  const waiting = new Map<string, number>()
  const watching = new Map<string, PromiseWithResolvers<void>>()
  const add = (counts: Map<string, number>, account: string, by: number) =>
    counts.set(account, (counts.get(account) ?? 0) + by)
  return {
    take(account, wanted, most) {
      const lanes = Math.max(0, Math.min(wanted, most - (taken.get(account) ?? 0)))
      add(taken, account, lanes)
      return lanes
    },
    give(account, lanes) {
      add(taken, account, -lanes)
      watching.get(account)?.resolve()
      watching.delete(account)
    },
    freed(account) {
      const watched = watching.get(account) ?? Promise.withResolvers<void>()
      watching.set(account, watched)
      return watched.promise
    },
    wait: (account, calls) => void add(waiting, account, calls),
    calls: (account) => (taken.get(account) ?? 0) + (waiting.get(account) ?? 0),
  }
}
