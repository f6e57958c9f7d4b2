// What a pass, an estimate and an explanation know of the offers: counts, refusals, limits, policies, durations.
import type { Offer, ProviderTraits } from '../providers/provider.ts'
import type { Deps } from './deps.ts'
import { expect, type History, signatureOf } from './expect.ts'
import { type Bound, boundsOf, countKey, readLimits } from './limits.ts'
import { type Market, place, type Ranking, type Wanted } from './place.ts'
import { type Policy, readPolicies } from './policy.ts'
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
} from './store/open.ts'

export interface Places {
  offers: readonly Offer[]
  open: OpenCounts
  memory: Memory
  limits: ReadonlyMap<string, number>
  policies: Map<string, Policy | null>
  /** By project and signature. */
  histories: Map<string, History>
  traits_of: (provider: string, account: string) => ProviderTraits
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
}

export async function loadPlaces(deps: Deps): Promise<Places> {
  return {
    offers: deps.offers(),
    open: await countPlaced(deps.db),
    memory: await readMemory(deps.db),
    limits: await readLimits(deps.db),
    policies: new Map(),
    histories: new Map(),
    traits_of: traitsOf(deps),
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
  for (const { project_id, spec, part } of work) {
    const signature = signatureOf(spec, part)
    const key = `${project_id}/${signature}`
    if (!places.histories.has(key)) asked.set(key, { project_id, signature })
  }
  const histories = await readHistories(deps.db, [...asked.values()])
  for (const key of asked.keys()) places.histories.set(key, histories.get(key) ?? new Map())
}

/** The ranking of the offers for work that was loaded. Pure. */
export function rank(places: Places, work: Work, now: Date): Ranking {
  const { spec, project_id } = work
  const { deadline_at } = spec
  const wanted: Wanted = {
    kind: spec.kind,
    resources: spec.resources,
    placement: spec.placement,
    policy: places.policies.get(project_id) ?? null,
    excluded_providers: work.excluded_providers,
    budget_micros: work.allowance_micros,
    deadline_s: deadline_at === null ? null : (Date.parse(deadline_at) - now.getTime()) / 1_000,
  }
  return place(wanted, places.offers, marketFor(places, work, now))
}

/** Whether there is something to forget when a launch succeeds there. */
export const hasRefused = ({ memory }: Places, offer: Offer): boolean =>
  memory.has(accountKey(offer)) || memory.has(offerKey(offer))

/** The limits that a launch must still keep when it is committed. */
export function boundsFor(places: Places, work: Pick<Work, 'project_id' | 'spec'>, offer: Offer): Bound[] {
  return boundsOf(places.limits, { project_id: work.project_id, kind: work.spec.kind }, offer)
}

/** Counts a launch that was committed. */
export function take(places: Places, work: Pick<Work, 'project_id' | 'spec'>, offer: Offer): void {
  const { provider, account, id: offer_id } = offer
  const { project_id, spec } = work
  countLaunch(places.open, { provider, account, offer_id, kind: spec.kind, project_id })
}

function marketFor(places: Places, { project_id, spec, part }: Work, now: Date): Market {
  const { open, memory } = places
  const history = places.histories.get(`${project_id}/${signatureOf(spec, part)}`) ?? new Map()
  const traits = (offer: Offer) => places.traits_of(offer.provider, offer.account)
  const key = (offer: Offer) => `${offer.provider}/${offer.account}/${offer.id}`
  return {
    load: (offer) => (offer.slots === null ? 0 : (open.get(`offer:${key(offer)}`) ?? 0) / offer.slots),
    refused(offer) {
      for (const known of [memory.get(accountKey(offer)), memory.get(offerKey(offer))]) {
        if (!known) continue
        // When the time is up one launch finds out; the others wait for what it says.
        const trying = (open.get(`launching:${key(offer)}`) ?? 0) > 0
        if (now < known.blocked_until || trying) return known.code
      }
      return null
    },
    limited: (offer) =>
      boundsFor(places, { project_id, spec }, offer).some(
        (bound) => (open.get(countKey(bound, spec.kind, offer)) ?? 0) >= bound.max_running,
      ),
    expected: (offer) => expect({ spec, part }, offer, history, traits(offer).boot_s),
    min_billing_s: (offer) => traits(offer).min_billing_s,
  }
}

/** The traits of an account; those of one that is not configured any more bind nothing. */
export function traitsOf(
  deps: Pick<Deps, 'providers'>,
): (provider: string, account: string) => ProviderTraits {
  return (provider, account) =>
    deps.providers.find((each) => each.name === provider && each.account === account)?.traits ?? unknownTraits
}

/** Of an account that is not configured any more: it cannot be asked, and nothing is concluded from that. */
const unknownTraits: ProviderTraits = {
  launch_token: false,
  inspect_batch: 1,
  list_lag_ms: 3_600_000,
  boot_s: 60,
  boot_bound_s: 3_600,
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 1,
  billing: 'modelled',
}
