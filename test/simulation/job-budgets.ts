// What the attempts of a job may cost together, whenever one of them was launched, is never more than its budget.
import { stopGrace_s } from '../../jobs/bounds.ts'
import { billedFrom, costMicros, usdToMicros } from '../../jobs/cost.ts'
import type { AttemptRow, JobRow } from '../../jobs/plan.ts'

/** A launch was decided by what was known at most this long before its commit: no lease is longer. */
const lease_ms = 120_000

export function jobBudgets(
  violated: (message: string) => void,
  jobs: Iterable<JobRow>,
  attempts: readonly AttemptRow[],
): void {
  const byJob = Map.groupBy(attempts, ({ job_id }) => job_id)
  for (const { id, spec } of jobs) {
    if (spec.budget_usd === undefined) continue
    const mine = byJob.get(id) ?? []
    for (const launched of mine) {
      const before = mine.filter((each) => each !== launched && each.created_at <= launched.created_at)
      const micros = before.reduce((sum, each) => sum + committed(each, launched.created_at), most(launched))
      if (micros > usdToMicros(spec.budget_usd))
        violated(
          `${launched.id} was launched where ${id} could cost ${micros} micro-dollars of ${usdToMicros(spec.budget_usd)}`,
        )
    }
  }
}

const most = ({ paid_s, usd_micros_per_hour }: AttemptRow): number =>
  Math.floor((((paid_s ?? 0) + stopGrace_s) * usd_micros_per_hour) / 3_600)

/** What an attempt could cost at a time, at least: of one that was over, what it had cost when that was looked at. */
function committed(row: AttemptRow, at: Date): number {
  if (!row.outcome_at || row.outcome_at > at) return most(row)
  const looked_at = new Date(at.getTime() - lease_ms)
  const billed_to = row.ended_at && row.ended_at < looked_at ? row.ended_at : looked_at
  const { usd_micros_per_hour } = row
  return costMicros(
    { usd_micros_per_hour, min_billing_s: 0, billed_from: billedFrom(row), billed_to },
    looked_at,
  )
}
