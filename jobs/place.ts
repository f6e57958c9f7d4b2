// Which offers can take work, best first, with a reason for every other. Pure: estimate and explain show this
// computation, and the pass launches what it answers.
import { isModel, modelOf } from '../providers/gpus.ts'
import type { Offer } from '../providers/provider.ts'
import { stopGrace_s } from './bounds.ts'
import { capabilityOf, type Catalogue, type Entry } from './catalogue.ts'
import { type Expectation, expectedMicros } from './expect.ts'
import type { RememberedCode } from './memory.ts'
import type { Policy } from './policy.ts'
import type { JobSpec, Placement, Resources } from './spec.ts'

/** Reasons in the order in which they are looked for, as a user reads them. */
export const rejections = {
  policy: "the project's policy does not allow it",
  provider: 'placement.providers does not name its provider',
  region: 'placement.regions does not name its region',
  no_image: 'it runs containers, and no image is set for this kind of job',
  no_containers: 'it runs no containers, and this kind of job is an image',
  spot: 'placement.spot does not allow it',
  price: 'it costs more than placement.max_usd_per_hour',
  device: 'it has not the device that was asked for',
  gpu_model: 'its GPU is none of resources.gpu.models',
  gpu_unknown: 'nobody knows whether its GPU runs CUDA: name it in resources.gpu.models to take it',
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
  throttled: 'its provider was asked too often, and is left alone for a moment',
  unavailable: 'its provider does not answer',
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
  'throttled',
  'unavailable',
  'limit',
  'busy',
])

/** Offers that are kept of a ranking; nobody reads more, and a launch needs one. */
const kept = 20
/** Examples of each reason. */
const maxExamples = 3

export interface Rejected {
  reason: RejectionReason
  count: number
  /** The first by name. */
  examples: Offer[]
  /** `provider/account` of all of them, by name. */
  accounts: string[]
}
export interface Ranked {
  offer: Offer
  /** null: nobody can tell. */
  expected: Expectation | null
  expected_micros: number | null
}
export interface Ranking {
  /** Admissible and free, best first, at most twenty. */
  ranked: Ranked[]
  rejected: Rejected[]
  /** Whether an offer was rejected only for reasons that pass. */
  can_wait: boolean
}

export interface Wanted {
  kind: JobSpec['kind']
  resources: Resources
  placement: Placement
  /** null: the project has none. */
  policy: Policy | null
  /** Why its place cannot run work of this kind at all. */
  unfit: (offer: Offer) => RejectionReason | null
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
  load: (entry: Entry) => number
  /** What its provider refused it for lately. */
  refused: (entry: Entry) => RememberedCode | null
  /** Whether a limit is reached. */
  limited: (entry: Entry) => boolean
  /** Seconds that the work should take there; null: nobody can tell. */
  expected_s: (entry: Entry) => number | null
  /** How that is known. */
  basis: (entry: Entry) => Expectation['basis']
  min_billing_s: (entry: Entry) => number
}

/** What a budget must pay for at least: a second of work and the stop after it. */
export const shortestRun_s = 1 + stopGrace_s

export function place(wanted: Wanted, offers: Catalogue, market: Market): Ranking {
  const ruledOut = rulesOf(wanted)
  const isBetter = comparing(wanted, market)
  const best: Candidate[] = []
  const rejected = new Map<RejectionReason, Rejected>()
  for (const entry of offers) {
    const ruled = ruledOut(entry)
    const seconds = ruled ? null : market.expected_s(entry)
    const reason = ruled ?? poor(wanted, entry, market) ?? late(wanted, seconds) ?? now(wanted, entry, market)
    if (reason) reject(rejected, reason, entry)
    else keep(best, { entry, seconds, micros: microsOf(entry, seconds, market) }, isBetter)
  }
  return {
    ranked: best.map(({ entry, seconds, micros }) => ({
      offer: entry.offer,
      expected: seconds === null ? null : { duration_s: seconds, basis: market.basis(entry) },
      expected_micros: micros,
    })),
    rejected: [...rejected.values()],
    can_wait: [...rejected.keys()].some((reason) => passing.has(reason)),
  }
}

interface Candidate {
  entry: Entry
  seconds: number | null
  micros: number | null
}

function microsOf(entry: Entry, seconds: number | null, market: Market): number | null {
  return seconds === null
    ? null
    : expectedMicros(entry.usd_micros_per_hour, seconds, market.min_billing_s(entry))
}

function reject(
  rejected: Map<RejectionReason, Rejected>,
  reason: RejectionReason,
  { offer, account }: Entry,
) {
  const known = rejected.get(reason)
  if (!known) return void rejected.set(reason, { reason, count: 1, examples: [offer], accounts: [account] })
  known.count++
  if (known.examples.length < maxExamples) known.examples.push(offer)
  // Entries come in the order of their names.
  if (known.accounts.at(-1) !== account) known.accounts.push(account)
}

/** Puts a candidate where it belongs among the best, if it does. Of equals the first stays first. */
function keep(best: Candidate[], candidate: Candidate, isBetter: (a: Candidate, b: Candidate) => boolean) {
  const worst = best.at(-1)
  if (best.length === kept && worst && !isBetter(candidate, worst)) return
  let at = best.length
  for (let other = best[at - 1]; other && isBetter(candidate, other); other = best[at - 1]) at--
  best.splice(at, 0, candidate)
  if (best.length > kept) best.pop()
}

/**
 * Why an offer can never take the work, whatever runs and is in stock: in the order in which a user would fix it,
 * rules, wishes, shape, money. null: it can.
 */
export function rulesOf(wanted: Wanted): (entry: Entry) => RejectionReason | null {
  const policy = wanted.policy && forbidding(wanted.policy)
  const wishes = wishing(wanted.placement)
  const shape = shaping(wanted.resources)
  const gpu = wanted.resources.gpu && gpuShape(wanted.resources.gpu)
  const takesStrange = !wantsGpu(wanted.resources) || wanted.resources.gpu?.models !== undefined
  // Of an hour's price: shortestRun_s are what the budget must pay for.
  const most_micros =
    wanted.budget_micros === null ? Infinity : (wanted.budget_micros * 3_600) / shortestRun_s
  return (entry) => {
    const { offer } = entry
    if (policy && policy(offer)) return 'policy'
    const reason = wishes(offer) ?? wanted.unfit(offer) ?? shape(offer) ?? (gpu && gpu(entry))
    if (!reason && entry.is_strange && !takesStrange) return 'gpu_unknown'
    return reason ?? (entry.usd_micros_per_hour > most_micros ? 'budget' : null)
  }
}

/**
 * Whether a job names one GPU (`cuda:N`) and all offers that it may go to are of clouds, where machines come and go and
 * a number means nothing.
 */
export function namesCloudGpu(
  { resources, placement, policy }: Pick<Wanted, 'resources' | 'placement' | 'policy'>,
  offers: Catalogue,
): boolean {
  if (!resources.device.startsWith('cuda:')) return false
  const [forbids, wishes] = [policy && forbidding(policy), wishing(placement)]
  const open = offers.filter(({ offer }) => !forbids?.(offer) && !wishes(offer))
  return open.length > 0 && open.every(({ offer }) => offer.slots === null)
}

function forbidding({ providers, regions, spot, max_usd_per_hour = Infinity }: Policy) {
  const [inProviders, inRegions] = [among(providers), among(regions)]
  return (offer: Offer): boolean =>
    !inProviders(offer.provider) ||
    !inRegions(offer.region) ||
    (spot === 'never' && offer.spot) ||
    (spot === 'only' && !offer.spot) ||
    offer.usd_per_hour > max_usd_per_hour
}

function wishing({ providers, regions, spot, max_usd_per_hour = Infinity }: Placement) {
  const inProviders = among(providers)
  const inRegions = regions?.includes('*') ? among(undefined) : among(regions)
  return (offer: Offer): RejectionReason | null => {
    if (!inProviders(offer.provider)) return 'provider'
    if (!inRegions(offer.region)) return 'region'
    if (spot !== 'allow' && spot !== (offer.spot ? 'only' : 'never')) return 'spot'
    return offer.usd_per_hour > max_usd_per_hour ? 'price' : null
  }
}

const wantsGpu = ({ gpu, device }: Resources): boolean => gpu !== null || device.startsWith('cuda')

/** Whether something is named; undefined names everything. */
function among(names: readonly string[] | undefined): (name: string) => boolean {
  if (!names) return () => true
  const known = new Set(names)
  return (name) => known.has(name)
}

function shaping({ device, cpu, memory_gib, disk_gib }: Resources) {
  const [wantsGpu, wantsNone, names] = [
    device.startsWith('cuda'),
    device === 'cpu',
    device.startsWith('cuda:'),
  ]
  return (offer: Offer): RejectionReason | null => {
    if (offer.gpu ? wantsNone || (names && offer.id !== device) : wantsGpu) return 'device'
    if (offer.cpu < cpu) return 'cpu'
    if (offer.memory_gib < memory_gib) return 'memory'
    return offer.disk_gib < disk_gib ? 'disk' : null
  }
}

function gpuShape(wanted: NonNullable<Resources['gpu']>): (entry: Entry) => RejectionReason | null {
  const models = wanted.models?.map(modelOf)
  const least = capabilityOf(wanted.compute_capability ?? null)
  return ({ offer: { gpu }, model, gpu_memory_gib, compute_capability }) => {
    if (!gpu || gpu.count < wanted.count) return 'gpu_count'
    if (models && !models.some((asked) => isModel(asked, model))) return 'gpu_model'
    if (wanted.memory_gib !== undefined && gpu_memory_gib < wanted.memory_gib) return 'gpu_memory'
    return compute_capability < least ? 'compute_capability' : null
  }
}

/** Some vendors bill more than the shortest run. */
function poor({ budget_micros }: Wanted, entry: Entry, market: Market): RejectionReason | null {
  if (budget_micros === null) return null
  const least = expectedMicros(entry.usd_micros_per_hour, shortestRun_s, market.min_billing_s(entry))
  return least > budget_micros ? 'budget' : null
}

function late({ deadline_s }: Wanted, seconds: number | null): RejectionReason | null {
  return deadline_s !== null && seconds !== null && seconds > deadline_s ? 'deadline' : null
}

/** What passes by itself or by somebody's doing, after what says that this work was refused there. */
function now(wanted: Wanted, entry: Entry, market: Market): RejectionReason | null {
  const { provider, available } = entry.offer
  if (wanted.excluded_providers.includes(provider)) return 'tried'
  if (available !== null && available <= 0) return 'no_stock'
  const refused = market.refused(entry)
  if (refused) return refused
  if (market.limited(entry)) return 'limit'
  return market.load(entry) >= 1 ? 'busy' : null
}

/**
 * By what the user optimises, and where nobody can tell how long it takes, by price. Ties: work that asks for no GPU
 * leaves the GPUs to others; training takes the largest memory; then the least loaded. Equals keep their order.
 */
function comparing({ kind, resources, placement }: Wanted, market: Market) {
  const leavesGpus = !wantsGpu(resources)
  const speed = placement.optimize === 'speed'
  const wantsMemory = largestMemory.has(kind)
  const memoryOf = ({ gpu_memory_gib }: Entry) => (wantsMemory ? gpu_memory_gib : 0)
  const gpuOf = ({ offer: { gpu } }: Entry) => (gpu && leavesGpus ? 1 : 0)
  return (a: Candidate, b: Candidate): boolean => {
    // Offers whose duration is known come first: otherwise the order would not be one.
    if (a.seconds === null || b.seconds === null) if (a.seconds !== b.seconds) return a.seconds !== null
    const time = (a.seconds ?? 0) - (b.seconds ?? 0)
    const cost = (a.micros ?? 0) - (b.micros ?? 0)
    const order =
      (speed ? time || cost : cost || time) ||
      a.entry.offer.usd_per_hour - b.entry.offer.usd_per_hour ||
      gpuOf(a.entry) - gpuOf(b.entry) ||
      memoryOf(b.entry) - memoryOf(a.entry) ||
      market.load(a.entry) - market.load(b.entry)
    return order < 0
  }
}

/** Kinds whose models grow into whatever memory there is. */
const largestMemory: ReadonlySet<string> = new Set(['training'])
