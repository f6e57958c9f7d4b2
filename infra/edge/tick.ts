// The work behind the API in one bounded call: what a server on Node does in loops (infra/loops.ts) an edge function does when a timer,
// a cron call or a queue triggers it. Several at once are safe, as several servers are.
import { writeHealth } from '../../jobs/parking.ts'
import { keepOffers } from '../offers.ts'
import type { Composed } from './compose.ts'
import type { EdgeConfig } from './settings.ts'
import { isElsewhere } from './elsewhere.ts'
import type { Work } from './work.ts'

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

export function createTicker(berth: Given): Ticker {
  const { deps, accounts, config } = berth
  // Asks vendors, which the one that answers requests does not.
  const offers = keepOffers(accounts, { asks: true })
  let work: Work | null = null
  const open = async () => {
    const { createWork } = await import('./work.ts')
    return (work ??= createWork(berth))
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
      if (has('offers') && isMine) await berth.offers.look(deps).then(() => offers.refresh(deps))
      const going = { bounds, isOver, ticked }
      if (has('pass') && isMine) await (await open()).pass(going)
      if (has('webhooks')) await (await open()).deliver(going)
      await writeHealth(deps)
      await berth.settle()
      return ticked
    },
  }
}
