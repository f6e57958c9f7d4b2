// A lull: shards wait, none of them finds a place, and nothing has changed since. Then looking again would find nothing,
// whatever waits, until the next change, the end of what is remembered of an offer, or half a minute.
import type { Catalogue } from './catalogue.ts'
import type { Memory } from './store/open.ts'

/**
 * A change is counted before its transaction commits: what was read in this time after one may be older than it. Ours
 * take milliseconds; one that takes longer is noticed by the look after `longest_ms`.
 */
const settles_ms = 5_000
/** What a change that nobody counted may cost in latency. */
const longest_ms = 30_000

/** What a replica remembers from pass to pass of the queue; a caller without a memory gives none. */
export interface Lull {
  /** How often queue and places had changed, and the offers, when this began. */
  mark: string
  offers: Catalogue
  began_ms: number
  /** Where the next look begins among the shapes; '' is their beginning. */
  after: string
  /** Whether no shape from the beginning to here finds a place. */
  clean: boolean
  /** Nothing is to be found until then. */
  until_ms: number
}

export function newLull(): Lull {
  const until_ms = Number.NEGATIVE_INFINITY
  return { mark: '', offers: [], began_ms: 0, after: '', clean: true, until_ms }
}

/** Whether a look at the queue would find nothing. Begins anew where something has changed. */
export function isLull(lull: Lull, mark: string, offers: Catalogue, now: Date): boolean {
  if (lull.mark === mark && lull.offers === offers) return now.getTime() < lull.until_ms
  Object.assign(lull, {
    ...newLull(),
    mark,
    offers,
    began_ms: now.getTime(),
    after: lull.after,
    clean: false,
  })
  return false
}

export interface Look {
  /** Whether a shape found a place. */
  found: boolean
  /** The last shape that was looked at, where there are more; null: it was the last of all. */
  next: string | null
  memory: Memory
}

/** Notes what a look has found, from where the lull said. */
export function noteLook(lull: Lull, { found, next, memory }: Look, now: Date): void {
  const now_ms = now.getTime()
  const clean = !found && (lull.clean || lull.after === '')
  lull.after = next ?? ''
  lull.clean = clean
  if (!clean || next !== null || now_ms - lull.began_ms < settles_ms) return
  const ends = [...memory.values()]
    .map(({ blocked_until }) => blocked_until.getTime())
    .filter((at) => at > now_ms)
  lull.until_ms = ends.reduce((first, at) => Math.min(first, at), now_ms + longest_ms)
}
