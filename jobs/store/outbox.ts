// The outbox as its senders see it. Each message goes to a receiver, whose row is locked by whoever claims or records
// messages of it and says when it has something to look at: what waits for one that is down is not touched.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { firstRoom, roomOf } from '../delivery.ts'
import { giveUp } from './given-up.ts'
import type { OldSecret } from './message-tables.ts'
import { insertRows } from './rows.ts'
import type { Database, Tables, Tx } from './schema.ts'

/** New messages that are given to their receivers in one round; the next takes the rest. */
export const maxRouted = 1_000
/** Receivers that are looked at in one round. */
const maxReceivers = 200
export type Receiver = Selectable<Tables['receivers']>

/** A message that this sender alone may send for now. */
export interface Claimed {
  id: string
  project_id: string
  webhook_id: string | null
  receiver_id: string
  type: string
  body: string
  attempts: number
  /** Where its endpoint is now. */
  url: string
  secret_sealed: string
  old_secrets: OldSecret[]
}

/** Whether there are new messages, and whether any receiver has something to look at: one statement where there is not. */
export async function lookForWork(db: Database, now: Date): Promise<{ fresh: boolean; due: boolean }> {
  const { rows } = await sql<{ fresh: boolean; due: boolean }>`
    select exists (select from deliveries where receiver_id is null and state = 'pending') as fresh,
      exists (select from receivers where due_at <= ${now}) as due`.execute(db)
  return rows[0] ?? { fresh: false, due: false }
}

/** Gives new messages to their receivers. Answers how many. */
export async function routeMessages(db: Database, now: Date): Promise<number> {
  return db.transaction().execute(async (tx) => {
    const fresh = await tx
      .selectFrom('deliveries')
      .select(['id', 'project_id', 'webhook_id', 'url'])
      .where('receiver_id', 'is', null)
      .where('state', '=', 'pending')
      .orderBy('id')
      .limit(maxRouted)
      .forUpdate()
      .skipLocked()
      .execute()
    if (fresh.length === 0) return 0
    const routed = fresh.map((message) => ({ ...message, receiver_id: receiverOf(message) }))
    await wakeReceivers(tx, routed, now)
    await sql`
      update deliveries set receiver_id = given.receiver_id
      from unnest(${routed.map(({ id }) => id)}::text[], ${routed.map((each) => each.receiver_id)}::text[])
        as given(id, receiver_id)
      where deliveries.id = given.id`.execute(tx)
    return fresh.length
  })
}

/** Jobs of a project that call one origin share a receiver. */
function receiverOf(message: { project_id: string; webhook_id: string | null; url: string }): string {
  if (message.webhook_id !== null) return message.webhook_id
  const origin = URL.parse(message.url)?.origin ?? message.url
  return `url_${createHash('sha256').update(`${message.project_id}\n${origin}`).digest('hex').slice(0, 32)}`
}

/** Lets receivers be looked at, as soon as anything may be sent to them; makes those that are not there. */
export async function wakeReceivers(
  tx: Tx,
  wanted: readonly { receiver_id: string; project_id: string; webhook_id: string | null }[],
  now: Date,
): Promise<void> {
  const receivers = [...new Map(wanted.map((each) => [each.receiver_id, each])).values()]
    .map(({ receiver_id: id, project_id, webhook_id }) => ({ id, project_id, webhook_id }))
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
  await insertRows(
    tx,
    'receivers',
    receivers.map((each) => ({ ...each, room: firstRoom, due_at: now, updated_at: now })),
    sql`on conflict (id) do update set due_at = greatest(excluded.due_at, receivers.closed_until)
      where receivers.due_at is null or receivers.due_at > greatest(excluded.due_at, receivers.closed_until)`,
  )
}

/** Claims messages that are due, at most `free`, and gives up those of endpoints that take none any more. */
export async function claimMessages(
  db: Database,
  { now, until, free }: { now: Date; until: Date; free: number },
): Promise<Claimed[]> {
  if (free <= 0) return []
  return db.transaction().execute(async (tx) => {
    const { rows: receivers } = await sql<Receiver & { over: boolean; in_flight: number }>`
      select receivers.*, webhooks.disabled_at is not null or webhooks.deleted_at is not null as over,
        (select count(*) from deliveries where receiver_id = receivers.id and claimed_until > ${now})::int as in_flight
      from receivers left join webhooks on webhooks.id = receivers.webhook_id
      where due_at <= ${now} order by due_at limit ${Math.min(maxReceivers, free)}
      for update of receivers skip locked`.execute(tx)
    if (receivers.length === 0) return []
    const over = receivers.filter((receiver) => receiver.over).map(({ id }) => id)
    if (over.length > 0) await giveUp(tx, over, { now, due_before: null })
    const open = receivers.filter((receiver) => !receiver.over)
    const claimed = await claimOf(tx, spread(open, free), { now, until })
    const taken = Map.groupBy(claimed, ({ receiver_id }) => receiver_id)
    const isFull = (each: (typeof open)[number]) =>
      each.in_flight + (taken.get(each.id)?.length ?? 0) >= roomOf(each)
    const full = open.filter(isFull).map(({ id }) => id)
    await setDue(
      tx,
      receivers.map(({ id }) => id),
      full,
    )
    return claimed
  })
}

/** How many messages each may be sent now; with less to give than all could take, nobody has all of it. */
function spread(
  receivers: readonly (Receiver & { in_flight: number })[],
  free: number,
): { id: string; room: number }[] {
  const share = Math.max(1, Math.ceil(free / Math.max(1, receivers.length)))
  return receivers
    .map((each) => ({ id: each.id, room: Math.min(share, roomOf(each) - each.in_flight) }))
    .filter(({ room }) => room > 0)
}

async function claimOf(
  tx: Tx,
  rooms: readonly { id: string; room: number }[],
  { now, until }: { now: Date; until: Date },
): Promise<Claimed[]> {
  if (rooms.length === 0) return []
  const { rows } = await sql<Claimed>`
    with picked as (
      select message.id from unnest(${rooms.map(({ id }) => id)}::text[], ${rooms.map(({ room }) => room)}::int[])
        as receiver(id, room), lateral (
        select id from deliveries where receiver_id = receiver.id and state = 'pending'
          and next_attempt_at <= ${now} and (claimed_until is null or claimed_until <= ${now})
        order by next_attempt_at limit receiver.room) as message),
    claimed as (
      update deliveries set claimed_until = ${until} from picked where deliveries.id = picked.id
      returning deliveries.*)
    select claimed.id, claimed.project_id, claimed.webhook_id, claimed.receiver_id, claimed.type, claimed.body,
      claimed.attempts, coalesce(webhooks.url, claimed.url) as url,
      coalesce(webhooks.secret_sealed, projects.webhook_secret_sealed) as secret_sealed,
      coalesce(webhooks.old_secrets, '[]') as old_secrets
    from claimed join projects on projects.id = claimed.project_id
    left join webhooks on webhooks.id = claimed.webhook_id
    order by claimed.next_attempt_at, claimed.id`.execute(tx)
  return rows
}

/**
 * Says of receivers whose rows are locked when they are to be looked at: when a message is due, unless as many are in
 * flight as may be, and in any case when a sender that has claimed one must have died.
 */
export async function setDue(tx: Tx, ids: readonly string[], full: readonly string[] = []): Promise<void> {
  await sql`
    update receivers set due_at = least(
      case when id <> all(${[...full]}::text[]) then (
        select greatest(next_attempt_at, receivers.closed_until) from deliveries
        where receiver_id = receivers.id and state = 'pending' and claimed_until is null
        order by next_attempt_at limit 1) end,
      (select min(claimed_until) from deliveries where receiver_id = receivers.id and claimed_until is not null))
    where id = any(${[...ids]}::text[])`.execute(tx)
}
