// Offers, their prices and where they are from, as clients see them. Pure.
import type { Price, Rate } from '../providers/provider.ts'
import { offerRefusals, type RefusedOffers } from './check-offers.ts'
import type { OfferSource } from './deps.ts'

/**
 * A rate that is older than this is told as old. CNY moves by one or two per cent a month against USD, which is what a desk would
 * notice on a bill.
 */
export const oldRate_days = 30

export function priceView(usd_per_hour: number, price: Price | undefined, now: Date) {
  const { source = null, at = null, live = false, charged } = price ?? {}
  return {
    source,
    at,
    age_s: at === null ? null : secondsSince(at, now),
    live,
    currency: charged?.currency ?? 'USD',
    per_hour: charged?.per_hour ?? usd_per_hour,
    rate: charged?.rate ? rateView(charged.rate, now) : null,
  }
}

function rateView({ per_usd, at, source }: Rate, now: Date) {
  const is_old = at === null || secondsSince(at, now) > oldRate_days * 86_400
  return { per_usd, at, source, is_old }
}

export function sourceView(from: OfferSource, now: Date) {
  const { provider, account, asked_at, tried_at, due_at, error, missing, refused, offers, stale, rates } =
    from
  const state = asked_at === null ? 'none' : error !== null ? 'failed' : missing.length > 0 ? 'partial' : 'ok'
  return {
    provider,
    account,
    state: state as 'none' | 'failed' | 'partial' | 'ok',
    asked_at: asked_at?.toISOString() ?? null,
    age_s: asked_at && secondsSince(asked_at.toISOString(), now),
    tried_at: tried_at?.toISOString() ?? null,
    next_at: due_at.toISOString(),
    error,
    offers,
    stale,
    missing: [...missing],
    refused: refused.map(refusedView),
    rates: rates.map(({ currency, ...rate }) => ({ currency, ...rateView(rate, now) })),
  }
}

const refusedView = ({ reason, count, examples }: RefusedOffers) => ({
  reason,
  text: offerRefusals[reason],
  count,
  examples,
})

const secondsSince = (at: string, now: Date): number =>
  Math.max(0, Math.round((now.getTime() - Date.parse(at)) / 1_000))
