// The buckets of one bound in one server: what was let through here, and what part of the bound is this server's.
import { hash } from 'node:crypto'
import type { Leased } from './store/rate-shares.ts'

/** Buckets remembered at once; a forgotten one starts full, so the bound can only be generous. */
const maxBuckets = 10_000
/** Of what comes more than before: chance moves shares by less. What comes no more is given to others at once. */
const newest = 0.5
/** Fewer requests a second need no share of their own. */
const leastDemand_per_s = 0.05

/** What is left of a bound here. */
export interface Left {
  /** Requests; below 1: none may come. */
  tokens: number
  /** Seconds until there are as many tokens as that. */
  wait_s: (tokens: number) => number
  /** As many as may come at once. */
  most: number
}

export interface Bucket {
  /** How many were let through that have not been made up for. */
  spent: number
  at_ms: number
  /** How many came since the bounds were last divided. */
  asked: number
  /** Requests a second, as it was at the last division. */
  demand_per_s: number
  leased: Leased | null
  /** Divisions in a row at which more came to all servers than may. */
  shorts: number
}

/** `per_s`: of all servers together. `servers`: how many there are, of which one without a share has its part. */
interface Bound {
  per_s: number
  servers: number
}

export type Buckets = ReturnType<typeof keepBuckets>

export function keepBuckets(per_s: number) {
  const buckets = new Map<string, Bucket>()
  const bound: Bound = { per_s, servers: 1 }
  const find = (id: string, now_ms: number) => fill(bound, buckets.get(id) ?? newBucket(now_ms), now_ms)
  const open = (id: string, now_ms: number) => {
    const bucket = find(id, now_ms)
    buckets.delete(id)
    buckets.set(id, bucket)
    const [oldest] = buckets.keys()
    if (buckets.size > maxBuckets && oldest !== undefined) buckets.delete(oldest)
    return bucket
  }
  return {
    per_s,
    /** Counts what comes, and tells whether it may. */
    ask(id: string, now_ms: number): Left {
      const bucket = open(id, now_ms)
      bucket.asked++
      return leftOf(bound, bucket)
    },
    /** Tells the same of what has not come. */
    look: (id: string, now_ms: number): Left => leftOf(bound, find(id, now_ms)),
    /** One that came was let through. */
    take(id: string, now_ms: number): void {
      open(id, now_ms).spent++
    },
    /** What is to be divided: what comes here, and what has come until now. */
    wanted(kind: string, elapsed_s: number) {
      const rows = [...buckets].filter(([, { asked, leased }]) => asked > 0 || leased !== null)
      return rows.map(([id, of]) => {
        const demand_per_s = demandOf(of, elapsed_s)
        return {
          of,
          // An address is a person's: none is written in clear.
          bucket: hash('sha256', `${kind} ${id}`),
          per_s,
          demand_per_s: demand_per_s < leastDemand_per_s ? 0 : demand_per_s,
        }
      })
    },
    /** The bounds were divided: these are the shares of this server. */
    settle(
      shares: ReadonlyMap<Bucket, Leased | null>,
      servers: number,
      elapsed_s: number,
      now_ms: number,
    ): void {
      for (const bucket of buckets.values()) {
        fill(bound, bucket, now_ms)
        bucket.demand_per_s = demandOf(bucket, elapsed_s)
        bucket.asked = 0
        bucket.leased = shares.get(bucket) ?? null
        bucket.shorts = bucket.leased?.is_short ? bucket.shorts + 1 : 0
      }
      bound.servers = servers
    },
  }
}

const newBucket = (now_ms: number): Bucket => ({
  spent: 0,
  at_ms: now_ms,
  asked: 0,
  demand_per_s: 0,
  leased: null,
  shorts: 0,
})

const rateOf = ({ per_s, servers }: Bound, { leased }: Bucket) => leased?.per_s ?? per_s / servers

function fill(bound: Bound, bucket: Bucket, now_ms: number): Bucket {
  const madeUp = (Math.max(0, now_ms - bucket.at_ms) / 1_000) * rateOf(bound, bucket)
  bucket.spent = Math.max(0, bucket.spent - madeUp)
  bucket.at_ms = now_ms
  return bucket
}

function leftOf(bound: Bound, bucket: Bucket): Left {
  const { leased, shorts } = bucket
  // Where more comes than may, one server's saved part would come on top of the others'. Twice in a row: what has gone from one server
  // to another is counted at both once.
  const most = leased !== null && shorts > 1 ? Math.max(1, leased.per_s) : bound.per_s
  const tokens = most - bucket.spent
  // Without a share the next division, a second or two from now, gives one.
  const rate = rateOf(bound, bucket) || 1
  const wait_s = (wanted: number) => (tokens >= wanted ? 0 : Math.ceil((wanted - tokens) / rate))
  return { tokens, wait_s, most }
}

function demandOf({ asked, demand_per_s, leased }: Bucket, elapsed_s: number): number {
  const now_per_s = asked / elapsed_s
  return leased === null || now_per_s < demand_per_s
    ? now_per_s
    : newest * now_per_s + (1 - newest) * demand_per_s
}
