// Which offers can take work, best first, with a reason for every other. Pure: estimate and explain show this
// computation, and the pass launches what it answers.
import type { Offer } from '../providers/provider.ts'
import { stopGrace_s } from './bounds.ts'
import { usdToMicros } from './cost.ts'
import { type Expectation, expectedMicros } from './expect.ts'
import type { Policy } from './policy.ts'
import type { JobSpec, Placement, Resources } from './spec.ts'

/** Reasons in the order in which they are looked for, as a user reads them. */
export const rejections = {
  policy: "the project's policy does not allow it",
  provider: 'placement.providers does not name its provider',
  region: 'placement.regions does not name its region',
  spot: 'placement.spot does not allow it',
  price: 'it costs more than placement.max_usd_per_hour',
  device: 'it has not the device that was asked for',
  gpu_model: 'its GPU is none of resources.gpu.models',
  gpu_count: 'it has fewer GPUs than resources.gpu.count',
  gpu_memory: 'its GPU has less memory than resources.gpu.memory_gib',
  compute_capability: 'its GPU is older than resources.gpu.compute_capability',
  cpu: 'it has fewer CPUs than resources.cpu',
  memory: 'it has less memory than resources.memory_gib',
  disk: 'it has less disk than resources.disk_gib',
  budget: 'what is left of budget_usd does not pay for it',
  deadline: 'it could not finish before deadline_at',
  tried: 'its provider refused this work',
  no_stock: 'its provider says that it is out of stock',
  capacity: 'it was out of stock when it was last asked',
  quota: "the account's quota is used up",
  balance: "the account's balance is used up",
  unauthorized: "the account's credentials were refused",
  limit: 'as many run there as the limits allow',
  busy: 'all of its slots are taken',
} as const
export type RejectionReason = keyof typeof rejections
/** Reasons that pass by themselves or by somebody's doing; all others need another offer or another spec. */
export const passing: ReadonlySet<RejectionReason> = new Set([
  'no_stock',
  'capacity',
  'quota',
  'balance',
  'unauthorized',
  'limit',
  'busy',
])

export interface Rejection {
  reason: RejectionReason
  offer: Offer
}
export interface Ranked {
  offer: Offer
  /** null: nobody can tell. */
  expected: Expectation | null
  expected_micros: number | null
}
export interface Ranking {
  /** Admissible and free, best first. */
  ranked: Ranked[]
  rejected: Rejection[]
  /** Whether an offer was rejected only for reasons that pass. */
  can_wait: boolean
}

export interface Wanted {
  kind: JobSpec['kind']
  resources: Resources
  placement: Placement
  /** null: the project has none. */
  policy: Policy | null
  /** Providers that refused this work or must not be tried again. */
  excluded_providers: readonly string[]
  /** What the job may still spend; null: no bound. */
  budget_micros: number | null
  /** Seconds until the deadline; null: none. */
  deadline_s: number | null
}

/** What is known of the offers at the moment. */
export interface Market {
  /** Share of an offer's slots that is taken, at least 1 when none is free; 0 where stock decides. */
  load: (offer: Offer) => number
  /** What its provider refused it for lately. */
  refused: (offer: Offer) => 'capacity' | 'quota' | 'balance' | 'unauthorized' | null
  /** Whether a limit is reached. */
  limited: (offer: Offer) => boolean
  expected: (offer: Offer) => Expectation | null
  min_billing_s: (offer: Offer) => number
}

/** What a budget must pay for at least: a second of work and the stop after it. */
export const shortestRun_s = 1 + stopGrace_s

export function place(wanted: Wanted, offers: readonly Offer[], market: Market): Ranking {
  const ranked: Ranked[] = []
  const rejected: Rejection[] = []
  for (const offer of offers) {
    const ruled = rules(wanted, offer)
    const expected = ruled ? null : market.expected(offer)
    const reason = ruled ?? late(wanted, expected) ?? now(wanted, offer, market)
    if (reason) rejected.push({ reason, offer })
    else ranked.push({ offer, expected, expected_micros: microsOf(offer, expected, market) })
  }
  ranked.sort((a, b) => compare(wanted, market, a, b))
  return { ranked, rejected, can_wait: rejected.some(({ reason }) => passing.has(reason)) }
}

function microsOf(offer: Offer, expected: Expectation | null, market: Market): number | null {
  return expected && expectedMicros(offer, expected, market.min_billing_s(offer))
}

// In the order in which a user would fix them: rules, wishes, shape, money, what passes.
function rules(wanted: Wanted, offer: Offer): RejectionReason | null {
  if (wanted.policy && forbids(wanted.policy, offer)) return 'policy'
  return wishes(wanted.placement, offer) ?? shape(wanted.resources, offer) ?? money(wanted, offer)
}

/**
 * Whether a job names one GPU (`cuda:N`) and all offers that it may go to are of clouds, where machines come and go and
 * a number means nothing.
 */
export function namesCloudGpu(
  wanted: Pick<Wanted, 'resources' | 'placement' | 'policy'>,
  offers: readonly Offer[],
) {
  if (!wanted.resources.device.startsWith('cuda:')) return false
  const open = offers.filter(
    (offer) => !(wanted.policy && forbids(wanted.policy, offer)) && !wishes(wanted.placement, offer),
  )
  return open.length > 0 && open.every(({ slots }) => slots === null)
}

function forbids(policy: Policy, offer: Offer): boolean {
  return (
    (policy.providers !== undefined && !policy.providers.includes(offer.provider)) ||
    (policy.regions !== undefined && !policy.regions.includes(offer.region)) ||
    (policy.spot === 'never' && offer.spot) ||
    (policy.spot === 'only' && !offer.spot) ||
    (policy.max_usd_per_hour !== undefined && offer.usd_per_hour > policy.max_usd_per_hour)
  )
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

function money({ budget_micros }: Wanted, offer: Offer): RejectionReason | null {
  const least_micros = (usdToMicros(offer.usd_per_hour) * shortestRun_s) / 3_600
  return budget_micros !== null && budget_micros < least_micros ? 'budget' : null
}

function late({ deadline_s }: Wanted, expected: Expectation | null): RejectionReason | null {
  return deadline_s !== null && expected && expected.duration_s > deadline_s ? 'deadline' : null
}

function now(wanted: Wanted, offer: Offer, market: Market): RejectionReason | null {
  if (wanted.excluded_providers.includes(offer.provider)) return 'tried'
  if (offer.available !== null && offer.available <= 0) return 'no_stock'
  const refused = market.refused(offer)
  if (refused) return refused
  if (market.limited(offer)) return 'limit'
  return market.load(offer) >= 1 ? 'busy' : null
}

/**
 * By what the user optimises, and where nobody can tell how long it takes, by price. Ties: work that asks for no GPU
 * leaves the GPUs to others; training takes the largest memory; then the least loaded; then a fixed order, so that
 * permuting the offers changes nothing.
 */
function compare(wanted: Wanted, market: Market, a: Ranked, b: Ranked): number {
  const [left, right] = [keysOf(wanted, market, a), keysOf(wanted, market, b)]
  for (const [index, key] of left.entries()) if (key !== right[index]) return key - (right[index] ?? 0)
  return nameOf(a.offer) < nameOf(b.offer) ? -1 : 1
}

function keysOf({ kind, resources, placement }: Wanted, market: Market, ranked: Ranked): number[] {
  const { offer, expected, expected_micros } = ranked
  const wantsGpu = resources.gpu !== null || resources.device.startsWith('cuda')
  const time = expected?.duration_s ?? 0
  const cost = expected_micros ?? 0
  return [
    // Offers whose duration is known come first: otherwise the order would not be one.
    expected ? 0 : 1,
    ...(placement.optimize === 'speed' ? [time, cost] : [cost, time]),
    offer.usd_per_hour,
    offer.gpu && !wantsGpu ? 1 : 0,
    largestMemory.has(kind) ? -(offer.gpu?.memory_gib ?? 0) : 0,
    market.load(offer),
  ]
}

const nameOf = ({ provider, account, region, id, spot }: Offer) =>
  `${provider}/${account}/${region}/${id}/${spot}`

/** Kinds whose models grow into whatever memory there is. */
const largestMemory: ReadonlySet<string> = new Set(['training'])

export const sameModel = (a: string, b: string) => normal(a) === normal(b)
const normal = (model: string) =>
  model
    .toLowerCase()
    .replace(/nvidia|geforce|tesla/g, '')
    .replace(/[^a-z0-9]/g, '')
const capability = (text: string | null) => Number(text ?? 0)
