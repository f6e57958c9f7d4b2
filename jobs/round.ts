// One round of a pass: what was claimed is looked at and decided together, written in one commit, and acted upon.
import type { Observation } from '../providers/provider.ts'
import { act } from './act.ts'
import { decide } from './decide.ts'
import { type Deps, topics } from './deps.ts'
import { newId, vendorName } from './ids.ts'
import { observe } from './observe.ts'
import { committed, hasRefused, loadWork, rank, take } from './market.ts'
import { announce, isOutdated, launchOf, retract } from './launching.ts'
import { lookEvery_s } from './pace.ts'
import { metering_s } from './bounds.ts'
import { hearRefusals, type Placing } from './placing.ts'
import type { ShapedWork } from './rankings.ts'
import { allowance, shardSpec } from './shards.ts'
import { after, type Plan, type Snapshot } from './plan.ts'
import type { Commit } from './store/batch.ts'
import { type Claimed, giveBack, orGiveBack } from './store/claim.ts'
import { commitDecisions } from './store/commit.ts'
import { everything } from './store/open.ts'
import { commitRest, type Rest } from './store/rest.ts'
import { type Facts, loadFacts } from './store/snapshot.ts'

/** What the rounds of one pass share. */
export interface Rounds {
  deps: Deps
  replica: string
  /** After a restore nothing is launched for a while. */
  held: boolean
  /** What the last one placed by. */
  placing: Placing | null
  calls: Promise<void>[]
}

/** A round that was claimed and decided, and is still to be written. */
interface Prepared extends DecidedAll {
  claimed: readonly Claimed[]
  pass: Placing
  found: number
  /** Claimed, and without rows. */
  gone: Claimed[]
}

export async function prepare(
  { deps, held }: Rounds,
  claimed: readonly Claimed[],
  pass: Placing,
): Promise<Prepared> {
  const { facts, sight } = await orGiveBack(deps, claimed, () => look(deps, claimed, pass))
  const known = new Set(facts.map(({ shard }) => shard.id))
  // A claimed shard whose rows are gone would stay leased until its lease ends.
  const gone = claimed.filter(({ shard_id }) => !known.has(shard_id))
  return { ...decideAll(deps, facts, sight, { ...pass, held }), claimed, pass, gone, found: facts.length }
}

/** Writes a round and begins its calls; answers how many shards were decided. */
export async function finish({ deps, calls }: Rounds, round: Prepared): Promise<number> {
  const { claimed, decided, resting, undecided, gone, found, pass } = round
  const { current, outdated } = sift(deps, pass, decided)
  const over_budget = await orGiveBack(deps, claimed, () => carryOut(deps, current, pass, calls))
  await park(deps, over_budget)
  await leave(deps, resting)
  await giveBack(deps, [...undecided, ...gone, ...outdated])
  return found
}

/** Launches whose offer has changed since they were decided are decided anew: the last word of a vendor counts, not the first. */
function sift(
  deps: Deps,
  pass: Placing,
  decided: readonly Decided[],
): { current: Decided[]; outdated: Claimed[] } {
  const newest = deps.offers()
  const isOld = ({ plan }: Decided) => {
    const offer = launchOf(plan)?.attempt.request.offer
    return offer !== undefined && isOutdated(pass.places.offers, newest, offer)
  }
  const { true: old = [], false: current = [] } = Object.groupBy(decided, (each) => `${isOld(each)}` as const)
  for (const { facts, plan } of old) untake(deps, pass, facts, plan)
  if (old.length > 0) deps.waker.wake(topics.pass)
  return { current, outdated: old.map(({ facts }) => facts.claimed) }
}

async function look(
  deps: Deps,
  claimed: readonly Claimed[],
  placing: Placing,
): Promise<{ facts: Facts[]; sight: Sight }> {
  const facts = await loadFacts(deps.db, claimed, deps.clock.now())
  await hearRefusals(deps, placing)
  await loadWork(deps, placing.places, facts.map(workOf))
  const attempts = facts.flatMap((each) => each.attempts.map(({ row }) => row))
  const asked_at = deps.clock.now()
  return { facts, sight: { asked_at, seen: await observe(deps, attempts) } }
}

/** What the providers said, and when they were asked. */
interface Sight {
  asked_at: Date
  seen: ReadonlyMap<string, Observation>
}

/** A shard with what is to be done, and what that was decided with. */
interface Decided {
  facts: Facts
  snapshot: Snapshot
  plan: Plan
  commit: Commit
}

interface DecidedAll {
  decided: Decided[]
  resting: Rest[]
  undecided: Claimed[]
}

/** Decides each shard, and counts what it is to launch: the next one finds one place less. */
function decideAll(
  deps: Deps,
  facts: readonly Facts[],
  sight: Sight,
  pass: Placing & { held: boolean },
): DecidedAll {
  const decided: Decided[] = []
  const resting: Rest[] = []
  const undecided: Claimed[] = []
  for (const each of facts) {
    const { claimed, job, shard } = each
    try {
      const snapshot = snapshotOf(deps, each, sight, pass)
      const plan = decide(snapshot, deps.clock.now())
      const launch = launchOf(plan)
      if (launch) pass.rankings.take(workOf(each), launch.attempt.request.offer)
      else if (shard.state === 'waiting') pass.blocked.add(shard.shape_hash)
      const { facts_version } = shard
      if (plan.changes.length === 0 && plan.calls.length === 0)
        resting.push({ claimed, facts_version, due_at: plan.due_at })
      else decided.push({ facts: each, snapshot, plan, commit: { claimed, job, facts_version, plan } })
    } catch (error) {
      undecided.push(claimed)
      fail(deps, pass, each, error)
    }
  }
  return { decided, resting, undecided }
}

/** One that cannot be decided or written: the others are all the same. */
function fail(deps: Deps, pass: Placing, { shard }: Facts, error: unknown) {
  deps.log('error', 'a shard was not decided', { shard: shard.id, error: String(error) })
  pass.blocked.add(shard.shape_hash)
}

/** Commits what was decided and begins its calls; answers with what no budget has room for. */
async function carryOut(
  deps: Deps,
  decided: readonly Decided[],
  pass: Placing,
  calls: Promise<void>[],
): Promise<Facts[]> {
  if (decided.length === 0) return []
  for (const { plan } of decided) announce(deps, plan)
  const written = commitDecisions(
    committing(deps),
    decided.map(({ commit }) => commit),
    deps.clock.now(),
  )
  const answers = await written.catch((error: unknown) => {
    for (const { plan } of decided) retract(deps, plan)
    throw error
  })
  for (const [index, { facts, plan }] of decided.entries())
    if (answers[index] !== 'done') untake(deps, pass, facts, plan)
  const with_answer = (wanted: string) => decided.filter((_, index) => answers[index] === wanted)
  const done = with_answer('done')
  const actions = done.filter(({ plan }) => plan.calls.length > 0)
  if (actions.length > 0) calls.push(act(deps, actions))
  for (const { plan } of done) {
    const launch = launchOf(plan)
    if (launch) committed(pass.places, launch.attempt.request.offer)
  }
  for (const { facts, plan } of done) if (plan.changes.length > 0) deps.waker.wake(topics.job(facts.job.id))
  if (done.some(({ plan }) => plan.changes.length > 0)) {
    deps.waker.wake(topics.events)
    deps.waker.wake(topics.pass)
  }
  for (const [index, { facts }] of decided.entries()) {
    const answer = answers[index]
    if (typeof answer === 'object') fail(deps, pass, facts, answer.error)
  }
  // Decided on old facts, or the slot was taken: nothing was written, and the next pass decides anew.
  const stale = with_answer('stale')
  for (const { facts } of stale) if (facts.shard.state === 'waiting') pass.blocked.add(facts.shard.shape_hash)
  if (stale.length > 0) deps.waker.wake(topics.pass)
  const unwritten = decided.filter(
    (_, index) => answers[index] !== 'done' && answers[index] !== 'over_budget',
  )
  await giveBack(
    deps,
    unwritten.map(({ facts }) => facts.claimed),
  )
  return with_answer('over_budget').map(({ facts }) => facts)
}

/** A launch that was not committed leaves its place to others. */
function untake(deps: Deps, { places }: Placing, facts: Facts, plan: Plan) {
  const launch = launchOf(plan)
  if (launch) take(places, workOf(facts), launch.attempt.request.offer, -1)
  retract(deps, plan)
}

const committing = (deps: Deps) => ({ ...deps, public_url: deps.settings.public_url })

/** Writes what needs no more than another look; what was told meanwhile is decided by the next pass. */
async function leave(deps: Deps, resting: readonly Rest[]): Promise<void> {
  const claimed = resting.map((rest) => rest.claimed)
  const left = await orGiveBack(deps, claimed, () => commitRest(deps.db, resting))
  const told = claimed.filter(({ shard_id }) => !left.has(shard_id))
  if (told.length === 0) return
  await giveBack(deps, told)
  deps.waker.wake(topics.pass)
}

/** No budget has room: the shards wait, with that reason, and look again once a metering period. */
async function park(deps: Deps, over_budget: readonly Facts[]): Promise<void> {
  if (over_budget.length === 0) return
  const now = deps.clock.now()
  const not_before = after(now, metering_s)
  const commits = over_budget.map(({ claimed, job, shard }): Commit => {
    const plan: Plan = {
      changes: [{ change: 'park', reason: 'budget', not_before }],
      calls: [],
      due_at: shard.due_at && shard.due_at < not_before ? shard.due_at : not_before,
    }
    return { claimed, job, facts_version: shard.facts_version, plan }
  })
  const claimed = over_budget.map((facts) => facts.claimed)
  const answers = await orGiveBack(deps, claimed, () => commitDecisions(committing(deps), commits, now))
  const unwritten = claimed.filter((_, index) => answers[index] !== 'done')
  if (unwritten.length > 0) await giveBack(deps, unwritten)
}

function snapshotOf(
  deps: Deps,
  facts: Facts,
  sight: Sight,
  { held, places, rankings }: Placing & { held: boolean },
): Snapshot {
  const { job, shard } = facts
  const now = deps.clock.now()
  // Drawn at once: a draw costs more than its bytes.
  const random = deps.random(32)
  const attempt_id = newId('att', now, () => random.subarray(0, 16))
  const { traits_of } = places
  const work = workOf(facts)
  return {
    job,
    shard,
    asked_at: sight.asked_at,
    look_s: lookEvery_s(places.open.get(everything) ?? 0),
    attempts: facts.attempts.map((each) => ({
      ...each,
      traits: traits_of(each.row.provider, each.row.account),
      seen: sight.seen.get(each.row.id) ?? null,
    })),
    money: facts.money,
    leader: facts.leader,
    ranking: shard.state === 'waiting' && !held ? rankings.of(work, now) : null,
    ranking_view: rankings.view,
    signature: work.signature,
    fresh: {
      attempt_id,
      name: vendorName(deps.installation, attempt_id),
      nonce: Buffer.from(random.subarray(16)).toString('base64url'),
      installation: deps.installation,
      berth_url: deps.settings.berth_url(),
    },
    elsewhere: (provider) => {
      const excluded_providers = [...shard.excluded_providers, provider]
      const { ranked, can_wait } = rank(places, { ...work, excluded_providers }, now)
      return ranked.length > 0 || can_wait
    },
    traits_of,
    container: places.container_of(job.spec),
    has_refused: (offer) => hasRefused(places, offer),
  }
}

const workOf = ({ job, shard, money, signature }: Facts): ShapedWork => ({
  project_id: job.project_id,
  spec: shardSpec(job, shard.role),
  part: { role: shard.role, of: job.shards_total },
  excluded_providers: shard.excluded_providers,
  allowance_micros: allowance(job, shard.role, money),
  shape_hash: shard.shape_hash,
  signature,
})
