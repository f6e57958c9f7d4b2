// Budgets and usage as clients see them. Reserving and settling is jobs/store/budgets.ts.
import { sql } from 'kysely'
import { z } from 'zod'
import { microsToUsd, usdToMicros } from './cost.ts'
import { type Actor, audit } from './audit.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import { monthOf } from './store/budgets.ts'

/** Budgets are looked up and locked at every launch. */
const maxBudgets = 100
/** Rows of one usage answer: a year of days for a few hundred labels would be a report, not an answer. */
const maxUsageRows = 1_000

export const budgetRequest = z
  .strictObject({
    scope: z.enum(['project', 'label']),
    label: z.strictObject({ name: z.string().min(1).max(63), value: z.string().max(255) }).optional(),
    period: z.enum(['month', 'total']).default('month'),
    limit_usd: z.number().min(0).max(1_000_000_000),
  })
  .refine(({ scope, label }) => (scope === 'label') === (label !== undefined), {
    path: ['label'],
    message: 'belongs to scope "label", and only there',
  })
  .meta({ id: 'BudgetRequest' })

export interface BudgetView {
  id: string
  scope: 'project' | 'label'
  label: { name: string; value: string } | null
  period: 'month' | 'total'
  limit_usd: number
  /** Of the period that runs now. */
  spent_usd: number
  reserved_usd: number
  warned_at: string | null
  exhausted_at: string | null
}

/** Makes a budget, or changes the limit of the one for the same scope and period. */
export async function putBudget(
  deps: Deps,
  actor: Actor,
  project_id: string,
  request: z.output<typeof budgetRequest>,
): Promise<BudgetView> {
  const now = deps.clock.now()
  const limit_micros = usdToMicros(request.limit_usd)
  const id = await deps.db.transaction().execute(async (tx) => {
    const before = await tx
      .selectFrom('budgets')
      .select(['id', 'limit_micros'])
      .where('project_id', '=', project_id)
      .execute()
    const { id: made } = await tx
      .insertInto('budgets')
      .values({
        id: newId('bud', now, deps.random),
        project_id,
        scope: request.scope,
        label_name: request.label?.name ?? null,
        label_value: request.label?.value ?? null,
        period: request.period,
        limit_micros,
        created_at: now,
      })
      .onConflict((conflict) =>
        conflict
          .columns(['project_id', 'scope', 'label_name', 'label_value', 'period'])
          .doUpdateSet({ limit_micros }),
      )
      .returning('id')
      .executeTakeFirstOrThrow()
    const { count } = await tx
      .selectFrom('budgets')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .where('project_id', '=', project_id)
      .executeTakeFirstOrThrow()
    if (Number(count) > maxBudgets)
      throw new AppError('invalid_request', `A project has at most ${maxBudgets} budgets.`)
    // With another limit it may be neither near its end nor there.
    await tx
      .updateTable('budget_periods')
      .set({ warned_at: null, exhausted_at: null })
      .where('budget_id', '=', made)
      .execute()
    const old = before.find((each) => each.id === made)
    await audit({ ...deps, db: tx }, actor, {
      project_id,
      action: 'budget.put',
      subject: made,
      before: old ? { limit_usd: microsToUsd(old.limit_micros) } : null,
      after: request,
    })
    return made
  })
  const [view] = (await listBudgets(deps, project_id)).filter((budget) => budget.id === id)
  if (!view) throw new AppError('not_found', `The budget ${id} was deleted meanwhile.`)
  return view
}

export async function listBudgets(deps: Deps, project_id: string): Promise<BudgetView[]> {
  const month = monthOf(deps.clock.now())
  const rows = await deps.db
    .selectFrom('budgets')
    .leftJoin('budget_periods', (join) =>
      join
        .onRef('budget_periods.budget_id', '=', 'budgets.id')
        .on(sql<boolean>`period_start = case period when 'month' then ${month} else to_timestamp(0) end`),
    )
    .select([
      'id',
      'scope',
      'label_name',
      'label_value',
      'period',
      'limit_micros',
      'spent_micros',
      'reserved_micros',
      'warned_at',
      'exhausted_at',
    ])
    .where('budgets.project_id', '=', project_id)
    .orderBy('id')
    .execute()
  return rows.map(({ id, scope, label_name, label_value, period, limit_micros, ...row }) => ({
    id,
    scope,
    label: label_name === null || label_value === null ? null : { name: label_name, value: label_value },
    period,
    limit_usd: microsToUsd(limit_micros),
    spent_usd: microsToUsd(row.spent_micros ?? 0),
    reserved_usd: microsToUsd(row.reserved_micros ?? 0),
    warned_at: row.warned_at?.toISOString() ?? null,
    exhausted_at: row.exhausted_at?.toISOString() ?? null,
  }))
}

/** Throws AppError not_found. What is running on it runs on. */
export async function deleteBudget(
  deps: Pick<Deps, 'db' | 'clock'>,
  actor: Actor,
  project_id: string,
  id: string,
): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    const [old] = await tx
      .deleteFrom('budgets')
      .where('project_id', '=', project_id)
      .where('id', '=', id)
      .returning(['scope', 'label_name', 'label_value', 'period', 'limit_micros'])
      .execute()
    if (!old) throw new AppError('not_found', `There is no budget ${id.slice(0, 100)}.`)
    const { limit_micros, ...rest } = old
    const before = { ...rest, limit_usd: microsToUsd(limit_micros) }
    await audit({ ...deps, db: tx }, actor, { project_id, action: 'budget.deleted', subject: id, before })
  })
}

export const usageGroups = ['project', 'kind', 'provider', 'label', 'day'] as const
export interface UsageQuery {
  group_by: (typeof usageGroups)[number]
  /** The label's name, for `label`. */
  label?: string | undefined
  from: Date
  to: Date
}

/** What was settled in a time, by group, dearest first (days in order). */
export async function readUsage(deps: Deps, project_id: string, query: UsageQuery) {
  const groups = {
    project: sql<string>`jobs.project_id`,
    kind: sql<string>`jobs.kind`,
    provider: sql<string>`attempts.provider`,
    label: sql<string>`coalesce(jobs.labels ->> ${query.label ?? ''}, '')`,
    day: sql<string>`to_char(ledger.at at time zone 'UTC', 'YYYY-MM-DD')`,
  }
  const rows = await deps.db
    .selectFrom('ledger')
    .innerJoin('jobs', 'jobs.id', 'ledger.job_id')
    .innerJoin('attempts', 'attempts.id', 'ledger.attempt_id')
    .select([groups[query.group_by].as('group'), 'ledger.basis'])
    .select(sql<number>`sum(usd_micros)::bigint`.as('usd_micros'))
    .select(sql<number>`count(*)::int`.as('attempts'))
    .select(
      sql<number>`coalesce(sum(extract(epoch from billed_to - billed_from)), 0)::double precision`.as(
        'seconds',
      ),
    )
    .where('ledger.project_id', '=', project_id)
    .where('entry', 'in', ['settle', 'adjust'])
    .where('ledger.at', '>=', query.from)
    .where('ledger.at', '<', query.to)
    .groupBy([sql`1`, 'ledger.basis'])
    .orderBy(query.group_by === 'day' ? sql`1` : sql`3 desc`)
    .limit(maxUsageRows)
    .execute()
  return rows.map(({ group, basis, usd_micros, attempts, seconds }) => ({
    group,
    basis,
    usd: microsToUsd(Number(usd_micros)),
    attempts,
    seconds,
  }))
}
