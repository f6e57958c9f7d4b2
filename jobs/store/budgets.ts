// Budgets by project or label, a month or in all: reserved when an intent commits, extended while it runs,
// settled when nothing is left that costs. Rows are locked in id order, in the caller's transaction.
import { sql } from 'kysely'
import { metering_s, stopGrace_s, uploadGrace_s } from '../bounds.ts'
import { type AttemptRow, type JobRow } from '../plan.ts'
import type { Tx } from './schema.ts'

/** What a stop may take after its order: reserved from the start, so that it is always paid for. */
const stopBound_s = stopGrace_s + uploadGrace_s
const warnShare = 0.8
/** The period of a budget that never begins anew. */
const always = new Date(0)

/** A budget in the period that an attempt belongs to. */
export interface Held {
  budget_id: string
  project_id: string
  period_start: Date
  limit_micros: number
  reserved_micros: number
  spent_micros: number
}
interface Price {
  usd_micros_per_hour: number
  min_billing_s: number
}

/** The budgets that a job spends from, locked. */
export async function lockBudgets(tx: Tx, job: JobRow, now: Date): Promise<Held[]> {
  const budgets = await tx
    .selectFrom('budgets')
    .selectAll()
    .where('project_id', '=', job.project_id)
    .orderBy('id')
    .execute()
  const mine = budgets.filter(
    ({ scope, label_name, label_value }) =>
      scope === 'project' || (label_name !== null && job.labels[label_name] === label_value),
  )
  if (mine.length === 0) return []
  const periods = mine.map((budget) => ({
    budget_id: budget.id,
    project_id: job.project_id,
    period_start: budget.period === 'month' ? monthOf(now) : always,
  }))
  await tx
    .insertInto('budget_periods')
    .values(periods)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
  return lock(tx, periods)
}

/** Micro-dollars that a launch reserves: one metering period and a whole stop, or the vendor's least. */
export function firstReservation(price: Price): number {
  return costOf(price, Math.max(metering_s + stopBound_s, price.min_billing_s))
}

/** Whether every budget has room. Notes on those that have none that they are exhausted. */
export async function hasRoom(tx: Tx, budgets: readonly Held[], micros: number, now: Date): Promise<boolean> {
  const full = budgets.filter(
    ({ limit_micros, reserved_micros, spent_micros }) =>
      reserved_micros + spent_micros + micros > limit_micros,
  )
  for (const budget of full) await note(tx, budget, 'exhausted_at', 'budget.exhausted', now)
  return full.length === 0
}

/** Books the first reservation of an attempt that was just inserted. */
export async function book(
  tx: Tx,
  budgets: readonly Held[],
  attempt: { id: string; job_id: string; basis: 'billed' | 'modelled' } & Price,
  now: Date,
): Promise<void> {
  if (budgets.length === 0) return
  const micros = firstReservation(attempt)
  await tx
    .insertInto('reservations')
    .values(
      budgets.map(({ budget_id, project_id, period_start }) => ({
        attempt_id: attempt.id,
        budget_id,
        project_id,
        period_start,
        micros,
      })),
    )
    .execute()
  await add(tx, budgets, micros, attempt, now)
  await paidUntil(tx, attempt.id, new Date(now.getTime() + metering_s * 1_000))
}

/** Pays for the time up to one metering period from now; false: a budget has no room for it. */
export async function extend(tx: Tx, attempt: AttemptRow, now: Date): Promise<boolean> {
  const held = await lock(tx, await reservationsOf(tx, attempt.id))
  const paid_ms = attempt.reserved_until?.getTime() ?? now.getTime()
  const until_ms = Math.max(now.getTime(), paid_ms) + metering_s * 1_000
  const micros = costOf(attempt, (until_ms - paid_ms) / 1_000)
  if (!(await hasRoom(tx, held, micros, now))) return false
  await tx
    .updateTable('reservations')
    .set({ micros: sql`micros + ${micros}` })
    .where('attempt_id', '=', attempt.id)
    .execute()
  await add(tx, held, micros, attempt, now)
  await paidUntil(tx, attempt.id, new Date(until_ms))
  return true
}

/** Turns what an attempt had reserved into what it cost. */
export async function settle(tx: Tx, attempt: AttemptRow, cost_micros: number, now: Date): Promise<void> {
  const reservations = await reservationsOf(tx, attempt.id)
  if (reservations.length === 0) return
  await lock(tx, reservations)
  for (const { budget_id, period_start, micros } of reservations)
    await tx
      .updateTable('budget_periods')
      .set({
        reserved_micros: sql`reserved_micros - ${micros}`,
        spent_micros: sql`spent_micros + ${cost_micros}`,
      })
      .where('budget_id', '=', budget_id)
      .where('period_start', '=', period_start)
      .execute()
  await tx.deleteFrom('reservations').where('attempt_id', '=', attempt.id).execute()
  await enter(tx, attempt, 'release', -(reservations[0]?.micros ?? 0), now)
}

async function lock(tx: Tx, periods: readonly { budget_id: string; period_start: Date }[]): Promise<Held[]> {
  const held: Held[] = []
  for (const { budget_id, period_start } of periods.toSorted((a, b) =>
    a.budget_id < b.budget_id ? -1 : 1,
  )) {
    const row = await tx
      .selectFrom('budget_periods')
      .innerJoin('budgets', 'budgets.id', 'budget_periods.budget_id')
      .select([
        'budget_id',
        'budget_periods.project_id',
        'period_start',
        'limit_micros',
        'reserved_micros',
        'spent_micros',
      ])
      .where('budget_id', '=', budget_id)
      .where('period_start', '=', period_start)
      .forUpdate('budget_periods')
      .executeTakeFirst()
    if (row) held.push(row)
  }
  return held
}

const reservationsOf = (tx: Tx, attempt_id: string) =>
  tx.selectFrom('reservations').selectAll().where('attempt_id', '=', attempt_id).execute()

async function add(
  tx: Tx,
  budgets: readonly Held[],
  micros: number,
  attempt: Entry,
  now: Date,
): Promise<void> {
  for (const budget of budgets) {
    await tx
      .updateTable('budget_periods')
      .set({ reserved_micros: sql`reserved_micros + ${micros}` })
      .where('budget_id', '=', budget.budget_id)
      .where('period_start', '=', budget.period_start)
      .execute()
    const used = budget.reserved_micros + budget.spent_micros + micros
    if (used >= budget.limit_micros * warnShare) await note(tx, budget, 'warned_at', 'budget.warning', now)
  }
  const [first] = budgets
  if (first) await enter(tx, { ...attempt, project_id: first.project_id }, 'reserve', micros, now)
}

interface Entry {
  id: string
  job_id: string
  basis: 'billed' | 'modelled'
}

async function enter(
  tx: Tx,
  attempt: Entry & { project_id: string },
  entry: 'reserve' | 'release',
  usd_micros: number,
  now: Date,
) {
  const { id: attempt_id, job_id, project_id, basis } = attempt
  await tx
    .insertInto('ledger')
    .values({ project_id, job_id, attempt_id, entry, usd_micros, basis, at: now })
    .execute()
}

/** Once a period: marks the budget and appends the event to the project's feed. */
async function note(
  tx: Tx,
  budget: Held,
  column: 'warned_at' | 'exhausted_at',
  type: string,
  now: Date,
): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('budget_periods')
    .set({ [column]: now })
    .where('budget_id', '=', budget.budget_id)
    .where('period_start', '=', budget.period_start)
    .where(column, 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows === 0n) return
  const { budget_id: id, limit_micros } = budget
  await tx
    .insertInto('events')
    .values({
      project_id: budget.project_id,
      job_id: null,
      sequence: 0,
      type,
      at: now,
      data: JSON.stringify({ subject: { id, limit_micros } }),
      partition_at: now,
    })
    .execute()
}

async function paidUntil(tx: Tx, attempt_id: string, at: Date): Promise<void> {
  await tx.updateTable('attempts').set({ reserved_until: at }).where('id', '=', attempt_id).execute()
}

/** Micro-dollars that seconds cost at a price, rounded up. */
const costOf = (price: { usd_micros_per_hour: number }, seconds: number) =>
  Math.ceil((price.usd_micros_per_hour * seconds) / 3_600)

export const monthOf = (at: Date) => new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1))
