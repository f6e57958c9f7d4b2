// The pass: claim -> observe -> decide -> commit -> act. Bounded in rows; run by a timer, a call or a nudge.
import type { Deps } from './deps.ts'
import { isLull, type Lull, noteLook } from './lull.ts'
import { after } from './plan.ts'
import { isFresh, placingFor } from './placing.ts'
import { finish, prepare, type Rounds } from './round.ts'
import { claimDue, lookForWork, orGiveBack, renewReplica } from './store/claim.ts'
import { claimQueue } from './store/queue.ts'
import { loadHeads, runningOf, turnsOf } from './turns.ts'

/** Shards that are claimed at once where something is due: a few seconds of work, if something has happened to all. */
const dueBatch = 100
/** Shards of the queue that are claimed at once: what a batch costs is little beside what so many launches do. */
const queueBatch = 500
/** What is due waits for the queue no longer than this: a look, a report, an order. */
const queue_ms = 1_000
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
 * replica's row within the last seconds may say so; one that makes pass after pass gives its lull; one whose time is short says how
 * many shards of what is due, and as many of the queue, it claims at most.
 */
export async function runPass(
  deps: Deps,
  replica: string,
  renewed = false,
  lull: Lull | null = null,
  most_shards = Number.POSITIVE_INFINITY,
): Promise<Pass> {
  if (!renewed) await renewReplica(deps.db, replica, deps.clock.now())
  const before = await lookForWork(deps.db, deps.clock.now())
  const rounds: Rounds = { deps, replica, held: before.held, placing: null, calls: [] }
  let decided = before.due ? await throughDue(rounds, most_shards) : 0
  const { waiting, held, mark } = decided > 0 ? await lookForWork(deps.db, deps.clock.now()) : before
  const rests = lull !== null && isLull(lull, mark, deps.offers(), deps.clock.now())
  if (waiting && !held && !rests) decided += await throughQueue({ ...rounds, held }, lull, most_shards)
  return { decided, calls: Promise.all(rounds.calls) }
}

async function throughDue(rounds: Rounds, most_shards: number): Promise<number> {
  const { deps, replica } = rounds
  let decided = 0
  let left = most_shards
  for (let round = 0; round < maxRounds && left > 0; round++) {
    const limit = Math.min(dueBatch, left)
    const due = await claimDue(deps.db, replica, tokenOf(deps), deps.clock.now(), limit)
    left -= due.length
    if (due.length > 0) {
      rounds.placing = await placingFor(deps, rounds.placing, new Set())
      decided += await finish(rounds, await prepare(rounds, due, rounds.placing))
    }
    if (due.length < limit) break
  }
  return decided
}

/** While one round is written the next one is claimed and decided. */
async function throughQueue(rounds: Rounds, lull: Lull | null, most_shards: number): Promise<number> {
  const { deps, replica } = rounds
  const blocked = new Set<string>()
  let written: Promise<number> = Promise.resolve(0)
  let decided = 0
  let left = most_shards
  const until = after(deps.clock.now(), queue_ms / 1_000)
  try {
    for (let round = 0; round < maxRounds && left > 0 && deps.clock.now() < until; round++) {
      // What is being written is not in the counts yet.
      if (!isFresh(deps, rounds.placing)) await written
      const placing = await placingFor(deps, rounds.placing, blocked)
      rounds.placing = placing
      const isNew = placing.heads === null
      placing.heads ??= await loadHeads(deps, placing.places, lull?.after ?? null)
      const { work, next } = placing.heads
      const limit = Math.min(queueBatch, left)
      const turns = turnsOf(work, placing, limit, deps.clock.now())
      if (isNew && lull) {
        const found = turns.length > 0 || blocked.size > 0
        noteLook(lull, { found, next, memory: placing.places.memory }, deps.clock.now())
      }
      const options = { limit, turns, running: runningOf(placing.places, turns) }
      const claimed = await claimQueue(deps.db, replica, tokenOf(deps), deps.clock.now(), options)
      left -= claimed.length
      if (claimed.length === 0 && isNew) break
      if (claimed.length === 0) {
        // Others may have come since the heads were looked at.
        rounds.placing.heads = null
        continue
      }
      const prepared = await prepare(rounds, claimed, placing)
      // These shapes have no more, or no room for it.
      if (claimed.length < limit) placing.heads = null
      decided += await orGiveBack(deps, claimed, () => written)
      written = finish(rounds, prepared)
      // Who waits for it is told; nobody may wait yet when it fails.
      written.catch(() => undefined)
    }
    return decided + (await written)
  } finally {
    await written.catch(() => undefined)
  }
}

const tokenOf = (deps: Deps) => Buffer.from(deps.random(12)).toString('base64url')
