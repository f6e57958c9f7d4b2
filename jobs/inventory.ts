// What there is to run on: every offer as placement sees it.
import { isModel, modelOf } from '../providers/gpus.ts'
import type { Offer } from '../providers/provider.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import type { Catalogue, Entry } from './catalogue.ts'
import { priceView } from './offer-view.ts'
import { accountKey, countPlaced, type Memory, offerKey, type OpenCounts, readMemory } from './store/open.ts'

export interface OfferQuery {
  provider?: string | undefined
  account?: string | undefined
  region?: string | undefined
  /** By the model of the GPU, as in resources.gpu.models. */
  gpu?: string | undefined
  spot?: boolean | undefined
  max_usd_per_hour?: number | undefined
  /** Those that would take a launch now. */
  free?: boolean | undefined
  limit: number
  cursor?: string | undefined
}

/** Cheapest first. */
export async function listOffers(deps: Deps, query: OfferQuery) {
  const [open, memory] = [await countPlaced(deps.db), await readMemory(deps.db)]
  const now = deps.clock.now()
  const views = chosen(deps.offers(), query)
    .map((entry) => ({ key: sortKey(entry.offer), view: offerView(entry, open, memory, now) }))
    .filter(({ view }) => query.free === undefined || query.free === isFree(view))
  return pageOf(views, query)
}

export type OfferView = ReturnType<typeof offerView>

function offerView({ offer, known: model }: Entry, open: OpenCounts, memory: Memory, now: Date) {
  const {
    provider,
    account,
    region,
    id,
    spot,
    usd_per_hour,
    gpu,
    cpu,
    memory_gib,
    disk_gib,
    available,
    slots,
    price,
  } = offer
  const refusals = [memory.get(accountKey(offer)), memory.get(offerKey(offer))].filter(
    (each) => each !== undefined,
  )
  const blocked = refusals.find(({ blocked_until }) => blocked_until > now)
  return {
    provider,
    account,
    region,
    offer: id,
    spot,
    usd_per_hour,
    gpu: gpu && { ...gpu, class: model?.class ?? null, unknown: model === null },
    cpu,
    memory_gib,
    disk_gib,
    available,
    slots,
    running: open.get(`offer:${provider}/${account}/${id}`) ?? 0,
    blocked: blocked
      ? {
          reason: blocked.code,
          until: blocked.blocked_until.toISOString(),
          failures: Math.round(blocked.failures),
        }
      : null,
    stale_since: offer.stale_since ?? null,
    price: priceView(usd_per_hour, price, now),
  }
}

const isFree = ({ available, slots, running, blocked }: OfferView) =>
  !blocked && (available === null || available > 0) && (slots === null || running < slots)

function chosen(offers: Catalogue, query: OfferQuery): Readonly<Entry>[] {
  const { provider, account, region, gpu, spot, max_usd_per_hour } = query
  const model = gpu === undefined ? undefined : modelOf(gpu)
  return offers.filter(
    ({ offer, ...entry }) =>
      (provider === undefined || offer.provider === provider) &&
      (account === undefined || offer.account === account) &&
      (region === undefined || offer.region === region) &&
      (model === undefined || isModel(model, entry.model)) &&
      (spot === undefined || offer.spot === spot) &&
      (max_usd_per_hour === undefined || offer.usd_per_hour <= max_usd_per_hour),
  )
}

// Prices up to a million dollars an hour, in micro-dollars.
const sortKey = (offer: Offer) =>
  `${String(Math.round(offer.usd_per_hour * 1e6)).padStart(12, '0')} ${offerKey(offer)}`

/** A page of a list that is in memory, in the order of its keys. Throws AppError invalid_cursor. */
export function pageOf<View>(
  found: readonly { key: string; view: View }[],
  { limit, cursor }: { limit: number; cursor?: string | undefined },
): { items: View[]; next_cursor: string | null } {
  const after = cursor === undefined ? '' : Buffer.from(cursor, 'base64url').toString()
  if (cursor !== undefined && Buffer.from(after).toString('base64url') !== cursor)
    throw new AppError('invalid_cursor', 'A cursor is what an earlier page gave as next_cursor.')
  const rest = found.filter(({ key }) => key > after).toSorted((a, b) => (a.key < b.key ? -1 : 1))
  const last = rest.length > limit ? rest[limit - 1] : undefined
  return {
    items: rest.slice(0, limit).map(({ view }) => view),
    next_cursor: last ? Buffer.from(last.key).toString('base64url') : null,
  }
}
