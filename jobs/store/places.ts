// Fixed capacity and limits, counted again under locks when launches commit, so that two passes cannot both take the
// last place. A batch counts once, and then what it takes itself in memory.
import { sql } from 'kysely'
import { boundsOf as limitsOf, countKey, type LimitScope, readLimits } from '../limits.ts'
import type { NewAttempt } from '../plan.ts'
import { countLaunch, type OpenCounts, type Placed } from './open.ts'
import type { Tx } from './schema.ts'

/** A launch that was decided, and whose it is. */
export interface Launch {
  project_id: string
  attempt: NewAttempt
  /** What runs already takes its place, whether there is one or not. */
  runs_already: boolean
}

export interface Places {
  counts: OpenCounts
  /** The limits in force: one may have been lowered since the launch was decided. */
  limits: ReadonlyMap<string, number>
}

/** Counts the places that launches of a batch compete for, under the locks of all their bounds. */
export async function lockPlaces(tx: Tx, launches: readonly Launch[]): Promise<Places> {
  const limits = launches.length === 0 ? new Map<string, number>() : await readLimits(tx)
  const bounds = launches.flatMap((launch) => boundsOf(limits, launch))
  if (bounds.length === 0) return { counts: new Map(), limits }
  // In one order for all, so that no two batches wait for each other.
  const locks = [...new Set(bounds.map(({ lock }) => lock))].toSorted()
  await sql`select pg_advisory_xact_lock(hashtextextended(name, 0))
    from unnest(${locks}::text[]) as wanted(name)`.execute(tx)
  const placed = (scopes: readonly string[]) =>
    launches
      .filter((launch) => boundsOf(limits, launch).some(({ scope }) => scopes.includes(scope)))
      .map(placedBy)
  const counts: OpenCounts = new Map([
    ...(await countOffers(tx, placed(['offer', 'device']))),
    ...(await countBy(tx, 'account', placed(['account']))),
    ...(await countBy(tx, 'kind', placed(['kind']))),
    ...(await countBy(tx, 'project', placed(['project']))),
  ])
  return { counts, limits }
}

/** Whether every bound of a launch has a place left. */
export const hasPlace = ({ counts, limits }: Places, launch: Launch): boolean =>
  boundsOf(limits, launch).every(({ key, most }) => (counts.get(key) ?? 0) < most)

/** Takes a place for a launch. */
export const countPlace = ({ counts }: Places, launch: Launch) => countLaunch(counts, placedBy(launch))

interface PlaceBound {
  scope: LimitScope | 'offer'
  /** Its name among the counts. */
  key: string
  most: number
  lock: string
}

function boundsOf(limits: Places['limits'], { project_id, attempt, runs_already }: Launch): PlaceBound[] {
  if (runs_already) return []
  const { kind, request } = attempt
  const { offer } = request
  const { provider, account, id, slots } = offer
  const limited = limitsOf(limits, { project_id, kind }, offer).map((bound) => {
    const key = countKey(bound, kind, offer)
    return { scope: bound.scope, key, most: bound.max_running, lock: key }
  })
  const key = `offer:${provider}/${account}/${id}`
  return slots === null ? limited : [...limited, { scope: 'offer', key, most: slots, lock: key }]
}

function placedBy({ project_id, attempt: { kind, request } }: Launch): Placed {
  const { provider, account, id: offer_id } = request.offer
  return { provider, account, offer_id, kind, project_id }
}

async function countOffers(tx: Tx, placed: readonly Placed[]): Promise<OpenCounts> {
  const counts: OpenCounts = new Map()
  if (placed.length === 0) return counts
  const offers = [...new Map(placed.map((each) => [keyOfOffer(each), each])).values()]
  const column = (name: 'provider' | 'account' | 'offer_id') => offers.map((offer) => offer[name])
  const { rows } = await sql<Placed & { count: number }>`
    select provider, account, offer_id, kind, count(*)::int as count from attempts
    where ended_at is null and (provider, account, offer_id) in (
      select * from unnest(${column('provider')}::text[], ${column('account')}::text[], ${column('offer_id')}::text[]))
    group by provider, account, offer_id, kind`.execute(tx)
  for (const { kind, count, ...offer } of rows) {
    const key = keyOfOffer(offer)
    counts.set(`offer:${key}`, (counts.get(`offer:${key}`) ?? 0) + count)
    counts.set(`offer-kind:${key}/${kind}`, count)
  }
  return counts
}

const keyOfOffer = ({ provider, account, offer_id }: Omit<Placed, 'kind' | 'project_id'>) =>
  `${provider}/${account}/${offer_id}`

const counted = {
  account: { by: sql<string>`provider || '/' || account`, of: (p: Placed) => `${p.provider}/${p.account}` },
  kind: { by: sql<string>`kind`, of: (p: Placed) => p.kind },
  project: { by: sql<string>`project_id`, of: (p: Placed) => p.project_id },
}

async function countBy(tx: Tx, scope: keyof typeof counted, placed: readonly Placed[]): Promise<OpenCounts> {
  if (placed.length === 0) return new Map()
  const { by, of } = counted[scope]
  const wanted = [...new Set(placed.map(of))]
  const { rows } = await sql<{ name: string; count: number }>`
    select ${by} as name, count(*)::int as count from attempts
    where ended_at is null and ${by} = any(${wanted}::text[]) group by 1`.execute(tx)
  return new Map(rows.map(({ name, count }) => [`${scope}:${name}`, count]))
}
