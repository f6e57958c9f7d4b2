// Budgets by project or label, a month or in all: reserved when an intent commits, extended while it runs,
// settled when nothing is left that costs. The rows of a batch are locked once, in id order; what it takes and gives
// back is counted in memory, and written at its end.
import { sql } from 'kysely'
import type { Selectable } from 'kysely'
import { metering_s, stopGrace_s, uploadGrace_s } from '../bounds.ts'
import type { AttemptRow, JobRow } from '../plan.ts'
import type { EventType } from '../state.ts'
import type { NewEvent } from './events.ts'
import { insertRows, updateRows, type Values } from './rows.ts'
import type { Tables, Tx } from './schema.ts'

/** What a stop may take after its order: reserved from the start, so that it is always paid for. */
const stopBound_s = stopGrace_s + uploadGrace_s
const warnShare = 0.8
/** The period of a budget that never begins anew. */
const always = new Date(0)

type Budget = Selectable<Tables['budgets']>
type Period = Selectable<Tables['budget_periods']> & { limit_micros: number }
type Reservation = Selectable<Tables['reservations']>
type Price = Pick<AttemptRow, 'usd_micros_per_hour' | 'min_billing_s'>
type Payer = Pick<AttemptRow, 'id' | 'job_id' | 'project_id' | 'basis'> & Price

/** The budgets of a batch, locked, with what it has taken of them up to now. */
export interface Purse {
  budgets: readonly Budget[]
  /** By budget and period. */
  periods: Map<string, { stored: Period; period: Period }>
  /** By attempt: what is stored, and what takes its place. */
  reservations: Map<string, { stored: readonly Reservation[]; held: Reservation[] }>
  ledger: Values<'ledger'>[]
  /** Without their numbers. */
  events: NewEvent[]
}

/** Locks what jobs of these projects would spend from, and what these attempts hold. */
export async function lockPurse(
  tx: Tx,
  { project_ids, attempt_ids }: { project_ids: readonly string[]; attempt_ids: readonly string[] },
  now: Date,
): Promise<Purse> {
  const budgets = await budgetsOf(tx, project_ids)
  const reserved = await reservationsOf(tx, attempt_ids)
  const opened = budgets.map((budget) => ({
    budget_id: budget.id,
    project_id: budget.project_id,
    period_start: periodOf(budget, now),
  }))
  await insertRows(tx, 'budget_periods', opened, sql`on conflict do nothing`)
  const periods = await lockPeriods(tx, [...opened, ...reserved])
  const held = Map.groupBy(reserved, ({ attempt_id }) => attempt_id)
  return {
    budgets,
    periods: new Map(periods.map((stored) => [keyOf(stored), { stored, period: stored }])),
    reservations: new Map([...held].map(([id, stored]) => [id, { stored, held: stored }])),
    ledger: [],
    events: [],
  }
}

/** Micro-dollars that a launch reserves: one metering period and a whole stop, or the vendor's least. */
export function firstReservation(price: Price): number {
  return costOf(price, Math.max(metering_s + stopBound_s, price.min_billing_s))
}

/**
 * Reserves for a launch. Answers until when it is paid for, null where no budget applies, and `no_room`, which is noted
 * on those that have none. What runs already costs already, room or not.
 */
export function reserve(
  purse: Purse,
  job: Pick<JobRow, 'labels'>,
  attempt: Payer,
  now: Date,
  runs_already: boolean,
): Date | null | 'no_room' {
  const periods = purse.budgets
    .filter((budget) => budget.project_id === attempt.project_id && appliesTo(budget, job))
    .map((budget) => keyOf({ budget_id: budget.id, period_start: periodOf(budget, now) }))
    .filter((key) => purse.periods.has(key))
  if (periods.length === 0) return null
  const micros = firstReservation(attempt)
  if (!runs_already && !hasRoom(purse, periods, micros, now)) return 'no_room'
  const held = periods.flatMap((key) => {
    const period = purse.periods.get(key)?.period
    if (!period) return []
    const { budget_id, project_id, period_start } = period
    return [{ attempt_id: attempt.id, budget_id, project_id, period_start, micros }]
  })
  purse.reservations.set(attempt.id, { stored: [], held })
  take(purse, periods, micros, attempt, now)
  return new Date(now.getTime() + metering_s * 1_000)
}

/** Pays for the time up to one metering period from now; null: a budget has no room for it. */
export function prolong(
  purse: Purse,
  attempt: Payer & Pick<AttemptRow, 'reserved_until'>,
  now: Date,
): Date | null {
  const reservation = purse.reservations.get(attempt.id)
  const periods = (reservation?.held ?? []).map(keyOf)
  const paid_ms = attempt.reserved_until?.getTime() ?? now.getTime()
  const until_ms = Math.max(now.getTime(), paid_ms) + metering_s * 1_000
  const micros = costOf(attempt, (until_ms - paid_ms) / 1_000)
  if (!hasRoom(purse, periods, micros, now)) return null
  if (reservation) reservation.held = reservation.held.map((row) => ({ ...row, micros: row.micros + micros }))
  take(purse, periods, micros, attempt, now)
  return new Date(until_ms)
}

/** Turns what an attempt had reserved into what it cost. */
export function settle(purse: Purse, attempt: Payer, cost_micros: number, now: Date): void {
  const reservation = purse.reservations.get(attempt.id)
  const [first] = reservation?.held ?? []
  if (!reservation || !first) return
  for (const row of reservation.held)
    change(purse, keyOf(row), ({ reserved_micros, spent_micros }) => ({
      reserved_micros: reserved_micros - row.micros,
      spent_micros: spent_micros + cost_micros,
    }))
  reservation.held = []
  enter(purse, attempt, 'release', -first.micros, now)
}

/** Writes what was taken and given back; the ledger and the events are the caller's to write. */
export async function writePurse(tx: Tx, purse: Purse): Promise<void> {
  await updateRows(
    tx,
    'budget_periods',
    [...purse.periods.values()]
      .filter(({ stored, period }) => stored !== period)
      .map(({ period }) => {
        const { budget_id, period_start, reserved_micros, spent_micros, warned_at, exhausted_at } = period
        const values = { reserved_micros, spent_micros, warned_at, exhausted_at }
        return { key: { budget_id, period_start }, values }
      }),
  )
  const all = [...purse.reservations.entries()]
  const fresh = all.flatMap(([, { stored, held }]) => (stored.length === 0 ? held : []))
  await insertRows(tx, 'reservations', fresh)
  const more = all.flatMap(([, { stored, held }]) => (stored.length > 0 && held !== stored ? held : []))
  await updateRows(
    tx,
    'reservations',
    more.map(({ attempt_id, budget_id, micros }) => ({ key: { attempt_id, budget_id }, values: { micros } })),
  )
  const over = all.filter(([, { stored, held }]) => stored.length > 0 && held.length === 0).map(([id]) => id)
  if (over.length > 0) await sql`delete from reservations where attempt_id = any(${over}::text[])`.execute(tx)
}

async function budgetsOf(tx: Tx, project_ids: readonly string[]): Promise<Budget[]> {
  if (project_ids.length === 0) return []
  const ids = [...new Set(project_ids)]
  return tx.selectFrom('budgets').selectAll().where('project_id', 'in', ids).orderBy('id').execute()
}

async function reservationsOf(tx: Tx, attempt_ids: readonly string[]): Promise<Reservation[]> {
  if (attempt_ids.length === 0) return []
  return tx
    .selectFrom('reservations')
    .selectAll()
    .where(sql<boolean>`attempt_id = any(${attempt_ids}::text[])`)
    .orderBy('budget_id')
    .execute()
}

async function lockPeriods(
  tx: Tx,
  wanted: readonly { budget_id: string; period_start: Date }[],
): Promise<Period[]> {
  if (wanted.length === 0) return []
  const keys = [...new Map(wanted.map((each) => [keyOf(each), each])).values()]
  const ids = keys.map(({ budget_id }) => budget_id)
  const starts = keys.map(({ period_start }) => period_start.toISOString())
  const { rows } = await sql<Period>`
    select p.*, b.limit_micros from budget_periods p join budgets b on b.id = p.budget_id
    where (p.budget_id, p.period_start) in (
      select id, start::timestamptz from unnest(${ids}::text[], ${starts}::text[]) as wanted(id, start))
    order by p.budget_id, p.period_start for no key update of p`.execute(tx)
  return rows
}

const appliesTo = ({ scope, label_name, label_value }: Budget, { labels }: Pick<JobRow, 'labels'>) =>
  scope === 'project' || (label_name !== null && labels[label_name] === label_value)

const periodOf = ({ period }: Budget, now: Date) => (period === 'month' ? monthOf(now) : always)

const keyOf = ({ budget_id, period_start }: { budget_id: string; period_start: Date }) =>
  `${budget_id}/${period_start.getTime()}`

/** Whether every budget has room. Notes on those that have none that they are exhausted. */
function hasRoom(purse: Purse, keys: readonly string[], micros: number, now: Date): boolean {
  const full = keys.filter((key) => {
    const period = purse.periods.get(key)?.period
    return period && period.reserved_micros + period.spent_micros + micros > period.limit_micros
  })
  for (const key of full) note(purse, key, 'exhausted_at', 'budget.exhausted', now)
  return full.length === 0
}

function take(purse: Purse, keys: readonly string[], micros: number, attempt: Payer, now: Date) {
  for (const key of keys) {
    const period = change(purse, key, ({ reserved_micros }) => ({
      reserved_micros: reserved_micros + micros,
    }))
    const used = period ? period.reserved_micros + period.spent_micros : 0
    if (period && used >= period.limit_micros * warnShare)
      note(purse, key, 'warned_at', 'budget.warning', now)
  }
  if (keys.length > 0) enter(purse, attempt, 'reserve', micros, now)
}

function change(purse: Purse, key: string, by: (period: Period) => Partial<Period>): Period | null {
  const each = purse.periods.get(key)
  if (!each) return null
  each.period = { ...each.period, ...by(each.period) }
  return each.period
}

function enter(
  { ledger }: Purse,
  { id: attempt_id, job_id, project_id, basis }: Payer,
  entry: 'reserve' | 'release',
  usd_micros: number,
  at: Date,
) {
  ledger.push({
    project_id,
    job_id,
    attempt_id,
    entry,
    usd_micros,
    basis,
    billed_from: null,
    billed_to: null,
    at,
  })
}

/** Once a period: marks the budget and appends the event to the project's feed. */
function note(purse: Purse, key: string, column: 'warned_at' | 'exhausted_at', type: EventType, at: Date) {
  const period = purse.periods.get(key)?.period
  if (!period || period[column] !== null) return
  change(purse, key, () => ({ [column]: at }))
  const { budget_id: id, project_id, limit_micros } = period
  const data = { subject: { id, limit_micros } }
  purse.events.push({ project_id, job_id: null, sequence: 0, type, at, data, partition_at: at })
}

/** Micro-dollars that seconds cost at a price, rounded up. */
const costOf = (price: { usd_micros_per_hour: number }, seconds: number) =>
  Math.ceil((price.usd_micros_per_hour * seconds) / 3_600)

export const monthOf = (at: Date) => new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1))
