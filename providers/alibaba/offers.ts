// What the account can start: its instance types in its zones, on demand and spot, with stock and price.
import type { ProviderError } from '../errors.ts'
import { priced, rateOf } from '../money.ts'
import { askParts, callOfPart, type OfPart } from '../parts.ts'
import type { MissingPart, Offer } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import { spotDuration_h } from './launch.ts'
import type { AlibabaProviderOptions } from './options.ts'
import { bidOf, gpuOf, type InstanceType, shapeId, shapeOf } from './shape.ts'

/** Of what one call may name. */
const types_most = 10
/** Prices on demand change a few times a year, the market's within hours; offers are asked for twice a minute. */
const price_ms = 5 * 60_000
/** What the machine itself keeps: system, driver, images of containers. */
const system = { disk_gib: 30, memory_gib: 1 }

/** An hour of one instance with its disk, in the currency of the account. */
interface Quote {
  amount: number
  currency: string
  at_ms: number
}
/** What was asked for lately; `at_ms`: when. */
export type Prices = Map<string, { quote: Quote | null; at_ms: number }>
type Asker = { api: Api; options: AlibabaProviderOptions; prices: Prices }
type Market = { spotStrategy: 'NoSpot' } | { spotStrategy: 'SpotWithPriceLimit'; spotDuration: number }

const onDemand: Market = { spotStrategy: 'NoSpot' }
const spot: Market = { spotStrategy: 'SpotWithPriceLimit', spotDuration: spotDuration_h }

/** Zones are asked on their own: one that does not answer is told as missing. */
export async function allOffers(
  asker: Asker,
  signal: AbortSignal,
  missing?: (part: MissingPart) => void,
): Promise<Offer[]> {
  const { options } = asker
  const types: Priced[] = []
  for (const type of await typesOf(asker, signal)) {
    const listed = await priceOf(asker, type.instanceTypeId ?? '', null, signal)
    if (listed) types.push({ type, listed })
  }
  const markets = options.spot ? [onDemand, spot] : [onDemand]
  const parts = markets.flatMap((market) =>
    options.vswitches.map(({ zone }) => ({
      name: `${zone}, ${market === spot ? 'spot' : 'on demand'}`,
      has: (offer: OfPart) => shapeOf(offer)?.zone === zone && offer.spot === (market === spot),
      ask: (of: AbortSignal) => offersOf(asker, { types, zone, market }, of),
    })),
  )
  return askParts(parts, { signal, missing })
}

/** Calls of one round: prices are asked for every few rounds. */
export function callsOf({ instance_types, vswitches, spot: hasSpot }: AlibabaProviderOptions): number {
  const [types, zones] = [instance_types.length, vswitches.length]
  return Math.ceil(types / types_most) + zones * (hasSpot ? 2 : 1) + types + (hasSpot ? types * zones : 0)
}

/** A type with its price on demand. */
interface Priced {
  type: InstanceType
  listed: Quote
}

async function offersOf(
  asker: Asker,
  { types, zone, market }: { types: readonly Priced[]; zone: string; market: Market },
  signal: AbortSignal,
): Promise<Offer[]> {
  const stock = await stockOf(asker, zone, market, signal)
  const offers: Offer[] = []
  for (const { type, listed } of types) {
    const available = stock.get(type.instanceTypeId ?? '')
    if (available === undefined) continue
    const offer = await offerOf(asker, { type, listed, zone, market, available }, signal)
    if (offer) offers.push(offer)
  }
  return offers
}

interface Candidate extends Priced {
  zone: string
  market: Market
  available: number | null
}

/** null: it has no price, or a part of a GPU. */
async function offerOf(
  asker: Asker,
  { type, listed, zone, market, available }: Candidate,
  signal: AbortSignal,
): Promise<Offer | null> {
  const { account, region, gpus, disk_gib, bid_multiple, cny_per_usd } = asker.options
  const name = type.instanceTypeId ?? ''
  const gpu = gpuOf(type, gpus)
  if (gpu === undefined) return null
  const isSpot = market !== onDemand
  const quote = isSpot ? await priceOf(asker, name, zone, signal) : listed
  if (!quote) return null
  const bid = isSpot ? bidOf(listed.amount, bid_multiple) : null
  const { amount, currency, at_ms } = quote
  // A rate is of CNY; what comes in another currency has none.
  const rate = currency === 'CNY' ? rateOf(cny_per_usd) : null
  const at = new Date(at_ms).toISOString()
  return {
    id: shapeId({ type: name, zone, bid }),
    provider: 'alibaba',
    account,
    region,
    spot: isSpot,
    ...priced({ currency, per_hour: amount, rate }, { source: 'DescribePrice', at, live: true }),
    gpu,
    cpu: type.cpuCoreCount ?? 1,
    memory_gib: Math.max(1, Math.floor((type.memorySize ?? 0) - system.memory_gib)),
    disk_gib: Math.max(1, disk_gib - system.disk_gib),
    // A bid below the market starts nothing.
    available: bid !== null && bid < amount ? 0 : available,
    slots: null,
  }
}

async function typesOf({ api, options }: Asker, signal: AbortSignal): Promise<InstanceType[]> {
  const { instance_types } = options
  const found: InstanceType[] = []
  for (let at = 0; at < instance_types.length; at += types_most) {
    const request = { instanceTypes: instance_types.slice(at, at + types_most), maxResults: 100 }
    type Page = { nextToken?: string; instanceTypes?: { instanceType?: InstanceType[] } }
    const page = await pagesOf(
      (nextToken) =>
        api.call<Page>('DescribeInstanceTypes', { ...request, ...(nextToken && { nextToken }) }, signal),
      ({ instanceTypes }) => instanceTypes?.instanceType,
      ({ instanceTypeId }) => instanceTypeId,
    )
    found.push(...page)
  }
  return found
}

/** By type, where it is sold at all: 0 when it is sold out; how many there are is not told. */
async function stockOf(
  { api, options }: Asker,
  zoneId: string,
  market: Market,
  signal: AbortSignal,
): Promise<Map<string, number | null>> {
  const request = {
    regionId: options.region,
    zoneId,
    destinationResource: 'InstanceType',
    resourceType: 'instance',
    instanceChargeType: 'PostPaid',
    networkCategory: 'vpc',
    systemDiskCategory: options.disk_category,
    ...market,
  }
  type Resource = { type?: string; supportedResources?: { supportedResource?: Supported[] } }
  type Zone = { zoneId?: string; availableResources?: { availableResource?: Resource[] } }
  type Answer = { availableZones?: { availableZone?: Zone[] } }
  const answer = await api.call<Answer>(
    'DescribeAvailableResource',
    request,
    callOfPart(signal, options.call_ms),
  )
  const zones = answer?.availableZones?.availableZone ?? []
  const supported = zones
    .filter((zone) => zone.zoneId === zoneId)
    .flatMap(({ availableResources }) => availableResources?.availableResource ?? [])
    .flatMap(({ supportedResources }) => supportedResources?.supportedResource ?? [])
  // Sold out for good is not offered; sold out for now will come again.
  const sold = supported.filter(({ statusCategory }) => statusCategory !== 'ClosedWithoutStock')
  return new Map(sold.map((each) => [each.value ?? '', isOut(each) ? 0 : null]))
}

interface Supported {
  value?: string
  status?: string
  statusCategory?: string
}
const isOut = ({ status, statusCategory }: Supported) =>
  status === 'SoldOut' || statusCategory === 'WithoutStock'

/** On demand, which is the same in every zone, or the market of a zone; null: it is not sold. */
async function priceOf(
  { api, options, prices }: Asker,
  instanceType: string,
  zoneId: string | null,
  signal: AbortSignal,
): Promise<Quote | null> {
  const key = `${instanceType}/${zoneId}`
  const now_ms = options.clock.now().getTime()
  const known = prices.get(key)
  if (known && now_ms - known.at_ms < price_ms) return known.quote
  const request = {
    regionId: options.region,
    resourceType: 'instance',
    instanceType,
    imageId: options.image_id,
    systemDisk: { category: options.disk_category, size: options.disk_gib },
    priceUnit: 'Hour',
    amount: 1,
    ...(zoneId === null ? onDemand : { ...spot, zoneId }),
  }
  type Answer = { priceInfo?: { price?: { currency?: string; tradePrice?: number } } }
  const bound = callOfPart(signal, options.call_ms)
  const answer = await api.call<Answer>('DescribePrice', request, bound).catch((error: ProviderError) => {
    // It is in the stock of this zone, and in no price list.
    if (error.code === 'capacity' || error.code === 'rejected') return null
    throw error
  })
  const { currency = '', tradePrice = 0 } = answer?.priceInfo?.price ?? {}
  const quote = tradePrice > 0 ? { amount: tradePrice, currency, at_ms: now_ms } : null
  prices.set(key, { quote, at_ms: now_ms })
  return quote
}
