// What the rounds of one pass place by: counted once in a while, and counted on in between.
import type { Deps } from './deps.ts'
import { loadPlaces, type Places, remembering } from './market.ts'
import { type Rankings, rankingsOf } from './rankings.ts'
import { readMemory } from './store/open.ts'
import type { QueueHeads } from './turns.ts'

/** How old the counts of what runs may be that a round places by; commits count again where a bound is set. */
const fresh_ms = 1_000
/** Not more than this part of the time is spent on counting: it costs more, the more there is to count. */
const countingShare = 20

export interface Placing {
  places: Places
  rankings: Rankings
  /** The heads of the queue; null: not looked at yet. */
  heads: QueueHeads | null
  fresh_until: Date
  /** Shapes that found no place. */
  blocked: Set<string>
}

export const isFresh = (deps: Pick<Deps, 'clock' | 'offers'>, placing: Placing | null): placing is Placing =>
  placing !== null && deps.clock.now() < placing.fresh_until && placing.places.offers === deps.offers()

/** What the next round places by. */
export async function placingFor(deps: Deps, before: Placing | null, blocked: Set<string>): Promise<Placing> {
  return { ...(isFresh(deps, before) ? before : await count(deps)), blocked }
}

/**
 * Reads what offers refused, after the claim: a shard that was claimed because its launch was refused is never launched
 * there again for not knowing it.
 */
export async function hearRefusals(deps: Deps, { places, rankings }: Placing): Promise<void> {
  const memory = await readMemory(deps.db)
  if (JSON.stringify([...memory]) === JSON.stringify([...places.memory])) return
  Object.assign(places, { memory, refusals: remembering(places.offers, memory) })
  rankings.clear()
}

async function count(deps: Deps): Promise<Omit<Placing, 'blocked'>> {
  const from_ms = deps.clock.now().getTime()
  const places = await loadPlaces(deps)
  const took_ms = deps.clock.now().getTime() - from_ms
  const fresh_until = new Date(from_ms + Math.max(fresh_ms, countingShare * took_ms))
  return { places, rankings: rankingsOf(places), heads: null, fresh_until }
}
