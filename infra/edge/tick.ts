// The work behind the API in one bounded call: what a server on Node does in loops (infra/loops.ts) an edge function does when a timer,
// a cron call or a queue triggers it. Several at once are safe, as several servers are.
import { type Lull, newLull } from '../../jobs/lull.ts'
import { scanOrphans } from '../../jobs/orphans.ts'
import { probeAccounts, writeHealth } from '../../jobs/parking.ts'
import { purgeProjects } from '../../jobs/purge-project.ts'
import { runPass } from '../../jobs/reconcile.ts'
import { sweepRetention } from '../../jobs/retention.ts'
import { countReplicas, newReplicaId, renewReplica } from '../../jobs/store/claim.ts'
import { deliverDue, newFlight } from '../../jobs/webhooks.ts'
import { renew_ms, turnPartitions } from '../loops.ts'
import { keepOffers, type OfferBooks } from '../offers.ts'
import type { Composed } from './compose.ts'
import type { EdgeConfig } from './settings.ts'
import { isElsewhere } from './vendors.ts'

export interface Bounds {
  /** Shards that one pass claims at most of what is due, and of the queue. */
  rows: number
  /** No further pass begins after this; calls of providers that have begun are waited for, which have bounds of their own. */
  ms: number
}

export interface Ticked {
  passes: number
  /** Shards that were decided. */
  decided: number
  /** Messages of webhooks that were tried. */
  tried: number
}

export interface Ticker {
  tick: (bounds: Bounds) => Promise<Ticked>
}

type Given = Pick<Composed, 'deps' | 'accounts' | 'offers' | 'freshen' | 'settle'> & {
  config: Pick<EdgeConfig, 'roles'>
}

interface State {
  replica: string
  lull: Lull
  /** Asks vendors, which the one that answers requests does not. */
  offers: OfferBooks
  chores: Chore[]
}
interface Chore {
  every_ms: number
  done_ms: number
  work: () => Promise<unknown>
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

export function createTicker(berth: Given): Ticker {
  const { deps, accounts, config } = berth
  const state: State = {
    replica: newReplicaId(deps.clock, deps.random),
    lull: newLull(),
    offers: keepOffers(accounts, { asks: true }),
    chores: choresOf(berth),
  }
  const has = (role: (typeof config.roles)[number]) => config.roles.includes(role)
  return {
    async tick(bounds) {
      const began_ms = performance.now()
      const isOver = () => performance.now() - began_ms >= bounds.ms
      await berth.freshen()
      const ticked: Ticked = { passes: 0, decided: 0, tried: 0 }
      const strange = accounts.providers.filter(isElsewhere).map(({ name, account }) => `${name}/${account}`)
      const calls = has('pass') || has('offers')
      if (calls && strange.length > 0)
        deps.log(
          'error',
          'the roles pass and offers are left to a server on Node, which calls these accounts',
          {
            accounts: strange,
          },
        )
      const isMine = strange.length === 0
      if (has('offers') && isMine) await berth.offers.look(deps).then(() => state.offers.refresh(deps))
      if (has('pass') && isMine) await pass(berth, state, { bounds, isOver, ticked })
      if (has('webhooks')) await deliver(berth, isOver, ticked)
      await writeHealth(deps)
      await berth.settle()
      return ticked
    },
  }
}

interface Going {
  bounds: Bounds
  isOver: () => boolean
  ticked: Ticked
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

async function deliver({ deps }: Given, isOver: () => boolean, ticked: Ticked): Promise<void> {
  const flight = newFlight()
  let again = true
  while (again && !isOver()) {
    const round = await deliverDue(deps, flight)
    await round.done
    ticked.tried += round.tried
    again = round.again
  }
}
