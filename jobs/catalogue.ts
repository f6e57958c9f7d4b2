// The offers as placement reads them: what does not depend on the work is computed once for each set of offers. Pure.
import type { GpuModel } from '../providers/gpu-models.ts'
import { gpuNamed, isNvidia, type Model, modelOf } from '../providers/gpus.ts'
import type { Offer } from '../providers/provider.ts'
import { usdToMicros } from './cost.ts'
import { historyKey } from './history.ts'

export interface Entry {
  offer: Offer
  /** Its place in the catalogue. */
  index: number
  /** `provider/account/region/offer/spot`: entries are sorted by it, and refusals are remembered by it. */
  name: string
  /** `provider/account`. */
  account: string
  /** `provider/account/offer`. */
  place: string
  /** What open attempts there are counted by (store/open.ts). */
  open: string
  launching: string
  /** What durations are remembered by. */
  history: string
  /** Of its GPU; null without one. */
  model: Model | null
  /** What the catalogue of models knows of it; null: it has no GPU, or one that is not there. */
  known: GpuModel | null
  /** Whether it has a GPU of which nobody can tell that it runs CUDA: it is taken by who names it. */
  is_strange: boolean
  /** As its maker says it; 0 without one. */
  gpu_memory_gib: number
  compute_capability: number
  usd_micros_per_hour: number
}
/** In the order of their names, so that the order in which vendors list them decides nothing. */
export type Catalogue = readonly Readonly<Entry>[]

export function catalogueOf(offers: readonly Offer[]): Catalogue {
  const seen = new Map<string, Read>()
  const read = (gpu: Gpu) => {
    const memory_gib = nominal(gpu.memory_gib)
    const key = `${gpu.model}/${memory_gib}`
    const found = seen.get(key) ?? {
      memory_gib,
      model: withMemory(modelOf(gpu.model), memory_gib),
      known: gpuNamed(gpu.model, memory_gib),
    }
    seen.set(key, found)
    return found
  }
  const entries = offers.map((offer) => entryOf(offer, read)).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const [index, entry] of entries.entries()) entry.index = index
  return entries
}

/**
 * A catalogue of these offers: the last one where they are the same, so that who has seen it knows. How old a price is decides nothing:
 * it is renewed in the catalogue that is there.
 */
export function keepCatalogue(): (offers: readonly Offer[]) => Catalogue {
  let kept: { text: string; catalogue: Catalogue } | null = null
  return (offers) => {
    const text = JSON.stringify(offers.map(({ price, ...offer }) => [offer, price && { ...price, at: null }]))
    if (kept?.text !== text) kept = { text, catalogue: catalogueOf(offers) }
    else renew(kept.catalogue, offers)
    return kept.catalogue
  }
}

function renew(catalogue: Catalogue, offers: readonly Offer[]) {
  const renewed = new Map(offers.map((offer) => [nameOf(offer), offer]))
  for (const entry of catalogue as readonly Entry[]) entry.offer = renewed.get(entry.name) ?? entry.offer
}

const nameOf = ({ provider, account, region, id, spot }: Offer) =>
  `${provider}/${account}/${region}/${id}/${spot}`

type Gpu = NonNullable<Offer['gpu']>
/** A GPU as its name and memory tell of it. */
interface Read {
  memory_gib: number
  model: Model
  known: GpuModel | null
}

function entryOf(offer: Offer, read: (gpu: Gpu) => Read): Entry {
  const { provider, account, id, gpu, usd_per_hour } = offer
  const place = `${provider}/${account}/${id}`
  return {
    offer,
    index: 0,
    name: nameOf(offer),
    account: `${provider}/${account}`,
    place,
    open: `offer:${place}`,
    launching: `launching:${place}`,
    history: historyKey(provider, account, id),
    ...(gpu ? gpuOf(gpu, read(gpu)) : noGpu),
    usd_micros_per_hour: usdToMicros(usd_per_hour),
  }
}

type OfGpu = Pick<Entry, 'model' | 'known' | 'is_strange' | 'gpu_memory_gib' | 'compute_capability'>

const noGpu: OfGpu = { model: null, known: null, is_strange: false, gpu_memory_gib: 0, compute_capability: 0 }

function gpuOf(gpu: Gpu, { memory_gib, model, known }: Read): OfGpu {
  // What the vendor says of this machine comes first.
  const capability = gpu.compute_capability ?? known?.compute_capability ?? null
  const is_strange = capability === null && (known !== null || !isNvidia(gpu.model))
  const compute_capability = capabilityOf(capability)
  return { model, known, is_strange, gpu_memory_gib: memory_gib, compute_capability }
}

/** Sizes of GPUs' memory on the market, GiB. */
const sizes_gib = [4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 141, 143, 180, 192, 288]
/** Drivers show less: 23.99 GiB of an RTX 4090's 24, 22.49 of an L4's 24, 15 of a T4's 16 with its error correction. */
const shownShare = 0.93

/** What the maker says, and who asks for a GPU: 24 for a GPU whose driver shows 22.49. */
function nominal(shown_gib: number): number {
  return sizes_gib.find((size) => shown_gib <= size && shown_gib >= size * shownShare) ?? shown_gib
}

const withMemory = ({ key, variants }: Model, memory_gib: number): Model => ({
  key,
  variants: [...variants, `${memory_gib}gb`],
})

/** 0: not known. */
export const capabilityOf = (text: string | null): number => Number(text ?? 0)
