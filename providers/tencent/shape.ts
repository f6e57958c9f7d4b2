// What a node of a pool has for work, what parts of it are offered, and how an offer is named. Pure.
import { gpuNamed } from '../gpus.ts'
import type { Offer } from '../provider.ts'
import type { FamilyGpu } from './options.ts'

/** A whole node, or an equal part of it. */
export interface Part {
  pool: string
  type: string
  /** Of the node: 1 is all of it. */
  of: number
  /** The pool has other instance types too, so that the type has to be asked for. */
  mixed: boolean
}

/** `np-1a2b3c4d/GN7.2XLARGE32/1`, and `...:mixed`. */
export const partId = ({ pool, type, of, mixed }: Part): string =>
  `${pool}/${type}/${of}${mixed ? ':mixed' : ''}`

export function partOf(offer: Pick<Offer, 'id'>): Part | null {
  const found = /^(np-[a-z0-9]{4,20})\/([\w.-]{1,40})\/(\d{1,2})(:mixed)?$/.exec(offer.id)
  if (!found) return null
  const [, pool = '', type = '', of = '', mixed] = found
  return { pool, type, of: Number(of), mixed: mixed !== undefined }
}

/** What a card of one of the models is; the memory tells which of its sizes. */
export const cardOf = (model: string, memory_gib: number): FamilyGpu => ({
  model,
  memory_gib,
  compute_capability: gpuNamed(model, memory_gib)?.compute_capability ?? null,
})

/** By family, from https://cloud.tencent.com/document/product/560/19700. */
const families: Readonly<Record<string, FamilyGpu>> = {
  GN7: cardOf('T4', 16),
  GN7VW: cardOf('T4', 16),
  GN8: cardOf('P40', 24),
  GN10X: cardOf('V100', 32),
  GN10XP: cardOf('V100', 32),
  GNV4: cardOf('A10', 24),
  PNV4: cardOf('A10', 24),
  PNV5B: cardOf('L20', 48),
  GT4: cardOf('A100', 40),
}

/** Of a family that nobody has named its own name stands for the model, and its memory is not told (0). */
export function gpuOfFamily(type: string, own: Readonly<Record<string, FamilyGpu>> = {}): FamilyGpu {
  const family = type.split('.')[0] ?? ''
  return (
    own[family] ??
    families[family.toUpperCase()] ?? { model: family, memory_gib: 0, compute_capability: null }
  )
}

/**
 * What Kubernetes can give to pods: less than what the instance has, by what TKE keeps for the node
 * (https://cloud.tencent.com/document/product/457/48777) and by what the node's own agents ask for.
 */
export function roomOf(node: { cpu: number; memory_gib: number }): { cpu: number; memory_gib: number } {
  const cpu = node.cpu - stepped(node.cpu, cpuSteps) - agents.cpu
  const memory_gib =
    node.memory_gib - stepped(node.memory_gib, memorySteps) - eviction_gib - agents.memory_gib
  return { cpu: Math.max(0, cpu), memory_gib: Math.max(0, memory_gib) }
}

/** Up to this much, this share; the first step of CPU is a fixed tenth. */
const cpuSteps = [
  [4, 0.1 / 4],
  [64, 0.025],
  [128, 0.0125],
  [Infinity, 0.005],
] as const
const memorySteps = [
  [4, 0.25],
  [8, 0.2],
  [16, 0.1],
  [128, 0.06],
  [Infinity, 0.02],
] as const
const eviction_gib = 100 / 1024
/** kube-proxy, the network and disk plug-ins, monitoring: requests of TKE's own DaemonSets, with some to spare. */
const agents = { cpu: 0.5, memory_gib: 1 }

function stepped(amount: number, steps: readonly (readonly [number, number])[]): number {
  let [kept, from] = [0, 0]
  for (const [to, share] of steps) {
    kept += Math.max(0, Math.min(amount, to) - from) * share
    from = to
  }
  return kept
}

/** Into how many equal parts a node is offered: by its GPUs, or so that 2 CPUs and 2 GiB are left. */
export function divisionsOf(gpus: number, room: { cpu: number; memory_gib: number }): number[] {
  const fits = (of: number) => room.cpu / of >= 1 && room.memory_gib / of >= 1
  if (gpus > 0) return [1, 2, 4, 8, 16].filter((of) => gpus % of === 0 && fits(of))
  return [1, 2, 4, 8].filter((of) => of === 1 || (room.cpu / of >= 2 && room.memory_gib / of >= 2))
}
