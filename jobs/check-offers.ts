// Offers as an account answers them: those that can be placed by, and why the others cannot. Nothing that a vendor says is taken as
// it is. Pure.
import type { Offer, Provider } from '../providers/provider.ts'

/** Why an offer is refused, as an operator reads it. */
export const offerRefusals = {
  name: 'its id or region is no name, or it is of another account',
  price: 'its price is no number above 0, or of no time',
  dear: 'it costs more than 1,000 USD an hour',
  currency: 'its price is in a currency of which no rate is known',
  rate: 'its price in USD is not what its rate makes of it',
  shape: 'its CPUs, memory or disk make no sense',
  gpu: 'its GPU makes no sense',
  stock: 'its stock or slots are no count',
  twice: 'the list has it already',
  too_many: 'it is beyond the first 20,000 of the account',
} as const
export type OfferRefusal = keyof typeof offerRefusals

/**
 * Most offers of one account. RunPod has some hundred, a cloud with every instance type in every zone of every region some ten thousand;
 * each costs every server half a kilobyte.
 */
export const most_offers = 20_000
/** A machine of eight of the newest GPUs costs about a hundred; what costs more than ten times that is a wrong unit. */
export const most_usd_per_hour = 1_000
/** More than any machine has. */
const most = { cpu: 10_000, gib: 1_000_000, gpus: 256, count: 1_000_000 } as const
/** A price is rounded to micro-dollars on the way. */
const rounding_usd = 2e-6
/** Names that are told of each reason. */
const maxExamples = 3
const name = /^[^\p{Cc}]{1,300}$/u

export interface RefusedOffers {
  reason: OfferRefusal
  count: number
  examples: string[]
}
export interface CheckedOffers {
  offers: Offer[]
  refused: RefusedOffers[]
}

export function checkOffers(
  answer: readonly Offer[],
  account: Pick<Provider, 'name' | 'account'> & { traits: Pick<Provider['traits'], 'machines'> },
): CheckedOffers {
  const offers = new Map<string, Offer>()
  const refused = new Map<OfferRefusal, RefusedOffers>()
  for (const offer of answer) {
    const key = `${offer.region}/${offer.id}/${offer.spot}`
    const reason =
      wrongIn(offer, account) ?? (offers.has(key) ? 'twice' : offers.size >= most_offers ? 'too_many' : null)
    if (reason === null) offers.set(key, offer)
    else refuse(refused, reason, offer)
  }
  return { offers: [...offers.values()], refused: [...refused.values()] }
}

function refuse(refused: Map<OfferRefusal, RefusedOffers>, reason: OfferRefusal, offer: Offer) {
  const known = refused.get(reason) ?? { reason, count: 0, examples: [] }
  known.count++
  const told = `${String(offer.region)} ${String(offer.id)}`.replaceAll(/\p{Cc}/gu, ' ').slice(0, 100)
  if (known.examples.length < maxExamples) known.examples.push(told)
  refused.set(reason, known)
}

function wrongIn(
  offer: Offer,
  { name: provider, account, traits }: Parameters<typeof checkOffers>[1],
): OfferRefusal | null {
  const isNamed = [offer.id, offer.region].every((each) => typeof each === 'string' && name.test(each))
  if (!isNamed || offer.provider !== provider || offer.account !== account) return 'name'
  const money = wrongPrice(offer, traits.machines !== undefined)
  if (money !== null) return money
  const { cpu, memory_gib, disk_gib, available, slots } = offer
  const fits = isAmount(cpu, most.cpu) && cpu > 0 && isAmount(memory_gib, most.gib) && memory_gib > 0
  if (!fits || !isAmount(disk_gib, most.gib) || typeof offer.spot !== 'boolean') return 'shape'
  if (offer.gpu !== null && !isGpu(offer.gpu)) return 'gpu'
  return [available, slots].every((each) => each === null || isCount(each)) ? null : 'stock'
}

/** `may_be_free`: machines that are there anyway. */
function wrongPrice({ usd_per_hour, price }: Offer, may_be_free: boolean): OfferRefusal | null {
  const { charged, at = null } = price ?? {}
  if (at !== null && Number.isNaN(Date.parse(at))) return 'price'
  if (charged) {
    if (charged.currency === 'USD' || !charged.rate) return 'currency'
    const { per_usd } = charged.rate
    if (!isAmount(charged.per_hour, Infinity)) return 'price'
    const usd = charged.per_hour / per_usd
    if (!(per_usd > 0) || !Number.isFinite(usd)) return 'rate'
    if (!(Math.abs(usd - usd_per_hour) <= rounding_usd)) return 'rate'
  }
  if (!isAmount(usd_per_hour, Infinity) || (usd_per_hour === 0 && !may_be_free)) return 'price'
  return usd_per_hour > most_usd_per_hour ? 'dear' : null
}

function isGpu({ model, count, memory_gib, compute_capability }: NonNullable<Offer['gpu']>): boolean {
  const isKnown = typeof model === 'string' && name.test(model) && isAmount(memory_gib, most.gib)
  const isOne = Number.isInteger(count) && count >= 1 && count <= most.gpus
  return isKnown && isOne && (compute_capability === null || /^\d{1,2}\.\d{1,2}$/.test(compute_capability))
}

const isAmount = (value: unknown, at_most: number): value is number =>
  typeof value === 'number' && value >= 0 && value <= at_most && Number.isFinite(value)
const isCount = (value: number) => Number.isInteger(value) && value >= 0 && value <= most.count
