// The pass: claim -> observe -> decide -> commit -> act. Bounded in rows; run by a timer, a call or a nudge.
import type { Observation, Offer, ProviderTraits } from '../providers/provider.ts'
import { act } from './act.ts'
import { usdToMicros } from './cost.ts'
import { decide } from './decide.ts'
import { type Deps, topics } from './deps.ts'
import { newId, vendorName } from './ids.ts'
import { observe } from './observe.ts'
import { lookEvery_s } from './pace.ts'
import { place, type Ranking } from './place.ts'
import { metering_s } from './bounds.ts'
import { after, type Plan, type Snapshot } from './plan.ts'
import {
  type Claimed,
  claimDue,
  claimQueue,
  giveBack,
  lookForWork,
  orGiveBack,
  release,
  renewReplica,
} from './store/claim.ts'
import { commitDecisions } from './store/commit.ts'
import { commitRest, type Rest } from './store/rest.ts'
import { busySlots, type Facts, loadFacts, slotKey } from './store/snapshot.ts'

/** Shards that are claimed at once: a few seconds of work at a slow database, if something has happened to all. */
const claimBatch = 100
/**
 * Rounds of each claim in one pass: through what is due until little is left, then through the queue, where each round
 * places at least one shard or blocks at least one shape.
 */
const maxRounds = 50

export interface Pass {
  /** Shards that were decided. */
  decided: number
  /** Resolves when every call of this pass was made and recorded. */
  calls: Promise<unknown>
}

/**
 * One pass of one replica. Several at once are safe, in one process and in many. A caller that has renewed the
 * replica's row within the last seconds may say so.
 */
export async function runPass(deps: Deps, replica: string, renewed = false): Promise<Pass> {
  const calls: Promise<void>[] = []
  if (!renewed) await renewReplica(deps.db, replica, deps.clock.now())
  const { found, held } = await lookForWork(deps.db, deps.clock.now())
  if (!found) return { decided: 0, calls: Promise.resolve() }
  const token = () => Buffer.from(deps.random(12)).toString('base64url')
  let decided = 0
  for (let round = 0; round < maxRounds; round++) {
    const due = await claimDue(deps.db, replica, token(), deps.clock.now(), claimBatch)
    if (due.length > 0) decided += await settle(deps, due, await placement(deps, held), calls)
    if (due.length < claimBatch) break
  }
  const blocked = new Set<string>()
  for (let round = 0; round < maxRounds && !held; round++) {
    const options = { limit: claimBatch, blocked_shapes: [...blocked] }
    const heads = await claimQueue(deps.db, replica, token(), deps.clock.now(), options)
    if (heads.length === 0) break
    const places = await placement(deps, held)
    decided += await settle(deps, heads, places, calls)
    for (const shape of places.blocked) blocked.add(shape)
  }
  return { decided, calls: Promise.all(calls) }
}

interface Places {
  /** After a restore nothing is launched for a while. */
  held: boolean
  offers: readonly Offer[]
  busy: Map<string, number>
  /** Shapes that found no place in this round. */
  blocked: Set<string>
}

async function placement(deps: Deps, held: boolean): Promise<Places> {
  return { held, offers: deps.offers(), busy: await busySlots(deps.db), blocked: new Set() }
}

async function settle(
  deps: Deps,
  claimed: readonly Claimed[],
  places: Places,
  calls: Promise<void>[],
): Promise<number> {
  if (claimed.length === 0) return 0
  const { facts, sight } = await orGiveBack(deps, claimed, () => look(deps, claimed))
  const resting: Rest[] = []
  for (const each of facts) {
    try {
      const rest = await orGiveBack(deps, [each.claimed], () => settleOne(deps, each, sight, places, calls))
      if (rest) resting.push(rest)
    } catch (error) {
      // One that cannot be decided, or a connection that broke: the others are decided all the same.
      deps.log('error', 'a shard was not decided', { shard: each.shard.id, error: String(error) })
      places.blocked.add(each.shard.shape_hash)
    }
  }
  await leave(deps, resting)
  // A claimed shard whose rows are gone would stay leased until its lease ends.
  const known = new Set(facts.map(({ shard }) => shard.id))
  await release(
    deps.db,
    claimed.filter(({ shard_id }) => !known.has(shard_id)),
  )
  return facts.length
}

async function look(deps: Deps, claimed: readonly Claimed[]): Promise<{ facts: Facts[]; sight: Sight }> {
  const facts = await loadFacts(deps.db, claimed, deps.clock.now())
  const attempts = facts.flatMap((each) => each.attempts.map(({ row }) => row))
  const asked_at = deps.clock.now()
  return { facts, sight: { asked_at, seen: await observe(deps, attempts) } }
}

/** What the providers said, and when they were asked. */
interface Sight {
  asked_at: Date
  seen: ReadonlyMap<string, Observation>
}

/** Decides one shard; answers with what is to be written when there is nothing to do but to look again. */
async function settleOne(
  deps: Deps,
  facts: Facts,
  sight: Sight,
  places: Places,
  calls: Promise<void>[],
): Promise<Rest | null> {
  const now = deps.clock.now()
  const { claimed, job, shard } = facts
  const snapshot = snapshotOf(deps, facts, sight, places)
  const plan = decide(snapshot, now)
  const launches = plan.changes.some(({ change }) => change === 'launch')
  if (shard.state === 'waiting' && !launches) places.blocked.add(shard.shape_hash)
  const { facts_version } = shard
  if (plan.changes.length === 0 && plan.calls.length === 0)
    return { claimed, facts_version, due_at: plan.due_at }
  const commit = { claimed, job_id: job.id, facts_version, plan }
  const done = await commitDecisions({ ...deps, public_url: deps.settings.public_url }, commit, now)
  if (done === 'over_budget') {
    await park(deps, facts, now)
    return null
  }
  if (done === 'stale') {
    // Decided on old facts, or the slot was taken: nothing was written, and the next pass decides anew.
    if (launches) places.blocked.add(shard.shape_hash)
    await release(deps.db, [claimed])
    deps.waker.wake(topics.pass)
    return null
  }
  for (const change of plan.changes)
    if (change.change === 'launch') take(places, change.attempt.request.offer)
  if (plan.changes.length > 0) {
    deps.waker.wake(topics.job(job.id))
    deps.waker.wake(topics.webhooks)
    deps.waker.wake(topics.pass)
  }
  if (plan.calls.length > 0) calls.push(act(deps, claimed, plan.calls, snapshot))
  return null
}

/** Writes what needs no more than another look; what was told meanwhile is decided by the next pass. */
async function leave(deps: Deps, resting: readonly Rest[]): Promise<void> {
  const claimed = resting.map((rest) => rest.claimed)
  const left = await orGiveBack(deps, claimed, () => commitRest(deps.db, resting))
  const told = claimed.filter(({ shard_id }) => !left.has(shard_id))
  if (told.length === 0) return
  await giveBack(deps, told)
  deps.waker.wake(topics.pass)
}

/** No budget has room: the shard waits, with that reason, and looks again once a metering period. */
async function park(deps: Deps, { claimed, job, shard }: Facts, now: Date): Promise<void> {
  const plan: Plan = {
    changes: [{ change: 'park', reason: 'budget', not_before: after(now, metering_s) }],
    calls: [],
    due_at: shard.due_at,
  }
  const commit = { claimed, job_id: job.id, facts_version: shard.facts_version, plan }
  const done = await commitDecisions({ ...deps, public_url: deps.settings.public_url }, commit, now)
  if (done !== 'done') await release(deps.db, [claimed])
}

function snapshotOf(deps: Deps, facts: Facts, sight: Sight, places: Places): Snapshot {
  const { job, shard } = facts
  const now = deps.clock.now()
  const attempt_id = newId('att', now, deps.random)
  const traits_of = (provider: string, account: string): ProviderTraits =>
    deps.providers.find((each) => each.name === provider && each.account === account)?.traits ?? unknownTraits
  return {
    job,
    shard,
    asked_at: sight.asked_at,
    look_s: lookEvery_s([...places.busy.values()].reduce((sum, open) => sum + open, 0)),
    attempts: facts.attempts.map((each) => ({
      ...each,
      traits: traits_of(each.row.provider, each.row.account),
      seen: sight.seen.get(each.row.id) ?? null,
    })),
    spent_micros: facts.spent_micros,
    ranking: shard.state === 'waiting' && !places.held ? rank(facts, places, shard.excluded_providers) : null,
    fresh: {
      attempt_id,
      name: vendorName(deps.installation, attempt_id),
      nonce: Buffer.from(deps.random(16)).toString('base64url'),
      installation: deps.installation,
      berth_url: deps.settings.berth_url(),
    },
    elsewhere: (provider) => {
      const { ranked, can_wait } = rank(facts, places, [...shard.excluded_providers, provider])
      return ranked.length > 0 || can_wait
    },
    traits_of,
  }
}

function rank({ job, spent_micros }: Facts, places: Places, excluded_providers: readonly string[]): Ranking {
  const { resources, placement: wishes, budget_usd } = job.spec
  return place(
    {
      resources,
      placement: wishes,
      excluded_providers,
      budget_micros: budget_usd === undefined ? null : usdToMicros(budget_usd) - spent_micros,
    },
    places.offers,
    (offer) => places.busy.get(slotKey(offer.provider, offer.account, offer.id)) ?? 0,
  )
}

function take(places: Places, offer: Offer) {
  const key = slotKey(offer.provider, offer.account, offer.id)
  places.busy.set(key, (places.busy.get(key) ?? 0) + 1)
}

/** Of an account that is not configured any more: it cannot be asked, and nothing is concluded from that. */
const unknownTraits: ProviderTraits = {
  launch_token: false,
  inspect_batch: 1,
  list_lag_ms: 3_600_000,
  boot_bound_s: 3_600,
  min_billing_s: 0,
  dead_man_min_s: 0,
  calls_per_s: 1,
  billing: 'modelled',
}
