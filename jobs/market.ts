// What a pass, an estimate and an explanation know of the offers: counts, refusals, limits, policies, durations.
import type { Offer, ProviderTraits } from '../providers/provider.ts'
import type { Catalogue, Entry } from './catalogue.ts'
import { type Container, containerOf, fitting } from './containers.ts'
import type { Deps } from './deps.ts'
import { expecting } from './expect.ts'
import type { History } from './history.ts'
import { type Bound, boundsOf, countKey, readLimits } from './limits.ts'
import type { Remembered } from './memory.ts'
import { datasetOf, signatureOf } from './kinds/kind.ts'
import { type Market, place, type Ranking, rulesOf, type Wanted } from './place.ts'
import { allowsImage, type Policy, readPolicies } from './policy.ts'
import type { Part } from './shards.ts'
import type { JobSpec } from './spec.ts'
import {
  accountKey,
  countLaunch,
  countPlaced,
  type Memory,
  offerKey,
  type OpenCounts,
  readHistories,
  readMemory,
  readRows,
} from './store/open.ts'
import { unknownTraits } from './unknown-traits.ts'

export interface Places {
  offers: Catalogue
  open: OpenCounts
  memory: Memory
  /** What is remembered of each offer of the catalogue: of its account first. */
  refusals: () => readonly (readonly Remembered[])[]
  limits: ReadonlyMap<string, number>
  policies: Map<string, Policy | null>
  /** By project and signature. */
  histories: Map<string, History>
  /** Rows of datasets, by id; null: the file does not tell. */
  rows: Map<string, number | null>
  traits_of: (provider: string, account: string) => ProviderTraits
  /** What a container of the work is started with; null: no image is named for it. */
  container_of: (spec: JobSpec) => Container | null
  /** Calls of an account that are under way or wait for it. */
  calls_of: (account: string) => number
  /** Launches by account that were decided and wait for their commit. */
  decided: Map<string, number>
  signature_of: (work: Pick<Work, 'spec' | 'part'>) => string
}

/** Work that looks for a place. */
export interface Work {
  project_id: string
  /** What a shard of it asks for (shardSpec). */
  spec: JobSpec
  part: Part
  excluded_providers: readonly string[]
  /** Micro-dollars that its next attempt may cost; null: no bound. */
  allowance_micros: number | null
  /** Where it was computed already. */
  signature?: string
}

export async function loadPlaces(deps: Deps): Promise<Places> {
  const [offers, memory] = [deps.offers(), await readMemory(deps.db)]
  return {
    offers,
    open: await countPlaced(deps.db),
    memory,
    refusals: remembering(offers, memory),
    limits: await readLimits(deps.db),
    policies: new Map(),
    histories: new Map(),
    rows: new Map(),
    traits_of: traitsOf(deps),
    container_of: (spec) => containerOf(spec, deps.settings),
    calls_of: deps.lanes.calls,
    decided: new Map(),
    signature_of: signing(),
  }
}

/** How old the market may be that a submit is estimated by: a change is counted some milliseconds before it is there. */
const oldest_ms = 1_000
/** Not more than this part of the time is spent on loading it, where every moment something changes. */
const loadingShare = 100

/**
 * The market for estimates, which need not be of this very moment: loaded anew where something has changed, going by
 * the count of changes that the caller has read, and a moment later where loading it takes long.
 */
export function createMarket(deps: Deps): (changes: number) => Promise<Places> {
  let known: { places: Places; changes: number; at_ms: number; took_ms: number } | null = null
  return async (changes) => {
    const at_ms = deps.clock.now().getTime()
    if (known && known.places.offers === deps.offers()) {
      const most_ms =
        known.changes >= changes ? oldest_ms : Math.min(oldest_ms, loadingShare * known.took_ms - 1)
      if (at_ms - known.at_ms <= most_ms) return known.places
    }
    const places = await loadPlaces(deps)
    known = { places, changes, at_ms, took_ms: deps.clock.now().getTime() - at_ms }
    return places
  }
}

/** Loads what placing this work needs beside the places; once for each project and signature. */
export async function loadWork(deps: Deps, places: Places, work: readonly Work[]): Promise<void> {
  const unknown = [...new Set(work.map(({ project_id }) => project_id))].filter(
    (id) => !places.policies.has(id),
  )
  const policies = await readPolicies(deps.db, unknown)
  for (const id of unknown) places.policies.set(id, policies.get(id) ?? null)
  const asked = new Map<string, { project_id: string; signature: string }>()
  for (const { project_id, spec, part, signature: known } of work) {
    const signature = known ?? places.signature_of({ spec, part })
    const key = `${project_id}/${signature}`
    if (!places.histories.has(key)) asked.set(key, { project_id, signature })
  }
  const histories = await readHistories(deps.db, [...asked.values()])
  for (const key of asked.keys()) places.histories.set(key, histories.get(key) ?? new Map())
  const unread = work.flatMap(({ spec }) => datasetOf(spec) ?? []).filter((id) => !places.rows.has(id))
  for (const [id, rows] of await readRows(deps.db, [...new Set(unread)])) places.rows.set(id, rows)
}

/** The ranking of the offers for work that was loaded. Pure. */
export function rank(places: Places, work: Work, now: Date): Ranking {
  return place(wantedOf(places, work, now), places.offers, marketFor(places, work, now))
}

/** When an offer that refused is asked again; null: none has, and when a slot comes free nobody knows. */
export function nextTry(places: Places, work: Work, now: Date): Date | null {
  const ruledOut = rulesOf(wantedOf(places, work, now))
  const times = places.offers.flatMap((entry) => {
    const known = blocking(places, entry, places.refusals()[entry.index] ?? none, now)
    return known && !ruledOut(entry) ? [known.blocked_until.getTime()] : []
  })
  return times.length === 0 ? null : new Date(Math.min(...times))
}

/** Computes each signature once: it is asked for several times, and is a hash of much. */
export function signing(): Places['signature_of'] {
  const known = new WeakMap<JobSpec, Map<string, string>>()
  return ({ spec, part }) => {
    const of_spec = known.get(spec) ?? new Map<string, string>()
    known.set(spec, of_spec)
    const key = `${part.role}/${part.of}`
    const signature = of_spec.get(key) ?? signatureOf(spec, part)
    of_spec.set(key, signature)
    return signature
  }
}

function wantedOf(places: Places, work: Work, now: Date): Wanted {
  const { spec, project_id } = work
  const { deadline_at } = spec
  const policy = places.policies.get(project_id) ?? null
  return {
    kind: spec.kind,
    resources: spec.resources,
    placement: spec.placement,
    policy,
    unfit: allowsImage(policy, spec) ? fitting(places.container_of(spec), places.traits_of) : () => 'policy',
    excluded_providers: work.excluded_providers,
    budget_micros: work.allowance_micros,
    deadline_s: deadline_at === null ? null : (Date.parse(deadline_at) - now.getTime()) / 1_000,
  }
}

/** Whether there is something to forget when a launch succeeds there. */
export const hasRefused = ({ memory }: Places, offer: Offer): boolean =>
  memory.has(accountKey(offer)) || memory.has(offerKey(offer))

/** Counts a launch that was decided, or (-1) one that was not committed. */
export function take(
  places: Places,
  work: Pick<Work, 'project_id' | 'spec'>,
  offer: Offer,
  by: 1 | -1 = 1,
): void {
  const { provider, account, id: offer_id } = offer
  const { project_id, spec } = work
  countLaunch(places.open, { provider, account, offer_id, kind: spec.kind, project_id }, by)
  const key = accountKey(offer)
  places.decided.set(key, (places.decided.get(key) ?? 0) + by)
}

/** Counts a launch that was committed: from now on its call counts. */
export function committed({ decided }: Places, offer: Offer): void {
  const key = accountKey(offer)
  decided.set(key, (decided.get(key) ?? 0) - 1)
}

/** Launches that may be ahead of their calls: a lease holds for longer, and others may find another place. */
const ahead_s = 10

/** How many more launches the account of an offer can be called for soon. */
export function callsFree({ traits_of, calls_of, decided }: Places, offer: Offer): number {
  const account = accountKey(offer)
  const { calls_per_s } = traits_of(offer.provider, offer.account)
  return Math.max(0, Math.ceil(calls_per_s * ahead_s) - calls_of(account) - (decided.get(account) ?? 0))
}

function marketFor(places: Places, work: Work, now: Date): Market {
  const { open } = places
  const { project_id, spec, part } = work
  const signature = work.signature ?? places.signature_of(work)
  const history = places.histories.get(`${project_id}/${signature}`) ?? new Map()
  const rows = places.rows.get(datasetOf(spec) ?? '') ?? null
  const { seconds, basis } = expecting({ spec, part, rows }, history)
  const traits_of = traitsByEntry(places)
  const calls_free = callsByEntry(places)
  const refusals = places.refusals()
  return {
    load: (entry) => {
      if (calls_free(entry) === 0) return 1
      const { slots } = entry.offer
      return slots === null ? 0 : (open.get(entry.open) ?? 0) / slots
    },
    refused: (entry) => {
      const known = refusals[entry.index]
      return known && known.length > 0 ? (blocking(places, entry, known, now)?.code ?? null) : null
    },
    limited: limiting(places, work),
    expected_s: (entry) => seconds(entry, traits_of(entry).boot_s),
    basis,
    min_billing_s: (entry) => traits_of(entry).min_billing_s,
  }
}

const none: readonly Remembered[] = []

/** Looks up every offer once, when the first work is placed. */
export function remembering(offers: Catalogue, memory: Memory): Places['refusals'] {
  let found: (readonly Remembered[])[] | null = null
  return () =>
    (found ??= offers.map(({ account, name }) => {
      const known = [memory.get(account), memory.get(name)].filter((each) => each !== undefined)
      return known.length > 0 ? known : none
    }))
}

/** What keeps an offer from being asked. When the time is up one launch finds out; the others wait for what it says. */
const blocking = ({ open }: Places, { launching }: Entry, known: readonly Remembered[], now: Date) =>
  known.find(({ blocked_until }) => now < blocked_until || (open.get(launching) ?? 0) > 0)

/** Whether a limit is reached: those of project and kind once for all offers, those of accounts once for each. */
function limiting(places: Places, { project_id, spec: { kind } }: Work): (entry: Entry) => boolean {
  const isReached = (bound: Bound, offer: Offer) =>
    (places.open.get(countKey(bound, kind, offer)) ?? 0) >= bound.max_running
  let last: { account: string; reached: boolean } | null = null
  return ({ account, offer }) => {
    if (offer.slots !== null)
      return boundsOf(places.limits, { project_id, kind }, offer).some((bound) => isReached(bound, offer))
    if (last?.account !== account) {
      const bounds = boundsOf(places.limits, { project_id, kind }, offer)
      last = { account, reached: bounds.some((bound) => isReached(bound, offer)) }
    }
    return last.reached
  }
}

function callsByEntry(places: Places): (entry: Entry) => number {
  let last: { account: string; free: number } | null = null
  return ({ account, offer }) => {
    if (last?.account !== account) last = { account, free: callsFree(places, offer) }
    return last.free
  }
}

function traitsByEntry({ traits_of }: Places): (entry: Entry) => ProviderTraits {
  // Offers of an account stand together.
  let last: { account: string; traits: ProviderTraits } | null = null
  return ({ account, offer }) => {
    if (last?.account !== account) last = { account, traits: traits_of(offer.provider, offer.account) }
    return last.traits
  }
}

/** The traits of an account; those of one that is not configured any more bind nothing. */
export function traitsOf(
  deps: Pick<Deps, 'providers'>,
): (provider: string, account: string) => ProviderTraits {
  return (provider, account) =>
    deps.providers.find((each) => each.name === provider && each.account === account)?.traits ?? unknownTraits
}
