// How many requests a second may come of each key, project and address, at all servers together. A server limits by what it knows:
// no request waits for the database. In between (infra/loops.ts) the servers divide each bound by what comes where.
import type { Clock, Deps } from './deps.ts'
import { type Buckets, keepBuckets } from './rate-buckets.ts'
import { countGateways, leaseShares } from './store/rate-shares.ts'

/** Buckets whose shares are divided at once, those with the most requests: the rest goes by equal parts. */
const maxLeased = 1_000
/** A project with many keys, and an address behind which many sit, gets no more than this many keys could send. */
const keysEach = 10
/** How often a server shows that it is there: a third of what it is waited for. */
const seen_ms = 3_000

export interface Rates {
  keys: Buckets
  projects: Buckets
  /** Requests that came with no credential that holds. */
  addresses: Buckets
  /** Divides the bounds anew with the other servers. Rejects where the database is away; then the shares are what they were. */
  lease: (deps: Pick<Deps, 'db'>) => Promise<void>
}

/** `per_s`: of a key. `server`: an id of this process. */
export function createRates(clock: Clock, per_s: number, server: string): Rates {
  const kinds = {
    keys: keepBuckets(per_s),
    projects: keepBuckets(per_s * keysEach),
    addresses: keepBuckets(per_s * keysEach),
  }
  let servers = 1
  let seenAt_ms = Number.NEGATIVE_INFINITY
  let leasedAt_ms = clock.now().getTime()
  return {
    ...kinds,
    async lease({ db }) {
      const now = clock.now()
      const now_ms = now.getTime()
      if (now_ms - seenAt_ms >= seen_ms) {
        servers = await countGateways(db, server, now)
        seenAt_ms = now_ms
      }
      const elapsed_s = Math.max(1, (now_ms - leasedAt_ms) / 1_000)
      const rows = Object.entries(kinds).flatMap(([kind, kept]) => kept.wanted(kind, elapsed_s))
      const wanted = rows.toSorted((a, b) => b.demand_per_s - a.demand_per_s).slice(0, maxLeased)
      const isShared = servers > 1 && wanted.length > 0
      const leased = isShared ? await leaseShares(db, server, wanted, now) : null
      const shares = new Map(wanted.map(({ of, bucket }) => [of, leased?.get(bucket) ?? null]))
      for (const kept of Object.values(kinds)) kept.settle(shares, servers, elapsed_s, now_ms)
      leasedAt_ms = now_ms
    },
  }
}
