// The pass: claim -> observe -> decide -> commit -> act. Bounded in rows; run by a timer, a call or a nudge.
import type { Observation } from '../providers/provider.ts'
import { act } from './act.ts'
import { decide } from './decide.ts'
import { type Deps, topics } from './deps.ts'
import { newId, vendorName } from './ids.ts'
import { isLull, type Lull, noteLook } from './lull.ts'
import { observe } from './observe.ts'
import { hasRefused, loadPlaces, loadWork, type Places, rank, take, type Work } from './market.ts'
import { lookEvery_s } from './pace.ts'
import { metering_s } from './bounds.ts'
import { allowance, shardSpec } from './shards.ts'
import { headsOf, runningOf, turnsOf } from './turns.ts'
import { after, type Plan, type Snapshot } from './plan.ts'
import { type Claimed, claimDue, giveBack, lookForWork, orGiveBack, renewReplica } from './store/claim.ts'
import type { Commit } from './store/batch.ts'
import { commitDecisions } from './store/commit.ts'
import { everything } from './store/open.ts'
import { claimQueue } from './store/queue.ts'
import { commitRest, type Rest } from './store/rest.ts'
import { type Facts, loadFacts } from './store/snapshot.ts'

/** Shards that are claimed at once: a few seconds of work at a slow database, if something has happened to all. */
const claimBatch = 100
/** Rounds of each claim in one pass. Of the queue each places at least one shard, or blocks at least one shape. */
const maxRounds = 50

export interface Pass {
  /** Shards that were decided. */
  decided: number
  /** Resolves when every call of this pass was made and recorded. */
  calls: Promise<unknown>
}

/**
 * One pass of one replica. Several at once are safe, in one process and in many. A caller that has renewed the
 * replica's row within the last seconds may say so; one that makes pass after pass gives its lull.
 */
export async function runPass(
  deps: Deps,
  replica: string,
  renewed = false,
  lull: Lull | null = null,
): Promise<Pass> {
  const calls: Promise<void>[] = []
  if (!renewed) await renewReplica(deps.db, replica, deps.clock.now())
  const before = await lookForWork(deps.db, deps.clock.now())
  let decided = before.due ? await passDue(deps, replica, before.held, calls) : 0
  const { waiting, held, mark } = decided > 0 ? await lookForWork(deps.db, deps.clock.now()) : before
  const rests = lull !== null && isLull(lull, mark, deps.offers(), deps.clock.now())
  if (waiting && !held && !rests) decided += await passQueue(deps, replica, lull, calls)
  return { decided, calls: Promise.all(calls) }
}

const newToken = ({ random }: Deps) => Buffer.from(random(12)).toString('base64url')

/** Through what is due until little is left. */
async function passDue(deps: Deps, replica: string, held: boolean, calls: Promise<void>[]): Promise<number> {
  let decided = 0
  for (let round = 0; round < maxRounds; round++) {
    const due = await claimDue(deps.db, replica, newToken(deps), deps.clock.now(), claimBatch)
    if (due.length > 0) decided += await settle(deps, due, await openPass(deps, held), calls)
    if (due.length < claimBatch) break
  }
  return decided
}

/** Through the queue, until nothing in it finds a place. */
async function passQueue(
  deps: Deps,
  replica: string,
  lull: Lull | null,
  calls: Promise<void>[],
): Promise<number> {
  let decided = 0
  const blocked = new Set<string>()
  for (let round = 0; round < maxRounds; round++) {
    // Before the places: what was refused meanwhile waits as another shape, and is not placed by what was known before.
    const { heads, next } = await headsOf(deps, lull?.after ?? null)
    const pass = await openPass(deps, false)
    const asking = heads.filter(({ shape_hash }) => !blocked.has(shape_hash))
    const turns = await turnsOf(deps, pass.places, asking, claimBatch)
    const found = turns.length > 0 || blocked.size > 0
    if (lull) noteLook(lull, { found, next, memory: pass.places.memory }, deps.clock.now())
    const options = { limit: claimBatch, turns, running: runningOf(pass.places, turns) }
    const claimed = await claimQueue(deps.db, replica, newToken(deps), deps.clock.now(), options)
    if (claimed.length === 0) break
    decided += await settle(deps, claimed, pass, calls)
    for (const shape of pass.blocked) blocked.add(shape)
  }
  return decided
}

interface PassState {
  /** After a restore nothing is launched for a while. */
  held: boolean
  places: Places
  /** Shapes that found no place in this round. */
  blocked: Set<string>
}

async function openPass(deps: Deps, held: boolean): Promise<PassState> {
  return { held, places: await loadPlaces(deps), blocked: new Set() }
}

async function settle(
  deps: Deps,
  claimed: readonly Claimed[],
  pass: PassState,
  calls: Promise<void>[],
): Promise<number> {
  if (claimed.length === 0) return 0
  const { facts, sight } = await orGiveBack(deps, claimed, () => look(deps, claimed, pass))
  const { decided, resting, undecided } = decideAll(deps, facts, sight, pass)
  const over_budget = await orGiveBack(deps, claimed, () => carryOut(deps, decided, pass, calls))
  await park(deps, over_budget)
  await leave(deps, resting)
  // A claimed shard whose rows are gone would stay leased until its lease ends.
  const known = new Set(facts.map(({ shard }) => shard.id))
  const gone = claimed.filter(({ shard_id }) => !known.has(shard_id))
  await giveBack(deps, [...undecided, ...gone])
  return facts.length
}

async function look(
  deps: Deps,
  claimed: readonly Claimed[],
  { places }: PassState,
): Promise<{ facts: Facts[]; sight: Sight }> {
  const facts = await loadFacts(deps.db, claimed, deps.clock.now())
  await loadWork(deps, places, facts.map(workOf))
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

/** Decides each shard, and counts what it is to launch: the next one finds one place less. */
function decideAll(
  deps: Deps,
  facts: readonly Facts[],
  sight: Sight,
  pass: PassState,
): { decided: Decided[]; resting: Rest[]; undecided: Claimed[] } {
  const decided: Decided[] = []
  const resting: Rest[] = []
  const undecided: Claimed[] = []
  for (const each of facts) {
    const { claimed, job, shard } = each
    try {
      const snapshot = snapshotOf(deps, each, sight, pass)
      const plan = decide(snapshot, deps.clock.now())
      const launch = plan.changes.find(({ change }) => change === 'launch')
      if (launch?.change === 'launch') take(pass.places, workOf(each), launch.attempt.request.offer)
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
function fail(deps: Deps, pass: PassState, { shard }: Facts, error: unknown) {
  deps.log('error', 'a shard was not decided', { shard: shard.id, error: String(error) })
  pass.blocked.add(shard.shape_hash)
}

/** Commits what was decided and begins its calls; answers with what no budget has room for. */
async function carryOut(
  deps: Deps,
  decided: readonly Decided[],
  pass: PassState,
  calls: Promise<void>[],
): Promise<Facts[]> {
  if (decided.length === 0) return []
  const answers = await commitDecisions(
    committing(deps),
    decided.map(({ commit }) => commit),
    deps.clock.now(),
  )
  const with_answer = (wanted: string) => decided.filter((_, index) => answers[index] === wanted)
  const done = with_answer('done')
  const actions = done.filter(({ plan }) => plan.calls.length > 0)
  if (actions.length > 0) calls.push(act(deps, actions))
  for (const { facts, plan } of done) if (plan.changes.length > 0) deps.waker.wake(topics.job(facts.job.id))
  if (done.some(({ plan }) => plan.changes.length > 0)) {
    deps.waker.wake(topics.webhooks)
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

function snapshotOf(deps: Deps, facts: Facts, sight: Sight, { held, places }: PassState): Snapshot {
  const { job, shard } = facts
  const now = deps.clock.now()
  const attempt_id = newId('att', now, deps.random)
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
    ranking: shard.state === 'waiting' && !held ? rank(places, work, now) : null,
    fresh: {
      attempt_id,
      name: vendorName(deps.installation, attempt_id),
      nonce: Buffer.from(deps.random(16)).toString('base64url'),
      installation: deps.installation,
      berth_url: deps.settings.berth_url(),
    },
    elsewhere: (provider) => {
      const excluded_providers = [...shard.excluded_providers, provider]
      const { ranked, can_wait } = rank(places, { ...work, excluded_providers }, now)
      return ranked.length > 0 || can_wait
    },
    traits_of,
    has_refused: (offer) => hasRefused(places, offer),
  }
}

const workOf = ({ job, shard, money }: Facts): Work => ({
  project_id: job.project_id,
  spec: shardSpec(job, shard.role),
  part: { role: shard.role, of: job.shards_total },
  excluded_providers: shard.excluded_providers,
  allowance_micros: allowance(job, shard.role, money),
})
