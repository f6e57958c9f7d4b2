// How often runners speak and vendors are asked: soon for few, and for many so rarely that one process keeps up.
import type { Deps } from './deps.ts'
import { countOpen } from './store/snapshot.ts'

/** Rare enough for a desk's runners, soon enough for a stop to be obeyed. */
const leastHeartbeat_ms = 2_000
/** An order waits for the next report at most this long: a fifth of what its grace and upload may take together. */
const mostHeartbeat_ms = 30_000
/** A lost machine costs this much before it is missed. */
const leastLook_s = 5
/** As long as a thing must stay gone to be believed so. */
const mostLook_s = 30
/** Reports and looks a second of the whole installation: a tenth of a core of one process (bench/results/watch.json). */
const perSecond = 100
/** How old the count may be that a process goes by. */
const recount_ms = 5_000

/** What a runner is told, with so many attempts that have not ended. */
export function heartbeatEvery_ms(open: number): number {
  return Math.round(Math.min(mostHeartbeat_ms, Math.max(leastHeartbeat_ms, (open * 1_000) / perSecond)))
}

/** How often a provider is asked about a healthy attempt, with so many that have not ended. */
export function lookEvery_s(open: number): number {
  return Math.min(mostLook_s, Math.max(leastLook_s, open / perSecond))
}

/** Counts attempts for the reports of one process, once in a while; a count that fails leaves the last one. */
export function createPace({ db, clock }: Pick<Deps, 'db' | 'clock'>): () => Promise<number> {
  let open = 0
  let counted_ms = Number.NEGATIVE_INFINITY
  return async () => {
    const now_ms = clock.now().getTime()
    if (now_ms - counted_ms >= recount_ms) {
      // Set first: those who report meanwhile go by the last count.
      counted_ms = now_ms
      open = await countOpen(db).catch(() => open)
    }
    return heartbeatEvery_ms(open)
  }
}
