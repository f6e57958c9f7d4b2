// A shard that waits for a place: until when, and what is launched when there is one. Pure.
import type { LaunchRequest } from '../providers/provider.ts'
import { ownProgram, startedAt } from './containers.ts'
import { usdToMicros } from './cost.ts'
import type { Ranking } from './place.ts'
import { budgetHint, jobError } from './conclude.ts'
import { metering_s, stopGrace_s, uploadGrace_s } from './bounds.ts'
import { runBound } from './run-bound.ts'
import { allowance, shardSpec } from './shards.ts'
import {
  after,
  type Change,
  type JobRow,
  lookAt,
  type NewAttempt,
  type Plan,
  type ShardRow,
  type Snapshot,
} from './plan.ts'
import type { JobSpec } from './spec.ts'
import type { ErrorCode, Outcome, TerminalState } from './state.ts'
import type { JobError } from './store/schema.ts'

/** Adds to the plan what is due for a waiting shard: its end, or a launch at the best free offer. */
export function wait(snapshot: Snapshot, now: Date, plan: Plan) {
  const over = endOfWait(snapshot, now)
  if (over) return void plan.changes.push(over)
  lookAt(plan, waitBound(snapshot))
  const { job, shard, ranking } = snapshot
  if (shard.not_before && now < shard.not_before) return lookAt(plan, shard.not_before)
  if (job.shards_active > 0 && ranking && tooPoor(ranking)) {
    // What runs of the same job holds money that it may not need.
    const not_before = after(now, metering_s)
    plan.changes.push({ change: 'park', reason: 'budget', not_before })
    return lookAt(plan, not_before)
  }
  // Its time has come: without a place at once it stands in the queue like the others.
  if (shard.not_before) plan.changes.push({ change: 'queue' })
  const offer = ranking?.ranked[0]?.offer
  if (!offer || shard.order_kind || snapshot.attempts.some(({ row }) => !row.outcome)) return
  plan.changes.push({ change: 'launch', attempt: newAttempt(snapshot, offer, now), announced: false })
  plan.calls.push({ call: 'launch', attempt_id: snapshot.fresh.attempt_id })
  // Whoever dies between this commit and the call, the next pass makes it.
  lookAt(plan, after(now, firstLook * snapshot.look_s))
}

function endOfWait({ job, shard, money, ranking, leader }: Snapshot, now: Date): Change | null {
  const ended = (state: TerminalState, outcome: Outcome | null, error: JobError | null) => ({
    change: 'finish' as const,
    state,
    outcome,
    error,
    warnings: [],
    result: null,
    cached_from: null,
  })
  const failed = (outcome: Outcome | null, code: ErrorCode, message: string): Change =>
    ended('failed', outcome, jobError(code, message))
  if (shard.order_kind === 'cancel') return ended('cancelled', 'cancelled', null)
  if (shard.order_kind === 'stop') return ended('cancelled', 'stopped', null)
  if (leader?.done)
    return { ...ended('succeeded', 'succeeded', null), result: leader.result, cached_from: leader.id }
  if (job.shards_failed > 0 && job.spec.parallelism.on_shard_failure === 'fail')
    return ended('cancelled', 'cancelled', null)
  const { deadline_at, queue_timeout_s, budget_usd } = job.spec
  if (deadline_at && now >= new Date(deadline_at))
    return failed('timed_out', 'deadline', `The deadline ${deadline_at} passed before the job could run.`)
  if (budget_usd !== undefined && money.spent_micros >= usdToMicros(budget_usd))
    return failed('over_budget', 'over_budget', `The budget of ${budget_usd} USD is spent.`)
  if (budget_usd !== undefined && job.shards_active === 0 && ranking && tooPoor(ranking))
    return failed(
      'over_budget',
      'over_budget',
      `What is left of the budget of ${budget_usd} USD does not pay for the shortest run at any offer.`,
    )
  if (now >= queueEnd(job.spec, shard)) return ended('failed', null, waitedLong(queue_timeout_s, shard))
  return null
}

function waitedLong(queue_timeout_s: number, { wait_reason }: Pick<ShardRow, 'wait_reason'>): JobError {
  const within = `within ${queue_timeout_s} s of waiting.`
  return wait_reason === 'budget'
    ? jobError('queue_timeout', `No budget had room for it ${within}`, { hint: budgetHint })
    : jobError('queue_timeout', `No place was found ${within}`)
}

/** Whether money alone is what every offer that fits is rejected for. */
export function tooPoor({ ranked, rejected, can_wait }: Ranking): boolean {
  return ranked.length === 0 && !can_wait && rejected.some(({ reason }) => reason === 'budget')
}

/** Between an intent and the first look at it, of the time between looks: the launch call is usually over. */
const firstLook = 0.4

type Waiting = Pick<ShardRow, 'waited_ms' | 'waiting_since' | 'created_at'>

function queueEnd(spec: JobSpec, shard: Waiting): Date {
  const left_s = spec.queue_timeout_s - shard.waited_ms / 1_000
  return after(shard.waiting_since ?? shard.created_at, left_s)
}

/** When a waiting shard must be looked at even if no place comes free. */
export function waitBound({ job, shard }: { job: Pick<JobRow, 'spec'>; shard: Waiting }): Date {
  const end = queueEnd(job.spec, shard)
  const deadline = job.spec.deadline_at ? new Date(job.spec.deadline_at) : end
  return deadline < end ? deadline : end
}

function newAttempt(snapshot: Snapshot, offer: LaunchRequest['offer'], now: Date): NewAttempt {
  const { job, shard, fresh, money } = snapshot
  const { resources } = shardSpec(job, shard.role)
  const traits = snapshot.traits_of(offer.provider, offer.account)
  const price = usdToMicros(offer.usd_per_hour)
  const bound = runBound(job.spec, price, allowance(job, shard.role, money))
  // Later than our own deadline by all that our own stop may take: ours is the one that counts.
  const most_s = Math.min(traits.boot_bound_s + bound.timeout_s, bound.paid_s ?? Number.POSITIVE_INFINITY)
  const dead_man_s = most_s + stopGrace_s + uploadGrace_s + 60
  return {
    id: fresh.attempt_id,
    nonce: fresh.nonce,
    kind: job.kind,
    signature: snapshot.signature,
    ranking: snapshot.ranking && snapshot.ranking_view(snapshot.ranking),
    usd_micros_per_hour: price,
    basis: traits.billing,
    min_billing_s: traits.min_billing_s,
    ...bound,
    request: {
      attempt_id: fresh.attempt_id,
      name: fresh.name,
      installation: fresh.installation,
      kind: job.kind,
      offer,
      // Placement admits no place without.
      ...(startedAt(traits, snapshot.container) ?? ownProgram),
      device: resources.device as LaunchRequest['device'],
      cpu: resources.cpu,
      memory_gib: resources.memory_gib,
      disk_gib: resources.disk_gib,
      deadline_at: after(now, dead_man_s).toISOString(),
      berth_url: fresh.berth_url,
    },
  }
}
