// A ranking as clients see it: in estimates, in explanations, and stored with the attempt that was chosen from it.
import type { Offer } from '../providers/provider.ts'
import { microsToUsd } from './cost.ts'
import { type Ranking, type RejectionReason, rejections } from './place.ts'

export interface OfferView {
  provider: string
  account: string
  region: string
  offer: string
  spot: boolean
  usd_per_hour: number
  expected_duration_s: number | null
  expected_usd: number | null
  basis: 'history' | 'model' | null
}
export interface RejectedView {
  reason: RejectionReason
  text: string
  count: number
  examples: string[]
}
export interface RankingView {
  offers: OfferView[]
  rejected: RejectedView[]
}

/** `shards`: the costs are of so many at once. */
export function rankingView({ ranked, rejected }: Ranking, shards = 1): RankingView {
  const offers = ranked.map(({ offer, expected, expected_micros }) => ({
    provider: offer.provider,
    account: offer.account,
    region: offer.region,
    offer: offer.id,
    spot: offer.spot,
    usd_per_hour: offer.usd_per_hour,
    expected_duration_s: expected && Math.round(expected.duration_s * 10) / 10,
    expected_usd: expected_micros === null ? null : microsToUsd(expected_micros * shards),
    basis: expected?.basis ?? null,
  }))
  return {
    offers,
    rejected: rejected.map(({ reason, count, examples }) => ({
      reason,
      text: rejections[reason],
      count,
      examples: examples.map(nameOf),
    })),
  }
}

const nameOf = ({ provider, account, region, id, spot }: Offer) =>
  `${provider}/${account} ${region} ${id}${spot ? ' (spot)' : ''}`
