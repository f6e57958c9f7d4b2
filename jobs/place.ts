import type { Offer } from '../providers/provider.ts'
import { usdToMicros } from './cost.ts'
import { stopGrace_s } from './bounds.ts'
import type { Placement, Resources } from './spec.ts'

export const rejectionReasons = [
  'provider',
  'region',
  'spot',
  'price',
  'device',
  'gpu_model',
  'gpu_count',
  'gpu_memory',
  'compute_capability',
  'cpu',
  'memory',
  'disk',
  'budget',
  'tried',
  'no_stock',
  'busy',
] as const
export type RejectionReason = (typeof rejectionReasons)[number]
/** Reasons that pass by themselves; all others need another offer or another spec. */
const passing: readonly RejectionReason[] = ['no_stock', 'busy']

export interface Rejection {
  reason: RejectionReason
  offer: Offer
}
export interface Ranking {
  /** Admissible and free, best first. */
  ranked: Offer[]
  rejected: Rejection[]
  /** Whether an offer was rejected only for reasons that pass. */
  can_wait: boolean
}
export interface Wanted {
  resources: Resources
  placement: Placement
  /** Providers that refused this work or must not be tried again. */
  excluded_providers: readonly string[]
  /** What the job may still spend; null: no bound. */
  budget_micros: number | null
}

/** What a budget must pay for at least: a second of work and the stop after it. */
export const shortestRun_s = 1 + stopGrace_s

/** Which offers can take this work, best first, with a reason for every other. Pure. */
export function place(wanted: Wanted, offers: readonly Offer[], busy: (offer: Offer) => number): Ranking {
  const ranked: Offer[] = []
  const rejected: Rejection[] = []
  for (const offer of offers) {
    const reason = rejection(wanted, offer, busy(offer))
    if (reason) rejected.push({ reason, offer })
    else ranked.push(offer)
  }
  ranked.sort((a, b) => compare(wanted, a, b, busy))
  return { ranked, rejected, can_wait: rejected.some(({ reason }) => passing.includes(reason)) }
}

// Reasons in the order in which a user would fix them: wishes, then shape, then money, then what passes.
function rejection(wanted: Wanted, offer: Offer, busy: number): RejectionReason | null {
  return wishes(wanted.placement, offer) ?? shape(wanted.resources, offer) ?? now(wanted, offer, busy)
}

function wishes(placement: Placement, offer: Offer): RejectionReason | null {
  if (placement.providers && !placement.providers.includes(offer.provider)) return 'provider'
  if (placement.regions && !placement.regions.some((region) => region === '*' || region === offer.region))
    return 'region'
  if (placement.spot !== (offer.spot ? 'only' : 'never') && placement.spot !== 'allow') return 'spot'
  if (placement.max_usd_per_hour !== undefined && offer.usd_per_hour > placement.max_usd_per_hour)
    return 'price'
  return null
}

function shape(resources: Resources, offer: Offer): RejectionReason | null {
  const { device } = resources
  if (device === 'cpu' && offer.gpu) return 'device'
  if (device.startsWith('cuda') && !offer.gpu) return 'device'
  if (device.startsWith('cuda:') && offer.id !== device) return 'device'
  if (offer.cpu < resources.cpu) return 'cpu'
  if (offer.memory_gib < resources.memory_gib) return 'memory'
  if (offer.disk_gib < resources.disk_gib) return 'disk'
  return resources.gpu ? gpuShape(resources.gpu, offer) : null
}

function gpuShape(gpu: NonNullable<Resources['gpu']>, offer: Offer): RejectionReason | null {
  if (!offer.gpu || offer.gpu.count < gpu.count) return 'gpu_count'
  if (gpu.models && !gpu.models.some((model) => sameModel(model, offer.gpu?.model ?? ''))) return 'gpu_model'
  if (gpu.memory_gib !== undefined && offer.gpu.memory_gib < gpu.memory_gib) return 'gpu_memory'
  if (gpu.compute_capability && capability(offer.gpu.compute_capability) < capability(gpu.compute_capability))
    return 'compute_capability'
  return null
}

function now(wanted: Wanted, offer: Offer, busy: number): RejectionReason | null {
  const least_micros = (usdToMicros(offer.usd_per_hour) * shortestRun_s) / 3_600
  if (wanted.budget_micros !== null && wanted.budget_micros < least_micros) return 'budget'
  if (wanted.excluded_providers.includes(offer.provider)) return 'tried'
  if (offer.available !== null && offer.available <= 0) return 'no_stock'
  if (offer.slots !== null && busy >= offer.slots) return 'busy'
  return null
}

// Ties: work that asks for no GPU leaves the GPUs to others; then the least loaded; then a fixed order, so
// that permuting the offers changes nothing.
function compare(wanted: Wanted, a: Offer, b: Offer, busy: (offer: Offer) => number): number {
  const wantsGpu = wanted.resources.gpu !== null || wanted.resources.device.startsWith('cuda')
  const idleGpu = (offer: Offer) => (offer.gpu && !wantsGpu ? 1 : 0)
  const load = (offer: Offer) => (offer.slots ? busy(offer) / offer.slots : 0)
  const key = (offer: Offer) => `${offer.provider}/${offer.account}/${offer.region}/${offer.id}/${offer.spot}`
  return (
    a.usd_per_hour - b.usd_per_hour ||
    idleGpu(a) - idleGpu(b) ||
    load(a) - load(b) ||
    (key(a) < key(b) ? -1 : 1)
  )
}

const sameModel = (a: string, b: string) => normal(a) === normal(b)
const normal = (model: string) =>
  model
    .toLowerCase()
    .replace(/nvidia|geforce|tesla/g, '')
    .replace(/[^a-z0-9]/g, '')
const capability = (text: string | null) => Number(text ?? 0)
