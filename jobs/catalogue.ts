// The offers as placement reads them: what does not depend on the work is computed once for each set of offers. Pure.
import type { Offer } from '../providers/provider.ts'
import { usdToMicros } from './cost.ts'
import { historyKey } from './expect.ts'

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
  /** As its maker says it; 0 without one. */
  gpu_memory_gib: number
  compute_capability: number
  usd_micros_per_hour: number
}
/** In the order of their names, so that the order in which vendors list them decides nothing. */
export type Catalogue = readonly Readonly<Entry>[]

export function catalogueOf(offers: readonly Offer[]): Catalogue {
  const models = new Map<string, Model>()
  const known = (name: string) => {
    const model = models.get(name) ?? modelOf(name)
    models.set(name, model)
    return model
  }
  const entries = offers.map((offer) => entryOf(offer, known)).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const [index, entry] of entries.entries()) entry.index = index
  return entries
}

/** A catalogue of these offers: the last one where they are the same, so that who has seen it knows. */
export function keepCatalogue(): (offers: readonly Offer[]) => Catalogue {
  let kept: { text: string; catalogue: Catalogue } | null = null
  return (offers) => {
    const text = JSON.stringify(offers)
    if (kept?.text !== text) kept = { text, catalogue: catalogueOf(offers) }
    return kept.catalogue
  }
}

function entryOf(offer: Offer, model_of: (name: string) => Model): Entry {
  const { provider, account, region, id, spot, gpu, usd_per_hour } = offer
  const gpu_memory_gib = gpu ? nominal(gpu.memory_gib) : 0
  const place = `${provider}/${account}/${id}`
  return {
    offer,
    index: 0,
    name: `${provider}/${account}/${region}/${id}/${spot}`,
    account: `${provider}/${account}`,
    place,
    open: `offer:${place}`,
    launching: `launching:${place}`,
    history: historyKey(provider, account, id),
    model: gpu ? withMemory(model_of(gpu.model), gpu_memory_gib) : null,
    gpu_memory_gib,
    compute_capability: capabilityOf(gpu?.compute_capability ?? null),
    usd_micros_per_hour: usdToMicros(usd_per_hour),
  }
}

/** Sizes of GPUs' memory on the market, GiB. */
const sizes_gib = [4, 6, 8, 10, 11, 12, 16, 20, 24, 32, 40, 48, 64, 80, 94, 96, 141, 143, 180, 192, 288]
/** Drivers show less: 23.99 GiB of an RTX 4090's 24, 22.49 of an L4's 24, 15 of a T4's 16 with its error correction. */
const shownShare = 0.93

/** What the maker says, and who asks for a GPU: 24 for a GPU whose driver shows 22.49. */
function nominal(shown_gib: number): number {
  return sizes_gib.find((size) => shown_gib <= size && shown_gib >= size * shownShare) ?? shown_gib
}

/** A model of GPU by any of the names that vendors and people give it. */
export interface Model {
  /** `rtx4090`, `a100`. */
  key: string
  /** What tells its kinds apart, as far as the name says: `80gb`, `sxm`. */
  variants: readonly string[]
}

// Words of names that say nothing about the model: "NVIDIA GeForce RTX 4090", "NVIDIA RTX 6000 Ada Generation",
// "NVIDIA RTX PRO 6000 Blackwell Server Edition", "NVIDIA-L4-SHARED", "NVIDIA H100 80GB HBM3".
const empty =
  /^(nvidia|geforce|tesla|generation|blackwell|server|workstation|edition|max|q|shared|hbm\w*|ac)$/
const variant = /^(pcie|sxm|nvl|mig|\d+g|\d+gb)$/

export function modelOf(name: string): Model {
  const words = name
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .map((word) => word.replace(/^sxm\d$/, 'sxm'))
    .filter((word) => word !== '' && !empty.test(word))
  const key = words.filter((word) => !variant.test(word)).join('')
  return {
    // "RTX A4000" and "A4000" are one.
    key: key.replace(/^rtxa(?=\d)/, 'a'),
    variants: words.filter((word) => variant.test(word)),
  }
}

const withMemory = ({ key, variants }: Model, memory_gib: number): Model => ({
  key,
  variants: [...variants, `${memory_gib}gb`],
})

/** Whether a GPU is what was asked for: of that model, and of that kind where one was named. */
export const isModel = (asked: Model, has: Model | null): boolean =>
  has !== null && asked.key === has.key && asked.variants.every((each) => has.variants.includes(each))

/** 0: not known. */
export const capabilityOf = (text: string | null): number => Number(text ?? 0)
