// Writes what came of many attempts to deliver, with what it means for their receivers, in one transaction.
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import {
  afterAnswer,
  afterAttempt,
  type Answer,
  isDelivered,
  type Next,
  stale_ms,
  whyDisabled,
} from '../delivery.ts'
import type { EventType } from '../state.ts'
import { appendEvents, type NewEvent, numberEvents } from './events.ts'
import type { FoldDeps } from './fold.ts'
import { giveUp } from './given-up.ts'
import type { DisabledReason } from './message-tables.ts'
import { enqueueMessages } from './messages.ts'
import { type Claimed, type Receiver, setDue } from './outbox.ts'
import { insertRows, updateRows, type Values } from './rows.ts'
import type { Database, Tables, Tx } from './schema.ts'

/** A test is sent once, and says nothing about what the endpoint is like. */
export const testType = 'webhook.test'

export interface Result {
  message: Pick<Claimed, 'id' | 'receiver_id' | 'attempts' | 'url'>
  began: Date
  ended: Date
  answer: Answer
}

type Row = Pick<
  Selectable<Tables['deliveries']>,
  'id' | 'project_id' | 'receiver_id' | 'type' | 'state' | 'attempts' | 'round' | 'created_at'
>

/** Answers whether there is something to send, or to tell, at once. */
export async function recordResults(
  db: Database,
  deps: FoldDeps,
  results: readonly Result[],
): Promise<{ more: boolean; told: boolean }> {
  return db.transaction().execute(async (tx) => {
    const { receivers, rows } = await lock(tx, results)
    const isMoved = await movedSince(tx, results)
    const held = results.flatMap((result) => {
      const row = rows.get(result.message.id)
      // Another has claimed and recorded it meanwhile: the lease was over.
      const isOurs = row?.state === 'pending' && row.attempts === result.message.attempts
      return isOurs ? [{ result, row, isMoved: isMoved(result) }] : []
    })
    await writeMessages(tx, deps, held)
    const standings = stand(deps, receivers, held)
    const disabled = await disable(tx, deps, receivers, standings, held)
    await writeReceivers(tx, deps, receivers, standings)
    const { rows: due } = await sql<{ due: boolean }>`
      select exists (select from receivers where id = any(${[...receivers.keys()]}::text[]) and due_at <= ${deps.now})
        as due`.execute(tx)
    return { more: due[0]?.due === true || disabled > 0, told: disabled > 0 }
  })
}

/** Receivers first, as everyone does. */
async function lock(tx: Tx, results: readonly Result[]) {
  const ids = [...new Set(results.map(({ message }) => message.receiver_id))]
  const receivers = await tx
    .selectFrom('receivers')
    .selectAll()
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  const rows: Row[] = await tx
    .selectFrom('deliveries')
    .select(['id', 'project_id', 'receiver_id', 'type', 'state', 'attempts', 'round', 'created_at'])
    .where(sql<boolean>`id = any(${results.map(({ message }) => message.id)}::text[])`)
    .orderBy('id')
    .forNoKeyUpdate()
    .execute()
  return {
    receivers: new Map(receivers.map((receiver) => [receiver.id, receiver])),
    rows: new Map(rows.map((row) => [row.id, row])),
  }
}

/** Whether a message failed at an address that its endpoint has left since. Asked when its receiver is locked, so that none moves meanwhile. */
async function movedSince(tx: Tx, results: readonly Result[]): Promise<(result: Result) => boolean> {
  const failed = results.filter(({ answer }) => !isDelivered(answer))
  if (failed.length === 0) return () => false
  const ids = [...new Set(failed.map(({ message }) => message.receiver_id))]
  const rows = await tx
    .selectFrom('webhooks')
    .select(['id', 'url'])
    .where(sql<boolean>`id = any(${ids}::text[])`)
    .execute()
  const urls = new Map(rows.map(({ id, url }) => [id, url]))
  return ({ message: { receiver_id, url }, answer }) =>
    !isDelivered(answer) && (urls.get(receiver_id) ?? url) !== url
}

/** `isMoved`: what the old address said means nothing for the new one. */
type Held = { result: Result; row: Row; isMoved: boolean }

async function writeMessages(tx: Tx, { random, now }: FoldDeps, held: readonly Held[]): Promise<void> {
  const changed = held.map(({ result: { answer }, row, isMoved }) => {
    const attempts = row.attempts + 1
    const next: Next = isMoved
      ? { state: 'pending', next_attempt_at: now }
      : afterAttempt({ ...row, attempts }, answer, now, shareOf(random))
    const isOver = next.state !== 'pending' || row.type === testType
    const ended = isOver ? { ended_at: now, next_attempt_at: null } : { ended_at: null }
    const state = isOver && next.state === 'pending' ? ('exhausted' as const) : next.state
    return { key: { id: row.id }, values: { attempts, claimed_until: null, ...next, ...ended, state } }
  })
  await updateRows(tx, 'deliveries', changed)
  await insertRows(
    tx,
    'delivery_attempts',
    held.map(({ result: { answer, began, ended }, row }): Values<'delivery_attempts'> => ({
      delivery_id: row.id,
      project_id: row.project_id,
      number: row.attempts + 1,
      at: began,
      duration_ms: Math.max(0, Math.round(ended.getTime() - began.getTime())),
      status: answer.status,
      error: answer.error,
      response: answer.response,
    })),
  )
}

/** How receivers stand after what came of their messages, in the order in which it came. */
function stand({ random, now }: FoldDeps, receivers: ReadonlyMap<string, Receiver>, held: readonly Held[]) {
  const standings = new Map(receivers)
  for (const { result, row, isMoved } of held) {
    const before = standings.get(row.receiver_id ?? '')
    // A test that arrives shows that the endpoint is well again; one that fails shows nothing.
    if (!before || isMoved || (row.type === testType && !isDelivered(result.answer))) continue
    standings.set(before.id, {
      ...before,
      ...afterAnswer(before, result.answer, result.began, now, shareOf(random)),
    })
  }
  return standings
}

/** Disables endpoints that want no more, or take nothing for days, and tells of it. Answers how many. */
async function disable(
  tx: Tx,
  deps: FoldDeps,
  receivers: ReadonlyMap<string, Receiver>,
  standings: ReadonlyMap<string, Receiver>,
  held: readonly Held[],
): Promise<number> {
  const reasons = new Map<string, Exclude<DisabledReason, 'user'>>()
  for (const { result, row, isMoved } of held) {
    const { webhook_id = null } = receivers.get(row.receiver_id ?? '') ?? {}
    const standing = standings.get(row.receiver_id ?? '')
    const why =
      standing && !isDelivered(result.answer) ? whyDisabled(result.answer, standing, deps.now) : null
    if (webhook_id !== null && why && !isMoved && row.type !== testType) reasons.set(webhook_id, why)
  }
  const events: NewEvent[] = []
  for (const [id, disabled_reason] of [...reasons].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const row = await tx
      .updateTable('webhooks')
      .set({ disabled_reason, disabled_at: deps.now, updated_at: deps.now })
      .where('id', '=', id)
      .where('disabled_at', 'is', null)
      .where('deleted_at', 'is', null)
      .returning(['project_id', 'url'])
      .executeTakeFirst()
    if (!row) continue
    const data = { subject: { id, url: row.url, reason: disabled_reason } }
    const about = { project_id: row.project_id, job_id: null, sequence: 0, partition_at: deps.now }
    events.push({ ...about, type: 'webhook.disabled' satisfies EventType, at: deps.now, data })
  }
  if (events.length === 0) return 0
  const numbered = await numberEvents(tx, 'webhooks', events)
  await appendEvents(tx, numbered)
  await enqueueMessages(tx, deps, [], numbered)
  await giveUp(tx, [...reasons.keys()], { now: deps.now, due_before: null })
  return events.length
}

async function writeReceivers(
  tx: Tx,
  { now }: FoldDeps,
  receivers: ReadonlyMap<string, Receiver>,
  standings: ReadonlyMap<string, Receiver>,
): Promise<void> {
  await updateRows(
    tx,
    'receivers',
    [...standings.values()].map(({ id, room, failures, failing_since, closed_until }) => ({
      key: { id },
      values: { room, failures, failing_since, closed_until, updated_at: now },
    })),
  )
  const failing = [...standings.values()].filter(({ failures }) => failures > 0).map(({ id }) => id)
  if (failing.length > 0) await giveUp(tx, failing, { now, due_before: new Date(now.getTime() - stale_ms) })
  await setDue(tx, [...receivers.keys()])
}

/** From 0 to 1. */
const shareOf = (random: FoldDeps['random']) => (random(1)[0] ?? 0) / 255
