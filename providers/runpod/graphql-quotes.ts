// Prices and stock by GraphQL: the lowest price of each GPU type, in each place and count.
import { askParts, callOfPart, type OfPart } from '../parts.ts'
import type { MissingPart } from '../provider.ts'
import type { Quote } from './api.ts'
import { lost } from './errors.ts'
import type { Ask } from './graphql.ts'
import { shapeOf } from './offers.ts'
import type { Cloud, RunpodProviderOptions } from './options.ts'

/** Prices are for each GPU, as bids are [not tried with several]. */
interface GqlPrice {
  uninterruptablePrice: number | null
  minimumBidPrice: number | null
  minVcpu: number | null
  minMemory: number | null
  /** null: not offered there. https://docs.runpod.io/sdks/graphql/manage-pods */
  stockStatus: string | null
}

type GqlGpuType = {
  id: string
  displayName: string | null
  manufacturer: string | null
  memoryInGb: number | null
  maxGpuCountSecureCloud: number | null
  maxGpuCountCommunityCloud: number | null
  securePrice: number | null
  communityPrice: number | null
} & Partial<Record<`of${number}`, GqlPrice | null>>

/** One request for each place. */
export async function quotes(
  ask: Ask,
  options: RunpodProviderOptions,
  signal: AbortSignal,
  missing?: (part: MissingPart) => void,
): Promise<Quote[]> {
  const { clouds, data_centers } = options
  const places = clouds.flatMap((cloud): [Cloud, string | null][] =>
    // Machines of the community are in no data center.
    cloud === 'secure' && data_centers ? data_centers.map((each) => [cloud, each]) : [[cloud, null]],
  )
  const parts = places.map(([cloud, data_center]) => ({
    name: data_center ?? `${cloud} cloud`,
    has(offer: OfPart) {
      const shape = shapeOf(offer)
      return shape?.cloud === cloud && shape.data_center === data_center
    },
    ask: (of: AbortSignal) => quotesOf(ask, options, { cloud, data_center }, callOfPart(of, options.call_ms)),
  }))
  return askParts(parts, { signal, missing })
}

async function quotesOf(
  ask: Ask,
  { gpu_counts, min_cuda }: RunpodProviderOptions,
  { cloud, data_center }: { cloud: Cloud; data_center: string | null },
  signal: AbortSignal,
): Promise<Quote[]> {
  const common = {
    secureCloud: cloud === 'secure',
    ...(data_center !== null && { dataCenterId: data_center }),
    ...(min_cuda !== undefined && { minCudaVersion: min_cuda }),
  }
  const variables = Object.fromEntries(
    gpu_counts.map((count) => [`of${count}`, { ...common, gpuCount: count }]),
  )
  const document = documentOf(gpu_counts)
  const { gpuTypes } = await ask<{ gpuTypes: GqlGpuType[] | null }>('gpuTypes', document, variables, signal)
  if (!gpuTypes) throw lost({ api: 'graphql', what: 'gpuTypes', mutates: false }, 'the answer is empty')
  return gpuTypes.flatMap((type) =>
    gpu_counts.flatMap((count) => quoteOf(type, count, cloud, data_center) ?? []),
  )
}

function documentOf(counts: readonly number[]): string {
  const parameters = counts.map((count) => `$of${count}: GpuLowestPriceInput`).join(', ')
  const prices = counts.map((count) => `of${count}: lowestPrice(input: $of${count}) { ...Price }`)
  return `query GpuTypes(${parameters}) {
  gpuTypes {
    id displayName manufacturer memoryInGb
    maxGpuCountSecureCloud maxGpuCountCommunityCloud securePrice communityPrice
    ${prices.join('\n    ')}
  }
}
fragment Price on LowestPrice { uninterruptablePrice minimumBidPrice minVcpu minMemory stockStatus }`
}

/** null: it is not sold there. Zeros are what is not. */
function quoteOf(type: GqlGpuType, count: number, cloud: Cloud, data_center: string | null): Quote | null {
  const isSecure = cloud === 'secure'
  const most = (isSecure ? type.maxGpuCountSecureCloud : type.maxGpuCountCommunityCloud) ?? 0
  // Others have no CUDA.
  if (count > most || !type.memoryInGb || !/nvidia/i.test(type.manufacturer ?? 'nvidia')) return null
  const of = type[`of${count}`]
  const price = of?.uninterruptablePrice || (isSecure ? type.securePrice : type.communityPrice)
  if (!price) return null
  const { id: gpu_type, displayName, memoryInGb: memory_gib } = type
  const name = displayName ?? gpu_type
  return { gpu_type, name, memory_gib, count, cloud, data_center, price, ...stockOf(of) }
}

const stockOf = (of: GqlPrice | null | undefined): Pick<Quote, 'bid' | 'in_stock' | 'cpu' | 'memory'> => ({
  bid: of?.minimumBidPrice || null,
  in_stock: Boolean(of?.stockStatus) && of?.stockStatus !== 'None',
  cpu: of?.minVcpu || null,
  memory: of?.minMemory || null,
})
