// Offers of pods: a GPU type, so many of them, one cloud, one data center or any, on demand or interruptible. Pure.
import { gpuNamed } from '../gpus.ts'
import type { Offer } from '../provider.ts'
import type { Quote } from './api.ts'
import { type Cloud, clouds, type RunpodProviderOptions } from './options.ts'

export interface Shape {
  gpu_type: string
  count: number
  cloud: Cloud
  /** null: RunPod chooses. */
  data_center: string | null
}

/** Where RunPod chooses among its own data centers; machines of the community are in none. */
const anywhere: Readonly<Record<Cloud, string>> = { secure: 'any', community: 'community' }

/** `NVIDIA GeForce RTX 4090/1/secure`; the region is the data center. */
const idOf = ({ gpu_type, count, cloud }: Shape): string => `${gpu_type}/${count}/${cloud}`

/** null: it is none of this adapter. */
export function shapeOf({ id, region }: Pick<Offer, 'id' | 'region'>): Shape | null {
  const [, gpu_type = '', count = '', in_cloud = ''] = /^([\w .+-]{1,80})\/(\d{1,2})\/(\w+)$/.exec(id) ?? []
  const cloud = clouds.find((each) => each === in_cloud)
  if (!cloud) return null
  return { gpu_type, count: Number(count), cloud, data_center: region === anywhere[cloud] ? null : region }
}

/** Calls of one reading: one for each place by GraphQL, one for each cloud by REST. */
export const callsOf = ({ transport, clouds, data_centers }: RunpodProviderOptions): number =>
  transport === 'graphql' ? clouds.length + (data_centers?.length ?? 1) - 1 : clouds.length

/** GB of a container disk cost this much a month. https://docs.runpod.io/pods/pricing */
const disk_usd_per_gb_month = 0.1
/** The price list does not say how long a month is. */
const month_h = 730

export const diskPrice = (disk_gb: number): number => (disk_gb * disk_usd_per_gb_month) / month_h

/** What SkyPilot asks for with each GPU, and gets: 4 vCPUs, and as much memory as the GPU has. */
const cpuOfGpu = 4
const gib_of_gb = 1e9 / 1024 ** 3

export function offersOf(quotes: readonly Quote[], options: RunpodProviderOptions): Offer[] {
  return quotes.flatMap((quote): Offer[] => {
    const { price, bid, cloud, data_center, count } = quote
    const { bid_factor, disk_gb, account } = options
    const offer = (spot: boolean, per_gpu: number): Offer => ({
      id: idOf(quote),
      provider: 'runpod',
      account,
      region: data_center ?? anywhere[cloud],
      spot,
      usd_per_hour: micros(per_gpu * count + diskPrice(disk_gb)),
      gpu: {
        model: quote.name,
        count,
        memory_gib: quote.memory_gib,
        compute_capability: capabilityOf(quote.gpu_type),
      },
      cpu: quote.cpu ?? cpuOfGpu * count,
      memory_gib: Math.floor((quote.memory ?? quote.memory_gib * count) * gib_of_gb),
      disk_gib: Math.floor(disk_gb * gib_of_gb),
      // "High", "Low": how many is not told.
      available: quote.in_stock ? null : 0,
      slots: null,
      price: {
        source: spot ? 'RunPod bid' : 'RunPod list price',
        at: options.clock.now().toISOString(),
        live: true,
      },
    })
    const bids = bid === null ? [] : [offer(true, Math.min(price, bid * bid_factor))]
    return [offer(false, price), ...bids]
  })
}

/** USD an hour for each GPU, out of the price that the offer had: a repeated launch bids the same. */
export function bidOf(
  { usd_per_hour, spot }: Pick<Offer, 'usd_per_hour' | 'spot'>,
  { count }: Shape,
  disk_gb: number,
): number | null {
  return spot ? micros((usd_per_hour - diskPrice(disk_gb)) / count) : null
}

const micros = (usd: number): number => Math.round(usd * 1e6) / 1e6

/** null: a GPU that is newer than the list of models. */
export const capabilityOf = (gpu_type: string): string | null =>
  gpuNamed(gpu_type)?.compute_capability ?? null
