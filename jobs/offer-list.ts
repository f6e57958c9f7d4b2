// What an account offers after it has been asked again: what is new, what has changed, what is kept though nobody could confirm it, and
// what is worth a row of history. Pure.
import type { MissingPart, Offer } from '../providers/provider.ts'
import { usdToMicros } from './cost.ts'

/**
 * How long an offer is kept that its vendor could not be asked for. An hour of outage is common, and prices on demand change a few
 * times a year; but stock and spot prices move within minutes, and a launch at an old price is billed at the new one. A quarter of an
 * hour is through most failures of an API, and three readings of the slowest account.
 */
export const keepStale_ms = 15 * 60_000
/** An offer has no more rows of history than one in this time, however its price or stock moves. */
export const noteEvery_ms = 5 * 60_000

export interface Listed {
  offer: Offer
  /** When it was last confirmed, if not by the last answer. */
  stale_at: Date | null
  noted: { usd_micros: number; available: number | null; at: Date }
}

/** A row of history. */
export interface Note {
  offer: Offer
  at: Date
  /** false: it is not offered any more. */
  listed: boolean
}

export interface Answer {
  offers: readonly Offer[]
  /** Parts that could not be asked: all of it where the account did not answer. */
  missing: readonly Pick<MissingPart, 'has'>[]
  /** When the question was sent. */
  asked_at: Date
}

export interface NextList {
  list: Listed[]
  /** Of the list: what is new or differs from what was known. */
  put: Listed[]
  drop: Listed[]
  notes: Note[]
}

/** `before`: when the account last answered. */
export function nextList(
  known: readonly Listed[],
  { offers, missing, asked_at }: Answer,
  before: Date | null,
  now: Date,
): NextList {
  const next: NextList = { list: [], put: [], drop: [], notes: [] }
  const left = new Map(known.map((each) => [keyOf(each.offer), each]))
  for (const given of offers) {
    const offer = undated(given, asked_at)
    const old = left.get(keyOf(offer))
    left.delete(keyOf(offer))
    const isNoted = old === undefined || isWorthNoting(old, offer, now)
    const noted = isNoted ? { ...notedOf(offer), at: now } : old.noted
    const listed = { offer, stale_at: null, noted }
    next.list.push(listed)
    if (isNoted) next.notes.push({ offer, at: now, listed: true })
    if (isNoted || old.stale_at !== null || !isSame(old.offer, offer)) next.put.push(listed)
  }
  for (const old of left.values()) {
    const stale_at = old.stale_at ?? before ?? now
    const isMissing = missing.some(({ has }) => has(old.offer))
    if (isMissing && isFresh(stale_at, now)) {
      const listed = { ...old, stale_at }
      next.list.push(listed)
      if (old.stale_at === null) next.put.push(listed)
    } else {
      next.drop.push(old)
      next.notes.push({ offer: old.offer, at: now, listed: false })
    }
  }
  return next
}

/** Whether an offer may still be placed by. `confirmed_at`: when it was last confirmed. */
export const isFresh = (confirmed_at: Date, now: Date): boolean =>
  now.getTime() - confirmed_at.getTime() <= keepStale_ms

/** A price that the vendor has just told is as old as the list is, and is not written again because time goes by. */
function undated(offer: Offer, asked_at: Date): Offer {
  const { price } = offer
  if (!price?.live || price.at === null || Date.parse(price.at) < asked_at.getTime()) return offer
  return { ...offer, price: { ...price, at: null } }
}

/** With the time of the list where the price has none of its own. */
export function dated({ offer, stale_at }: Listed, asked_at: Date | null): Offer {
  const confirmed_at = stale_at ?? asked_at
  const { price } = offer
  const isLive = price?.live === true && price.at === null && confirmed_at !== null
  return {
    ...offer,
    ...(isLive ? { price: { ...price, at: confirmed_at.toISOString() } } : {}),
    ...(stale_at ? { stale_since: stale_at.toISOString() } : {}),
  }
}

const keyOf = ({ region, id, spot }: Offer) => `${region}/${id}/${spot}`

/** Both were written by the same adapter, so their fields are in one order. */
const isSame = (a: Offer, b: Offer) => JSON.stringify(a) === JSON.stringify(b)

const notedOf = ({ usd_per_hour, available }: Offer) => ({
  usd_micros: usdToMicros(usd_per_hour),
  available,
})

function isWorthNoting({ noted }: Listed, offer: Offer, now: Date): boolean {
  if (now.getTime() - noted.at.getTime() < noteEvery_ms) return false
  const { usd_micros, available } = notedOf(offer)
  if (usd_micros !== noted.usd_micros) return true
  // What is free of fixed capacity changes with each job: whether there is any is enough.
  return offer.slots === null ? available !== noted.available : isOut(available) !== isOut(noted.available)
}

const isOut = (available: number | null) => available === 0
