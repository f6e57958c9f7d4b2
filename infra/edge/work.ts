// The pass and the webhooks of one bounded call. Apart from infra/edge/tick.ts, because a function that answers requests alone never loads it.
import { type Lull, newLull } from '../../jobs/lull.ts'
import { scanOrphans } from '../../jobs/orphans.ts'
import { probeAccounts } from '../../jobs/parking.ts'
import { purgeProjects } from '../../jobs/purge-project.ts'
import { runPass } from '../../jobs/reconcile.ts'
import { sweepRetention } from '../../jobs/retention.ts'
import { countReplicas, newReplicaId, renewReplica } from '../../jobs/store/claim.ts'
import { deliverDue, newFlight } from '../../jobs/webhooks.ts'
import { renew_ms, turnPartitions } from '../loops.ts'
import type { Composed } from './compose.ts'
import type { Bounds, Ticked } from './tick.ts'

type Given = Pick<Composed, 'deps' | 'offers'>

interface Chore {
  every_ms: number
  done_ms: number
  work: () => Promise<unknown>
}

/** What is done in one call: it is not begun any more when that `isOver`. */
export interface Going {
  bounds: Bounds
  isOver: () => boolean
  ticked: Ticked
}

export type Work = ReturnType<typeof createWork>

export function createWork(berth: Given) {
  const { deps } = berth
  const state: State = {
    replica: newReplicaId(deps.clock, deps.random),
    lull: newLull(),
    chores: choresOf(berth),
  }
  return {
    pass: (going: Going) => pass(berth, state, going),
    deliver: (going: Going) => deliver(berth, going),
  }
}

interface State {
  replica: string
  lull: Lull
  chores: Chore[]
}

/** By the times of infra/loops.ts; what is not due at this call is at a later one. */
function choresOf({ deps }: Given): Chore[] {
  const every = (every_ms: number, work: Chore['work']): Chore => ({
    every_ms,
    done_ms: Number.NEGATIVE_INFINITY,
    work,
  })
  return [
    every(5_000, () => probeAccounts(deps)),
    every(50_000, () => scanOrphans(deps)),
    every(50_000, () => sweepRetention(deps)),
    every(50_000, () => purgeProjects(deps)),
    every(6 * 3_600_000, () => deps.db.transaction().execute((tx) => turnPartitions(tx, deps))),
  ]
}

async function pass({ deps, offers }: Given, state: State, { bounds, isOver, ticked }: Going): Promise<void> {
  const renew = () => renewReplica(deps.db, state.replica, deps.clock.now())
  await renew()
  deps.health.share(await countReplicas(deps.db, deps.clock.now()))
  // On its own: calls that take longer than a replica is waited for would make it dead.
  const renewal = setInterval(() => void renew().catch(() => undefined), renew_ms)
  try {
    await offers.look(deps)
    const now_ms = Date.now()
    for (const chore of state.chores.filter(({ every_ms, done_ms }) => now_ms - done_ms >= every_ms)) {
      await chore.work()
      chore.done_ms = now_ms
    }
    let decided = 0
    do {
      const done = await runPass(deps, state.replica, true, state.lull, bounds.rows)
      await done.calls
      decided = done.decided
      ticked.passes++
      ticked.decided += decided
    } while (decided > 0 && !isOver())
  } finally {
    clearInterval(renewal)
  }
}

async function deliver({ deps }: Given, { isOver, ticked }: Going): Promise<void> {
  const flight = newFlight()
  let again = true
  while (again && !isOver()) {
    const round = await deliverDue(deps, flight)
    await round.done
    ticked.tried += round.tried
    again = round.again
  }
}
