// Whose turn it is: the shapes at the head of the queue that would find a place now.
import type { Deps } from './deps.ts'
import { loadWork, type Places, rank } from './market.ts'
import type { Ranking } from './place.ts'
import { allowance, noMoney, shardSpec } from './shards.ts'
import { anyHeads, type Head, type Heads, queueHeads } from './store/queue.ts'
import { moneyOf } from './store/snapshot.ts'
import { tooPoor } from './wait.ts'

/** The head of each shape. `after`: where to begin; null: anywhere. */
export async function headsOf(deps: Deps, after: string | null): Promise<Heads> {
  return after === null
    ? anyHeads(deps.db, Buffer.from(deps.random(8)).toString('hex'))
    : queueHeads(deps.db, after)
}

/** The shapes that would find a place, each looked at once, and how many of each. */
export async function turnsOf(deps: Deps, places: Places, heads: readonly Head[], most: number) {
  const now = deps.clock.now()
  const bounded = heads.filter(({ spec }) => spec.budget_usd !== undefined).map(({ job_id }) => job_id)
  const money = await moneyOf(deps.db, bounded, now)
  const work = heads.map((head) => ({
    ...head,
    spec: shardSpec(head, head.role),
    part: { role: head.role, of: head.shards_total },
    allowance_micros: allowance(head, head.role, money.get(head.job_id) ?? noMoney),
  }))
  await loadWork(deps, places, work)
  return work
    .map((each) => ({ ...each, room: roomFor(places, rank(places, each, now), most) }))
    .filter(({ room }) => room > 0)
}

/** Shards that find a slot at offers with fixed capacity; any number where stock decides, or that must end. */
function roomFor({ open }: Places, ranking: Ranking, most: number): number {
  if (tooPoor(ranking)) return most
  let room = 0
  for (const { offer } of ranking.ranked) {
    if (offer.slots === null) return most
    const key = `offer:${offer.provider}/${offer.account}/${offer.id}`
    room += Math.max(0, offer.slots - (open.get(key) ?? 0))
  }
  return room
}

/** What runs of the projects that have a turn. */
export function runningOf({ open }: Places, turns: readonly { project_id: string }[]): Map<string, number> {
  const ids = [...new Set(turns.map(({ project_id }) => project_id))]
  return new Map(ids.map((id) => [id, open.get(`project:${id}`) ?? 0]))
}
