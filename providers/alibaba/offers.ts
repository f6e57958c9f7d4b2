// What the account can start: its instance types in its zones, on demand and spot, with stock and price.
import type { ProviderError } from '../errors.ts'
import type { Offer } from '../provider.ts'
import { type Api, pagesOf } from './api.ts'
import { failure } from './errors.ts'
import { spotDuration_h } from './launch.ts'
import type { AlibabaProviderOptions } from './options.ts'
import { bidOf, gpuOf, type InstanceType, shapeId } from './shape.ts'

/** Of what one call may name. */
const types_most = 10
/** Prices on demand change a few times a year, the market's within hours; offers are asked for twice a minute. */
const price_ms = 5 * 60_000
/** What the machine itself keeps: system, driver, images of containers. */
const system = { disk_gib: 30, memory_gib: 1 }

/** An hour of one instance with its disk, in the currency of the account. */
interface Price {
  amount: number
  currency: string
}
/** What was asked for lately. */
export type Prices = Map<string, { price: Price | null; at_ms: number }>
type Asker = { api: Api; options: AlibabaProviderOptions; prices: Prices }
type Market = { spotStrategy: 'NoSpot' } | { spotStrategy: 'SpotWithPriceLimit'; spotDuration: number }

const onDemand: Market = { spotStrategy: 'NoSpot' }
const spot: Market = { spotStrategy: 'SpotWithPriceLimit', spotDuration: spotDuration_h }

export async function allOffers(asker: Asker, signal: AbortSignal): Promise<Offer[]> {
  const { options } = asker
  const types = await typesOf(asker, signal)
  const offers: Offer[] = []
  for (const market of options.spot ? [onDemand, spot] : [onDemand])
    for (const { zone } of options.vswitches) {
      const stock = await stockOf(asker, zone, market, signal)
      for (const type of types) {
        const available = stock.get(type.instanceTypeId ?? '')
        if (available === undefined) continue
        const offer = await offerOf(asker, { type, zone, market, available }, signal)
        if (offer) offers.push(offer)
      }
    }
  return offers
}

interface Candidate {
  type: InstanceType
  zone: string
  market: Market
  available: number | null
}

/** null: it has no price, or a GPU that nobody has named. */
async function offerOf(
  asker: Asker,
  { type, zone, market, available }: Candidate,
  signal: AbortSignal,
): Promise<Offer | null> {
  const { account, region, gpus, disk_gib, bid_multiple } = asker.options
  const name = type.instanceTypeId ?? ''
  const gpu = gpuOf(type, gpus)
  const listed = gpu === undefined ? null : await priceOf(asker, name, null, signal)
  if (gpu === undefined || !listed) return null
  const isSpot = market !== onDemand
  const price = isSpot ? await priceOf(asker, name, zone, signal) : listed
  if (!price) return null
  const bid = isSpot ? bidOf(listed.amount, bid_multiple) : null
  return {
    id: shapeId({ type: name, zone, bid }),
    provider: 'alibaba',
    account,
    region,
    spot: isSpot,
    ...inUsd(asker.options, price),
    gpu,
    cpu: type.cpuCoreCount ?? 1,
    memory_gib: Math.max(1, Math.floor((type.memorySize ?? 0) - system.memory_gib)),
    disk_gib: Math.max(1, disk_gib - system.disk_gib),
    // A bid below the market starts nothing.
    available: bid !== null && bid < price.amount ? 0 : available,
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
  const answer = await api.call<Answer>('DescribeAvailableResource', request, signal)
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
): Promise<Price | null> {
  const key = `${instanceType}/${zoneId}`
  const now_ms = options.clock.now().getTime()
  const known = prices.get(key)
  if (known && now_ms - known.at_ms < price_ms) return known.price
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
  const answer = await api.call<Answer>('DescribePrice', request, signal).catch((error: ProviderError) => {
    // It is in the stock of this zone, and in no price list.
    if (error.code === 'capacity' || error.code === 'rejected') return null
    throw error
  })
  const { currency = '', tradePrice = 0 } = answer?.priceInfo?.price ?? {}
  const price = tradePrice > 0 ? { amount: tradePrice, currency } : null
  prices.set(key, { price, at_ms: now_ms })
  return price
}

/** Throws ProviderError rejected where nobody has said what the account's money is worth. */
function inUsd(
  { cny_per_usd, clock }: AlibabaProviderOptions,
  { amount, currency }: Price,
): Pick<Offer, 'usd_per_hour' | 'price'> {
  const at = clock.now().toISOString()
  if (currency === 'USD') return { usd_per_hour: roundUp(amount), price: { source: 'DescribePrice', at } }
  if (currency !== 'CNY') throw failure('rejected', 'DescribePrice answers in a currency that is not known')
  if (!cny_per_usd)
    throw failure(
      'rejected',
      'prices of this account are in CNY: name the rate and its date in cny_per_usd, like { "rate": 7.1, "at": "2026-11-01" }',
    )
  const { rate } = cny_per_usd
  const source = `DescribePrice, ${amount} CNY/h at ${rate} of ${cny_per_usd.at}`
  return { usd_per_hour: roundUp(amount / rate), price: { source, at } }
}

/** To whole micro-dollars, upwards as everything that is billed. */
const roundUp = (usd: number): number => Math.ceil(Number((usd * 1e6).toFixed(3))) / 1e6
