// The rows of what accounts offer, and of how that has changed.
import type { Generated } from 'kysely'
import type { Offer } from '../../providers/provider.ts'
import type { RefusedOffers } from '../check-offers.ts'
import type { Json } from './result-tables.ts'

/** A part of an account that did not answer. */
export interface UnaskedPart {
  name: string
  error: string
}

export interface OfferTables {
  offer_sources: {
    provider: string
    account: string
    account_version: number
    version: number
    due_at: Date
    claim: string | null
    claimed_until: Date | null
    tried_at: Date | null
    asked_at: Date | null
    failures: Generated<number>
    error: string | null
    missing: Json<UnaskedPart[]>
    refused: Json<RefusedOffers[]>
  }
  offers: {
    provider: string
    account: string
    region: string
    offer_id: string
    spot: boolean
    offer: Json<Offer>
    stale_at: Date | null
    noted_usd_micros: number
    noted_available: number | null
    noted_at: Date
  }
  offer_history: {
    id: Generated<number>
    provider: string
    account: string
    region: string
    offer_id: string
    spot: boolean
    at: Date
    usd_micros_per_hour: number
    currency: string
    per_hour: number
    available: number | null
    listed: boolean
  }
}
