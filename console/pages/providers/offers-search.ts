import type { OfferFilters } from '../../api/providers.ts'

export function offersSearch(given: Record<string, unknown>): OfferFilters {
  const found: OfferFilters = {}
  for (const name of ['provider', 'account', 'region', 'gpu', 'max_usd_per_hour'] as const) {
    const text = given[name]
    if ((typeof text === 'string' || typeof text === 'number') && text !== '')
      found[name] = String(text).slice(0, 200)
  }
  for (const name of ['spot', 'free'] as const) {
    const flag = String(given[name])
    if (flag === 'true' || flag === 'false') found[name] = flag
  }
  return found
}
