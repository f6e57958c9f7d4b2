// A job as clients see it (docs/contracts.md §2). Pure.
import { billedFrom, costMicros, microsToUsd } from './cost.ts'
import type { AttemptRow, JobRow } from './plan.ts'

/** A result larger than this is linked to instead of repeated in lists and webhooks (messages stay < 20 kB). */
export const briefResult_bytes = 4_096
const briefText = 1_000
/** Attempts that are shown of a job; all of them are at /attempts. */
export const viewedAttempts = { brief: 5, whole: 20 } as const

/** What of a job is shown beside its result. */
export const viewedColumns = [
  'id',
  'kind',
  'name',
  'spec',
  'priority',
  'labels',
  'state',
  'outcome',
  'error',
  'warnings',
  'estimated_micros',
  'shards_total',
  'shards_waiting',
  'shards_active',
  'shards_succeeded',
  'shards_failed',
  'shards_cancelled',
  'cached_from',
  'providers',
  'created_at',
  'started_at',
  'finished_at',
] as const
export type ViewedJob = Pick<JobRow, (typeof viewedColumns)[number] | 'result'>

/** What of an attempt is shown, and what its cost follows from. */
export const viewedAttemptColumns = [
  'id',
  'job_id',
  'number',
  'shard_index',
  'state',
  'provider',
  'account',
  'region',
  'offer_id',
  'device',
  'spot',
  'usd_micros_per_hour',
  'basis',
  'min_billing_s',
  'created_at',
  'launched_at',
  'first_called_at',
  'started_at',
  'ended_at',
  'outcome',
  'exit_code',
] as const
export type ViewedAttempt = Pick<AttemptRow, (typeof viewedAttemptColumns)[number]>

/** Anything that JSON can say. */
export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }
export type JsonObject = { [name: string]: Json }

export interface HeartbeatView {
  shard_index: number
  progress: number | null
  phase: string | null
}
export interface JobFacts {
  /** Newest first, at most 20. */
  attempts: readonly ViewedAttempt[]
  /** Of the attempts without an outcome. */
  heartbeats: readonly HeartbeatView[]
  /** Cost of all attempts up to now; null: of the attempts given. */
  spent_micros: number | null
  /** Whether all attempts have ended; left out: whether those given have. */
  settled?: boolean
}

export type JobView = ReturnType<typeof jobView>
export type AttemptView = ReturnType<typeof attemptView>

export function jobView(
  job: ViewedJob,
  facts: JobFacts,
  options: { now: Date; public_url: string; brief: boolean },
) {
  const { now, brief } = options
  const attempts = facts.attempts.toReversed()
  const micros = facts.spent_micros ?? attempts.reduce((sum, row) => sum + attemptCost(row, now), 0)
  const settled = facts.settled ?? attempts.every(({ state }) => state === 'ended')
  return {
    id: job.id,
    kind: job.kind,
    name: job.name,
    state: job.state,
    progress: progressOf(job, facts.heartbeats),
    phase: phaseOf(job, facts.heartbeats),
    priority: job.priority,
    created_at: job.created_at.toISOString(),
    started_at: job.started_at?.toISOString() ?? null,
    finished_at: job.finished_at?.toISOString() ?? null,
    outcome: job.finished_at ? job.outcome : null,
    error: job.finished_at ? (brief ? briefError(job.error) : job.error) : null,
    warnings: job.warnings,
    shards: {
      total: job.shards_total,
      waiting: job.shards_waiting,
      active: job.shards_active,
      succeeded: job.shards_succeeded,
      failed: job.shards_failed,
    },
    attempts: attempts.slice(-viewedAttempts[brief ? 'brief' : 'whole']).map(attemptView),
    cost: {
      estimated_usd: job.estimated_micros === null ? null : microsToUsd(job.estimated_micros),
      actual_usd: microsToUsd(micros),
      final: job.finished_at !== null && settled,
      basis: attempts.some(({ basis }) => basis === 'modelled') ? ('modelled' as const) : ('billed' as const),
    },
    result: brief && JSON.stringify(job.result).length > briefResult_bytes ? null : (job.result as Json),
    labels: job.labels,
    cached_from: job.cached_from,
    params: job.spec.params as object as JsonObject,
    resources: job.spec.resources as object as JsonObject,
    links: {
      self: `${options.public_url}/v1/jobs/${job.id}`,
      result: `${options.public_url}/v1/jobs/${job.id}/result`,
      artifacts: `${options.public_url}/v1/jobs/${job.id}/artifacts`,
      logs: `${options.public_url}/v1/jobs/${job.id}/logs`,
    },
  }
}

function briefError(error: JobRow['error']): JobRow['error'] {
  return error && { ...error, log_tail: error.log_tail?.slice(-briefText) ?? null }
}

function phaseOf(job: ViewedJob, heartbeats: readonly HeartbeatView[]): string | null {
  return job.finished_at ? null : (heartbeats.find(({ phase }) => phase)?.phase ?? null)
}

export function attemptView(row: ViewedAttempt) {
  return {
    id: row.id,
    number: row.number,
    shard: row.shard_index,
    state: row.state,
    provider: row.provider,
    account: row.account,
    region: row.region,
    offer: row.offer_id,
    device: row.device,
    spot: row.spot,
    usd_per_hour: microsToUsd(row.usd_micros_per_hour),
    created_at: row.created_at.toISOString(),
    started_at: row.started_at?.toISOString() ?? null,
    ended_at: row.ended_at?.toISOString() ?? null,
    outcome: row.outcome,
    exit_code: row.exit_code,
  }
}

export function attemptCost(row: PricedAttempt, now: Date): number {
  return costMicros({ ...row, billed_from: billedFrom(row), billed_to: row.ended_at }, now)
}

/** What the cost of an attempt follows from. */
export type PricedAttempt = Pick<
  AttemptRow,
  'usd_micros_per_hour' | 'min_billing_s' | 'launched_at' | 'first_called_at' | 'ended_at'
>

/** Shards that ended count whole, those that run by their own word. */
function progressOf(job: ViewedJob, heartbeats: readonly HeartbeatView[]): number {
  if (job.state === 'succeeded') return 1
  const ended = job.shards_succeeded + job.shards_failed + job.shards_cancelled
  const running = heartbeats.reduce((sum, { progress }) => sum + (progress ?? 0), 0)
  return Math.min(1, (ended + running) / job.shards_total)
}
