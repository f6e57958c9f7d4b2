// The shares that servers have of the bounds on requests: each is one server's until it renews it, or until it is taken for dead.
import { sql } from 'kysely'
import type { Database } from './schema.ts'

/** A server that has not shown itself for this long is not counted. */
const gatewayDead_ms = 10_000
/** How long a share is a server's that does not renew it: five renewals. */
const share_ms = 5_000
/** Rows that are removed at once; the rest waits for the next time. */
const pruned = 1_000

/** Requests of one bucket as one server sees them. */
export interface Wanted {
  bucket: string
  /** Of all servers together. */
  per_s: number
  /** What comes here; 0: nothing more, and the share goes back. */
  demand_per_s: number
}
export interface Leased {
  per_s: number
  /** Whether more comes at all servers together than may. */
  is_short: boolean
}

interface Share {
  per_s: number
  demand_per_s: number
  until_ms: number
}
export type Shares = Record<string, Share>

/** Shows that this server is there; answers how many are. */
export async function countGateways(db: Database, server: string, now: Date): Promise<number> {
  const since = new Date(now.getTime() - gatewayDead_ms)
  await sql`insert into gateways (id, seen_at) values (${server}, ${now})
    on conflict (id) do update set seen_at = excluded.seen_at`.execute(db)
  await sql`delete from gateways where id = any(array(
    select id from gateways where seen_at < ${since} limit ${pruned} for update skip locked))`.execute(db)
  await sql`delete from rate_shares where bucket = any(array(
    select bucket from rate_shares where until < ${since} limit ${pruned} for update skip locked))`.execute(
    db,
  )
  const { count } = await db
    .selectFrom('gateways')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('seen_at', '>=', since)
    .executeTakeFirstOrThrow()
  return Math.max(1, Number(count))
}

/** Renews this server's shares; those of the others are never touched, so that together they are never more than the bound. */
export async function leaseShares(
  db: Database,
  server: string,
  wanted: readonly Wanted[],
  now: Date,
): Promise<Map<string, Leased>> {
  const names = wanted.map(({ bucket }) => bucket).toSorted()
  return db.transaction().execute(async (tx) => {
    // In one order, so that two servers do not wait for each other's rows.
    await sql`insert into rate_shares (bucket, servers, until)
      select bucket, '{}', ${now}::timestamptz from unnest(${names}::text[]) as bucket order by bucket
      on conflict (bucket) do nothing`.execute(tx)
    const rows = await tx
      .selectFrom('rate_shares')
      .select(['bucket', 'servers'])
      .where('bucket', 'in', names)
      .orderBy('bucket')
      .forUpdate()
      .execute()
    const of = new Map(rows.map(({ bucket, servers }) => [bucket, servers]))
    const leased = new Map<string, Leased>()
    const changed = wanted.map((each) => {
      const { shares, own } = divide(each, server, of.get(each.bucket) ?? {}, now.getTime())
      if (own) leased.set(each.bucket, own)
      return { bucket: each.bucket, servers: shares }
    })
    const until = new Date(now.getTime() + share_ms)
    await sql`update rate_shares set servers = given.servers, until = ${until}
      from json_to_recordset(${JSON.stringify(changed)}::json) as given(bucket text, servers jsonb)
      where rate_shares.bucket = given.bucket`.execute(tx)
    return leased
  })
}

/**
 * One server's share beside the others'. While half of the bound or less comes, each has twice what comes to it, and what is left is
 * nobody's, for whom more comes to; else they share by what comes, of what the others have not.
 */
export function divide(
  { per_s, demand_per_s }: Wanted,
  server: string,
  before: Shares,
  now_ms: number,
): { shares: Shares; own: Leased | null } {
  const others = Object.fromEntries(
    Object.entries(before).filter(([id, { until_ms }]) => id !== server && until_ms > now_ms),
  )
  if (demand_per_s === 0) return { shares: others, own: null }
  const sum = (part: 'per_s' | 'demand_per_s') =>
    Object.values(others).reduce((all, each) => all + each[part], 0)
  const all_per_s = sum('demand_per_s') + demand_per_s
  const due_per_s = all_per_s <= per_s / 2 ? 2 * demand_per_s : (per_s * demand_per_s) / all_per_s
  const own_per_s = Math.max(0, Math.min(due_per_s, per_s - sum('per_s')))
  const share = { per_s: own_per_s, demand_per_s, until_ms: now_ms + share_ms }
  return {
    shares: { ...others, [server]: share },
    own: { per_s: own_per_s, is_short: all_per_s > per_s },
  }
}
