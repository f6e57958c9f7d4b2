// Whose turn it is: the shapes at the head of the queue that would find a place now.
import type { Deps } from './deps.ts'
import { signatureOf } from './kinds/kind.ts'
import { callsFree, loadWork, type Places } from './market.ts'
import type { Ranking } from './place.ts'
import type { Rankings, ShapedWork } from './rankings.ts'
import { allowance, noMoney, shardSpec } from './shards.ts'
import { anyHeads, type Head, queueHeads, type Turn } from './store/queue.ts'
import { moneyOf } from './store/snapshot.ts'
import { tooPoor } from './wait.ts'

/** The work that stands at the head of each shape. */
export type QueuedWork = Head & ShapedWork

/** The heads of the queue, with what placing them needs. */
export interface QueueHeads {
  work: QueuedWork[]
  /** The last shape that was looked at, where there are more. */
  next: string | null
}

/** `after`: the shape to begin behind; null: anywhere. */
export async function loadHeads(deps: Deps, places: Places, after: string | null): Promise<QueueHeads> {
  const { heads, next } =
    after === null
      ? await anyHeads(deps.db, Buffer.from(deps.random(8)).toString('hex'))
      : await queueHeads(deps.db, after)
  const bounded = heads.filter(({ spec }) => spec.budget_usd !== undefined).map(({ job_id }) => job_id)
  const money = await moneyOf(deps.db, bounded, deps.clock.now())
  const work = heads.map((head) => {
    const spec = shardSpec(head, head.role)
    const part = { role: head.role, of: head.shards_total }
    const allowance_micros = allowance(head, head.role, money.get(head.job_id) ?? noMoney)
    return { ...head, spec, part, allowance_micros, signature: signatureOf(spec, part) }
  })
  await loadWork(deps, places, work)
  return { work, next }
}

/** The shapes that would find a place, each looked at once, and how many of each. */
export function turnsOf(
  heads: readonly QueuedWork[],
  { places, rankings, blocked }: { places: Places; rankings: Rankings; blocked: ReadonlySet<string> },
  most: number,
  now: Date,
): Turn[] {
  return heads
    .filter(({ shape_hash }) => !blocked.has(shape_hash))
    .map((head) => ({ ...head, room: roomFor(places, rankings.of(head, now), most) }))
    .filter(({ room }) => room > 0)
}

/** Shards that find a slot, and soon a call; any number that must end. */
function roomFor(places: Places, ranking: Ranking, most: number): number {
  if (tooPoor(ranking)) return most
  let room = 0
  for (const { offer } of ranking.ranked) {
    const open = places.open.get(`offer:${offer.provider}/${offer.account}/${offer.id}`) ?? 0
    room += Math.min(callsFree(places, offer), offer.slots === null ? most : Math.max(0, offer.slots - open))
  }
  return room
}

/** What runs of the projects that have a turn. */
export function runningOf({ open }: Places, turns: readonly { project_id: string }[]): Map<string, number> {
  const ids = [...new Set(turns.map(({ project_id }) => project_id))]
  return new Map(ids.map((id) => [id, open.get(`project:${id}`) ?? 0]))
}
