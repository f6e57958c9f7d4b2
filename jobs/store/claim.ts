import { sql } from 'kysely'
import { newId } from '../ids.ts'
import type { Clock, Log } from '../deps.ts'
import type { Database } from './schema.ts'

/** A replica that has not renewed its row for this long is dead; it renews three times as often. */
export const replicaDead_ms = 10_000
/**
 * Longest right to decide for a shard, even of a living replica: a launch call's timeout (60 s) and its
 * record fit twice.
 */
const lease_ms = 120_000

export interface Lease {
  replica: string
  token: string
}
export interface Claimed {
  shard_id: string
  lease: Lease
}

export interface Outlook {
  /** Whether something is due at a shard, and whether one waits for a place. */
  due: boolean
  waiting: boolean
  /** Whether launches are held after a restore. */
  held: boolean
  /** Another where queue or places have changed: what was counted (store/queue.ts), and events. */
  mark: string
}

/** What a pass would find: one read instead of two writes for a server that has nothing to do. */
export async function lookForWork(db: Database, now: Date): Promise<Outlook> {
  const { rows } = await lookQuery(now).execute(db)
  return rows[0] ?? { due: false, waiting: false, held: false, mark: '' }
}

/**
 * The statement itself, for who wants to see its plan. The first of an index is asked for, and not whether there is one: the planner
 * would read the whole table for it where it takes many to be due.
 */
export const lookQuery = (now: Date) => sql<Outlook>`
  select coalesce((select due_at from shards where due_at is not null order by due_at limit 1) <= ${now}, false) as due,
    (select id from shards where state = 'waiting' and not_before is null
      order by shape_hash, queue_key, id limit 1) is not null as waiting,
    exists (select from installation where launches_held_until > ${now}) as held,
    (select last_value from queue_changes) || '/' || (select last_value from events_id_seq) as mark`

/** Leases one shard, whatever is due at it; null: another has it. */
export async function claimShard(
  db: Database,
  replica: string,
  token: string,
  now: Date,
  shard_id: string,
): Promise<Claimed | null> {
  const found = await claim(
    db,
    replica,
    token,
    now,
    sql`select id from shards where id = ${shard_id} and ${free(now)} for update skip locked`,
  )
  return found[0] ?? null
}

/** Leases shards at which something is due: an observation, a report, an order, the end of a wait. */
export async function claimDue(
  db: Database,
  replica: string,
  token: string,
  now: Date,
  limit: number,
): Promise<Claimed[]> {
  return claim(
    db,
    replica,
    token,
    now,
    sql`
    select id from shards
    where due_at <= ${now} and ${free(now)}
    order by due_at limit ${limit}
    for update skip locked`,
  )
}

/** Gives the right back. Leaves due_at alone: what was reported meanwhile stays due. */
export async function release(db: Database, claimed: readonly Claimed[]): Promise<void> {
  if (claimed.length === 0) return
  const ids = claimed.map(({ shard_id }) => shard_id)
  const tokens = claimed.map(({ lease }) => lease.token)
  // Locked in order, as orders and commits lock shards.
  await sql`/* release leases */
    with ours as (
      select id from shards where (id, lease_token) in (
        select * from unnest(${ids}::text[], ${tokens}::text[]))
      order by id for no key update)
    update shards set lease_replica = null, lease_token = null, leased_until = null
    from ours where shards.id = ours.id`.execute(db)
}

/** A broken connection is replaced at the next try; a database that is away for longer makes this replica dead. */
const releaseTries = 3

/** Gives the right back after something failed; when that fails too the lease ends by itself. Never throws. */
export async function giveBack(
  { db, log }: { db: Database; log: Log },
  claimed: readonly Claimed[],
): Promise<void> {
  for (let tries = 1; tries <= releaseTries; tries++) {
    try {
      return await release(db, claimed)
    } catch (error) {
      if (tries === releaseTries)
        log('error', 'leases were not released', { shards: claimed.length, error: String(error) })
    }
  }
}

/** Does something for claimed shards; when that fails they are given back before the error goes on. */
export async function orGiveBack<Done>(
  deps: { db: Database; log: Log },
  claimed: readonly Claimed[],
  work: () => Promise<Done>,
): Promise<Done> {
  try {
    return await work()
  } catch (error) {
    await giveBack(deps, claimed)
    throw error
  }
}

/** Frees every lease and message at once: for a database that no other process can have open. */
export async function releaseAll(db: Database): Promise<void> {
  await db
    .updateTable('shards')
    .set({ lease_replica: null, lease_token: null, leased_until: null })
    .where('lease_token', 'is not', null)
    .execute()
  await db
    .updateTable('deliveries')
    .set({ claimed_until: null })
    .where('claimed_until', 'is not', null)
    .execute()
  await db
    .updateTable('receivers')
    .set({ due_at: new Date(0) })
    .where('due_at', 'is not', null)
    .execute()
}

/** Shows the others that this replica lives. */
export async function renewReplica(db: Database, id: string, now: Date): Promise<void> {
  await db
    .insertInto('replicas')
    .values({ id, started_at: now, renewed_at: now })
    .onConflict((conflict) => conflict.column('id').doUpdateSet({ renewed_at: now }))
    .execute()
}

/** Replicas that live now. */
export async function countReplicas(db: Database, now: Date): Promise<number> {
  const { count } = await db
    .selectFrom('replicas')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('renewed_at', '>', new Date(now.getTime() - replicaDead_ms))
    .executeTakeFirstOrThrow()
  return Number(count)
}

export function newReplicaId(clock: Clock, random: (bytes: number) => Uint8Array): string {
  return newId('rep', clock.now(), random)
}

async function claim(
  db: Database,
  replica: string,
  token: string,
  now: Date,
  ids: ReturnType<typeof sql>,
): Promise<Claimed[]> {
  const { rows } = await sql<{ id: string }>`
    update shards set ${leaseFor(replica, token, now)} where id in (${ids}) returning id`.execute(db)
  return rows.map(({ id }) => ({ shard_id: id, lease: { replica, token } }))
}

/** The columns of a new lease. */
export function leaseFor(replica: string, token: string, now: Date) {
  const until = new Date(now.getTime() + lease_ms)
  return sql`lease_replica = ${replica}, lease_token = ${token}, leased_until = ${until}`
}

/** Whether no living replica has the right to decide for a shard. */
export const free = (now: Date) => sql`(
  lease_token is null or leased_until < ${now} or not exists (
    select from replicas r where r.id = lease_replica
    and r.renewed_at > ${new Date(now.getTime() - replicaDead_ms)}))`
