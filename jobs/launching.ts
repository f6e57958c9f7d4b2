// A launch between its decision and its call: whether its offer is still what it was decided by, and the lane that it takes.
import type { Offer } from '../providers/provider.ts'
import { lanesOf } from './act.ts'
import type { Catalogue } from './catalogue.ts'
import type { Deps } from './deps.ts'
import type { Plan } from './plan.ts'
import { accountKey, offerKey } from './store/open.ts'

export const launchOf = ({ changes }: Plan) => changes.find((change) => change.change === 'launch')

/** Takes a lane for a launch, if one is free: then its call is made right after the commit, which says so already. */
export function announce(deps: Deps, plan: Plan) {
  const launch = launchOf(plan)
  if (!launch) return
  const { offer } = launch.attempt.request
  launch.announced = deps.lanes.take(accountKey(offer), 1, lanesOf(deps, offer)) === 1
}

export function retract(deps: Deps, plan: Plan) {
  const launch = launchOf(plan)
  if (launch?.announced) deps.lanes.give(accountKey(launch.attempt.request.offer), 1)
}

/**
 * Whether an offer is not what work was placed by any more: a newer list has it at another price, out of stock, or not at all. What
 * is launched then would be billed as nobody has decided.
 */
export function isOutdated(placed_by: Catalogue, newest: Catalogue, offer: Offer): boolean {
  if (newest === placed_by) return false
  const key = offerKey(offer)
  const now = newest.find(({ name }) => name === key)?.offer
  if (!now) return true
  return now.usd_per_hour !== offer.usd_per_hour || (now.available === 0 && offer.available !== 0)
}
