// Rankings of a pass. Work of one shape and signature has the same, until something is taken that changes it.
import type { Offer } from '../providers/provider.ts'
import { callsFree, hasRefused, type Places, rank, take, type Work } from './market.ts'
import { boundsOf } from './limits.ts'
import type { Ranking } from './place.ts'
import { type RankingView, rankingView } from './ranking-view.ts'

export interface ShapedWork extends Work {
  shape_hash: string
  signature: string
}

export interface Rankings {
  of: (work: ShapedWork, now: Date) => Ranking
  /** As it is stored with an attempt. */
  view: (ranking: Ranking) => RankingView
  /** Counts a launch that was decided. */
  take: (work: ShapedWork, offer: Offer) => void
  /** Something has changed that they were made from. */
  clear: () => void
}

export function rankingsOf(places: Places): Rankings {
  const rankings = new Map<string, Ranking>()
  const views = new Map<Ranking, RankingView>()
  return {
    of(work, now) {
      const { shape_hash, signature, allowance_micros, excluded_providers } = work
      const key = [shape_hash, signature, allowance_micros, ...excluded_providers].join('/')
      const ranking = rankings.get(key) ?? rank(places, work, now)
      rankings.set(key, ranking)
      return ranking
    },
    view(ranking) {
      const view = views.get(ranking) ?? rankingView(ranking)
      views.set(ranking, view)
      return view
    },
    take(work, offer) {
      const { project_id, spec } = work
      take(places, work, offer)
      const isBounded =
        offer.slots !== null || boundsOf(places.limits, { project_id, kind: spec.kind }, offer).length > 0
      // The first launch at an offer that is out of its time finds out for all.
      if (isBounded || hasRefused(places, offer) || callsFree(places, offer) === 0) rankings.clear()
    },
    clear: () => rankings.clear(),
  }
}
