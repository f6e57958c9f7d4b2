// What an offer costs in USD where its vendor bills in another currency. Pure.
import type { Offer, Price, Rate } from './provider.ts'

/** A rate as settings name it. */
export interface NamedRate {
  rate: number
  /** `2026-11-01` */
  at: string
  source?: string
}

/** A number alone is one that nobody has dated. */
export function rateOf(named: number | NamedRate | null | undefined): Rate | null {
  if (named === null || named === undefined) return null
  const source = "the account's settings"
  return typeof named === 'number'
    ? { per_usd: named, at: null, source }
    : { per_usd: named.rate, at: named.at, source: named.source ?? source }
}

/** An hour that costs so much in a currency, in USD. Without a rate it has no price in USD (NaN), and the core refuses the offer. */
export function priced(
  charged: { currency: string; per_hour: number; rate: Rate | null },
  of: Pick<Price, 'source' | 'at' | 'live'>,
): Pick<Offer, 'usd_per_hour' | 'price'> {
  const { currency, per_hour, rate } = charged
  if (currency === 'USD') return { usd_per_hour: roundUp(per_hour), price: of }
  return {
    usd_per_hour: rate ? roundUp(per_hour / rate.per_usd) : Number.NaN,
    price: { ...of, charged },
  }
}

/** To whole micro-dollars, upwards as everything that is billed. */
const roundUp = (usd: number): number => Math.ceil(Number((usd * 1e6).toFixed(3))) / 1e6
