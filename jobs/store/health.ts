// What all replicas know of the accounts at providers: their state, their last error, and the calls of the last hour.
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { type AccountName, type Counted, kept_ms, type LastError, slot_ms } from '../health.ts'
import { parks } from '../memory.ts'
import type { EventType } from '../state.ts'
import { appendEvents, numberEvents } from './events.ts'
import type { FoldDeps } from './fold.ts'
import { enqueueMessages } from './messages.ts'
import { accountKey, type Told } from './open.ts'
import type { Database, Tables, Tx } from './schema.ts'

export type HealthRow = Selectable<Tables['provider_health']>

/** An account that does not answer for less is told of by its state alone: vendors have such minutes. */
const unhealthyAfter_ms = 60_000
/** The pause before a parked account is tried again: doubled each time, and begun anew after an hour in order. */
const firstProbe_s = 30
const mostProbe_s = 900
const forgotten_ms = 3_600_000

export type NewState =
  | { state: 'healthy'; detail: string; forget: boolean }
  | { state: 'parked'; reason: string; detail: string }
  | { state: 'open'; reason: string; detail: string; since: Date }

const probePause_ms = (probes: number) =>
  Math.min(mostProbe_s, firstProbe_s * 2 ** Math.min(probes, 10)) * 1_000

/** Says that accounts are in another state, and raises the events; what a person must do goes before what passes. */
export async function turnAccounts(
  tx: Tx,
  deps: FoldDeps,
  turned: readonly { of: AccountName; to: NewState }[],
): Promise<void> {
  // In one order for all.
  for (const { of, to } of turned.toSorted((a, b) => (accountKey(a.of) < accountKey(b.of) ? -1 : 1))) {
    const row = await lockHealth(tx, of, deps.now)
    const { next, event } = turnedTo(row, to, deps.now)
    if (next === null) continue
    await tx
      .updateTable('provider_health')
      .set({ ...next, updated_at: deps.now })
      .where('id', '=', row.id)
      .execute()
    if (event) await raise(tx, deps, { ...row, ...next }, event)
  }
}

type Next = Partial<HealthRow>

function turnedTo(row: HealthRow, to: NewState, now: Date): { next: Next | null; event: EventType | null } {
  const isSame = row.state === to.state
  if (to.state === 'healthy') {
    const next = { state: to.state, reason: null, detail: to.detail, since: now, told: false, probe_at: null }
    const event = row.told ? 'provider.recovered' : null
    return isSame ? { next: null, event: null } : { next: to.forget ? { ...next, probes: 0 } : next, event }
  }
  const { state, reason, detail } = to
  if (state === 'parked') {
    if (isSame && row.reason === reason) return { next: { detail }, event: null }
    const isOld = row.state === 'healthy' && now.getTime() - row.since.getTime() > forgotten_ms
    const probes = isOld ? 0 : row.probes
    const probe_at = new Date(now.getTime() + probePause_ms(probes))
    return {
      next: { state, reason, detail, since: now, told: true, probes, probe_at },
      event: 'provider.parked',
    }
  }
  if (row.state === 'parked') return { next: null, event: null }
  const since = isSame ? row.since : to.since
  const isLong = now.getTime() - since.getTime() >= unhealthyAfter_ms
  const event = isLong && !row.told ? 'provider.unhealthy' : null
  return { next: { state, reason, detail, since, told: row.told || isLong }, event }
}

async function lockHealth(tx: Tx, { provider, account }: AccountName, now: Date): Promise<HealthRow> {
  const id = accountKey({ provider, account })
  await tx
    .insertInto('provider_health')
    .values({ id, provider, account, state: 'healthy', since: now, updated_at: now })
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return tx
    .selectFrom('provider_health')
    .selectAll()
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirstOrThrow()
}

/** Tells the projects that run the installation: accounts are no tenant's. */
async function raise(tx: Tx, deps: FoldDeps, row: HealthRow, type: EventType): Promise<void> {
  const { id, provider, account, reason, detail, since } = row
  const subject = { id, provider, account, reason, detail, since: since.toISOString() }
  const at = deps.now
  const [event] = await numberEvents(tx, 'provider_health', [
    { project_id: '', job_id: null, sequence: 0, type, at, data: { subject }, partition_at: at },
  ])
  const operators = await tx
    .selectFrom('projects')
    .select('id')
    .where('is_operator', '=', true)
    .orderBy('id')
    .execute()
  const events = operators.flatMap((project) => (event ? [{ ...event, project_id: project.id }] : []))
  await appendEvents(tx, events)
  await enqueueMessages(tx, deps, [], events)
}

/** What follows for accounts from what a batch of commits says of launches there. */
export async function noteTold(tx: Tx, deps: FoldDeps, told: readonly Told[]): Promise<void> {
  const last = new Map<string, Told>()
  for (const each of told) if (each.code === null || parks(each.code)) last.set(accountKey(each.offer), each)
  if (last.size === 0) return
  const known = await tx
    .selectFrom('provider_health')
    .select('id')
    .where('id', 'in', [...last.keys()])
    .where('state', '=', 'parked')
    .execute()
  const parked = new Set(known.map(({ id }) => id))
  const turned = [...last.values()].flatMap(
    ({ offer, code, detail }): { of: AccountName; to: NewState }[] => {
      if (code !== null) return [{ of: offer, to: { state: 'parked', reason: code, detail: detail ?? code } }]
      const isParked = parked.has(accountKey(offer))
      return isParked
        ? [{ of: offer, to: { state: 'healthy', detail: 'it took a launch', forget: true } }]
        : []
    },
  )
  await turnAccounts(tx, deps, turned)
}

/** Parked accounts whose time to be tried has come, each for one replica. */
export async function claimProbes(db: Database, now: Date, limit: number): Promise<AccountName[]> {
  return db.transaction().execute(async (tx) => {
    const due = await tx
      .selectFrom('provider_health')
      .select(['id', 'provider', 'account', 'probes'])
      .where('state', '=', 'parked')
      .where('probe_at', '<=', now)
      .orderBy('id')
      .limit(limit)
      .forUpdate()
      .skipLocked()
      .execute()
    for (const { id, probes } of due) {
      const probe_at = new Date(now.getTime() + probePause_ms(probes + 1))
      await tx
        .updateTable('provider_health')
        .set({ probes: probes + 1, probe_at })
        .where('id', '=', id)
        .execute()
    }
    return due
  })
}

export async function writeErrors(tx: Tx, errors: readonly LastError[], now: Date): Promise<void> {
  for (const error of errors.toSorted((a, b) => (accountKey(a) < accountKey(b) ? -1 : 1))) {
    const { provider, account, call, code, detail, at } = error
    const newest = {
      error_call: call,
      error_code: code,
      error_detail: detail.slice(0, maxDetail),
      error_at: at,
      updated_at: now,
    }
    const id = accountKey(error)
    await tx
      .insertInto('provider_health')
      .values({ id, provider, account, state: 'healthy', since: now, ...newest })
      .onConflict((conflict) => conflict.column('id').doUpdateSet(newest))
      .execute()
  }
}
/** Characters of what a vendor said: enough for people to see what is wrong. */
const maxDetail = 1_000

/** Adds to what all replicas have counted, and drops what is older than is shown. */
export async function writeCounts(db: Database, counts: readonly Counted[], now: Date): Promise<void> {
  if (counts.length === 0) return
  // In the order of their keys, so that no two replicas wait for each other.
  const rows = counts
    .map((each) => ({ ...each, id: accountKey(each) }))
    .toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1))
  await sql`
    insert into provider_calls (id, call, slot_at, result, bucket, count)
    select * from unnest(${rows.map(({ id }) => id)}::text[], ${rows.map(({ call }) => call)}::text[],
      ${rows.map(({ slot_at }) => slot_at.toISOString())}::text[]::timestamptz[],
      ${rows.map(({ result }) => result)}::text[], ${rows.map(({ bucket }) => bucket)}::int[],
      ${rows.map(({ count }) => count)}::int[])
    on conflict (id, call, slot_at, result, bucket) do update
      set count = provider_calls.count + excluded.count`.execute(db)
  await db
    .deleteFrom('provider_calls')
    .where('slot_at', '<', new Date(now.getTime() - kept_ms - slot_ms))
    .execute()
}
const orderOf = ({ id, call, slot_at, result, bucket }: Counted & { id: string }) =>
  `${id} ${call} ${slot_at.getTime()} ${result} ${bucket}`

export interface CallCount {
  id: string
  call: string
  slot_at: Date
  result: string
  bucket: number
  count: number
}

/** What is known of all accounts, by their ids. */
export async function readHealth(
  db: Database,
  now: Date,
): Promise<{ rows: Map<string, HealthRow>; calls: Map<string, CallCount[]> }> {
  const rows = await db.selectFrom('provider_health').selectAll().execute()
  const calls = await db
    .selectFrom('provider_calls')
    .selectAll()
    .where('slot_at', '>', new Date(now.getTime() - kept_ms))
    .execute()
  return {
    rows: new Map(rows.map((row) => [row.id, row])),
    calls: Map.groupBy(calls, ({ id }) => id),
  }
}

/** An account that is no more. */
export async function forgetHealth(tx: Tx, of: AccountName): Promise<void> {
  const id = accountKey(of)
  await tx.deleteFrom('provider_health').where('id', '=', id).execute()
  await tx.deleteFrom('provider_calls').where('id', '=', id).execute()
}
