// Money is in whole micro-dollars inside, in dollars with six decimals outside.

export const microsPerUsd = 1_000_000

export interface Metered {
  usd_micros_per_hour: number
  min_billing_s: number
  /** The vendor's billing start; null: nothing costs yet. */
  billed_from: Date | null
  /** The confirmed end; null: still running, so `now` counts. */
  billed_to: Date | null
}

/**
 * A call without an answer may have been the one that made the machine, so it counts from the first: the ledger never says less than
 * the vendor's bill. null: no machine is known.
 */
export const billedFrom = (row: { launched_at: Date | null; first_called_at: Date | null }): Date | null =>
  row.launched_at && (row.first_called_at ?? row.launched_at)

/** Cost so far: per second with the vendor's minimum, rounded up to whole micro-dollars. */
export function costMicros(metered: Metered, now: Date): number {
  if (!metered.billed_from) return 0
  const end = metered.billed_to ?? now
  const seconds = Math.max(0, end.getTime() - metered.billed_from.getTime()) / 1_000
  return microsOf(metered.usd_micros_per_hour, metered.min_billing_s, seconds)
}

/** What so many seconds cost. */
export const microsOf = (usd_micros_per_hour: number, min_billing_s: number, seconds: number): number =>
  Math.ceil((Math.max(seconds, min_billing_s) * usd_micros_per_hour) / 3_600)

/** Seconds that a budget pays for at a price, less what a stop takes; never below 1. */
export function affordableSeconds(
  budget_micros: number,
  usd_micros_per_hour: number,
  stop_s: number,
): number {
  if (usd_micros_per_hour <= 0) return Number.MAX_SAFE_INTEGER
  return Math.max(1, Math.floor((budget_micros * 3_600) / usd_micros_per_hour) - stop_s)
}

export const usdToMicros = (usd: number): number => Math.ceil(usd * microsPerUsd - 1e-6)
export const microsToUsd = (micros: number): number => micros / microsPerUsd
