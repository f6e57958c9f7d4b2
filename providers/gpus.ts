// GPUs by whatever name they are told of: one way of reading names for adapters, placement and people. Pure.
import { type GpuModel, gpuModels } from './gpu-models.ts'

/** A model of GPU by any of the names that vendors and people give it. */
export interface Model {
  /** `rtx4090`, `a100`. */
  key: string
  /** What tells its kinds apart, as far as the name says: `80gb`, `sxm`. */
  variants: readonly string[]
}

// Words of names that say nothing about the model: "NVIDIA GeForce RTX 4090", "NVIDIA RTX 6000 Ada Generation",
// "NVIDIA RTX PRO 6000 Blackwell Server Edition", "NVIDIA-L4-SHARED", "NVIDIA H100 80GB HBM3", "AMD Instinct MI300X OAM".
const empty =
  /^(nvidia|geforce|tesla|generation|blackwell|server|workstation|edition|max|q|shared|hbm\w*|ac|amd|instinct|oam)$/
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

/** Whether a GPU is what was asked for: of that model, and of that kind where one was named. */
export const isModel = (asked: Model, has: Model | null): boolean =>
  has !== null && asked.key === has.key && asked.variants.every((each) => has.variants.includes(each))

/** Names of one cloud's own are told apart by letters and digits alone. */
const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]+/g, '')

const byName = new Map(
  gpuModels.flatMap((model) =>
    [...Object.values(model.names).flat(), model.name].map((name): [string, GpuModel] => [
      plain(name),
      model,
    ]),
  ),
)
const byKey = Map.groupBy(gpuModels, ({ name }) => modelOf(name).key)

/**
 * The model that a name means; null: the catalogue has none. Where the name does not say which kind, it is the one with that memory,
 * and of those the slowest.
 */
export function gpuNamed(name: string, memory_gib?: number): GpuModel | null {
  const fits = (model: GpuModel) => memory_gib === undefined || model.memory_gib.includes(memory_gib)
  const exact = byName.get(plain(name))
  if (exact && fits(exact)) return exact
  const { key, variants } = modelOf(name)
  const kinds = byKey.get(key) ?? []
  const said = kinds.filter((model) => {
    const has = [...modelOf(model.name).variants, ...model.memory_gib.map((size) => `${size}gb`)]
    return variants.every((each) => has.includes(each))
  })
  return said.find(fits) ?? said[0] ?? kinds.find(fits) ?? kinds[0] ?? null
}

/** Whether a name says that it is a GPU of NVIDIA's, whichever: only those run CUDA. */
export const isNvidia = (name: string): boolean => /\b(nvidia|geforce|tesla|quadro|rtx|gtx)\b/i.test(name)
