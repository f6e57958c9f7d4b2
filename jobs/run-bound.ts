// How long an attempt may run: by its spec's timeout, from the runner's first word on; and by what its job's budget pays for,
// which the vendor's bill counts from the launch on. Pure.
import { stopGrace_s } from './bounds.ts'
import { affordableSeconds, billedFrom } from './cost.ts'
import { after, type AttemptRow, type NewAttempt } from './plan.ts'
import type { JobSpec } from './spec.ts'

/** A month: no attempt lasts so long, whatever it may cost. */
const longestPaid_s = 30 * 86_400

type Bound = Pick<NewAttempt, 'timeout_s' | 'timeout_reason' | 'paid_s'>

/** How long an attempt may run at a price, and what ends it then: the spec's timeout or the job's budget. */
export function runBound(
  { timeout_s }: Pick<JobSpec, 'timeout_s'>,
  usd_micros_per_hour: number,
  left_micros: number | null,
): Bound {
  if (left_micros === null) return { timeout_s, timeout_reason: 'timed_out', paid_s: null }
  const paid_s = Math.min(longestPaid_s, affordableSeconds(left_micros, usd_micros_per_hour, stopGrace_s))
  return paid_s < timeout_s
    ? { timeout_s: paid_s, timeout_reason: 'over_budget', paid_s }
    : { timeout_s, timeout_reason: 'timed_out', paid_s }
}

type Running = Pick<
  AttemptRow,
  'timeout_s' | 'timeout_reason' | 'paid_s' | 'launched_at' | 'first_called_at' | 'started_at'
>

/** When an attempt must stop, and why; null: nothing that is known of it says so yet. */
export function runEnd(row: Running): { at: Date; reason: Bound['timeout_reason'] } | null {
  const { timeout_s, timeout_reason, paid_s, started_at } = row
  const timeout_at = started_at && after(started_at, timeout_s)
  const billed_from = billedFrom(row)
  const paid_until = paid_s === null ? null : billed_from && after(billed_from, paid_s)
  if (paid_until && (!timeout_at || paid_until <= timeout_at))
    return { at: paid_until, reason: 'over_budget' }
  return timeout_at && { at: timeout_at, reason: timeout_reason }
}

/** Seconds that are left to a runner that asks what it is to do. */
export function runLeft(
  { timeout_s, paid_s, first_called_at }: Pick<Running, 'timeout_s' | 'paid_s' | 'first_called_at'>,
  now: Date,
): number {
  if (paid_s === null || !first_called_at) return timeout_s
  const gone_s = (now.getTime() - first_called_at.getTime()) / 1_000
  return Math.max(1, Math.min(timeout_s, Math.floor(paid_s - gone_s)))
}
