// What this process counts of its own work, for whoever scrapes it: names and units as Prometheus has them
// (https://prometheus.io/docs/practices/naming/). Labels are bounded: of kinds, outcomes, codes and accounts, never of jobs.
import type { Change } from './plan.ts'
import type { Batch, Commit } from './store/batch.ts'
import type { Committed } from './store/commit.ts'

export const counters = {
  berth_launches_total: { help: 'Launches that were decided.', labels: ['provider', 'account', 'kind'] },
  berth_attempts_concluded_total: { help: 'Attempts by what became of them.', labels: ['kind', 'outcome'] },
  berth_retries_total: { help: 'Parts that went back to the queue, by why.', labels: ['kind', 'outcome'] },
  berth_refusals_total: {
    help: 'Launches that an account refused, by its reason.',
    labels: ['provider', 'account', 'code'],
  },
  berth_provider_calls_total: {
    help: 'Calls of accounts at providers, by what they came to.',
    labels: ['provider', 'account', 'call', 'result'],
  },
  berth_shards_finished_total: { help: 'Parts of jobs that ended.', labels: ['kind', 'state', 'outcome'] },
  berth_cache_hits_total: { help: 'Jobs that were given the result of another.', labels: ['kind'] },
} as const satisfies Record<string, Described>

export const histograms = {
  berth_queue_wait_seconds: {
    help: 'From the queue to the decision to launch.',
    labels: ['kind'],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 21_600],
  },
  berth_start_seconds: {
    help: 'From the call that launches to the first word of the runner.',
    labels: ['kind'],
    buckets: [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 900],
  },
  berth_provider_call_seconds: {
    help: 'From a call of an account to its answer.',
    labels: ['provider', 'account', 'call'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  berth_http_request_seconds: {
    help: 'From the request to its answer; a stream, until it begins.',
    labels: ['method', 'route', 'status'],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60],
  },
  berth_pass_seconds: {
    help: 'One pass over what is due.',
    labels: [],
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30],
  },
} as const satisfies Record<string, Described & { buckets: readonly number[] }>

interface Described {
  help: string
  labels: readonly string[]
}
type LabelsOf<Table extends Record<string, Described>, Name extends keyof Table> = Record<
  Table[Name]['labels'][number],
  string
>

export interface Meter {
  count: <Name extends keyof typeof counters>(name: Name, labels: LabelsOf<typeof counters, Name>) => void
  observe: <Name extends keyof typeof histograms>(
    name: Name,
    labels: LabelsOf<typeof histograms, Name>,
    seconds: number,
  ) => void
}

/** Counts what a transaction has written; called after its commit, with the rows as they were and as they are. */
export function countCommitted(
  meter: Meter,
  commits: readonly Commit[],
  answers: readonly Committed[],
  batch: Batch,
) {
  for (const [index, { plan, job, claimed }] of commits.entries()) {
    if (answers[index] !== 'done') continue
    for (const change of plan.changes) countChange(meter, change, { kind: job.spec.kind, batch, claimed })
  }
}

interface Counted {
  kind: string
  batch: Batch
  claimed: Commit['claimed']
}

function countChange(meter: Meter, change: Change, { kind, batch, claimed }: Counted): void {
  if (change.change === 'launch') {
    const { provider, account } = change.attempt.request.offer
    meter.count('berth_launches_total', { provider, account, kind })
    const since = batch.stored.shards.get(claimed.shard_id)?.waiting_since
    if (since) meter.observe('berth_queue_wait_seconds', { kind }, secondsFrom(since, batch.now))
  } else if (change.change === 'run') {
    const called = batch.attempts.get(change.attempt_id)?.first_called_at
    if (called) meter.observe('berth_start_seconds', { kind }, secondsFrom(called, change.started_at))
  } else if (change.change === 'conclude') {
    meter.count('berth_attempts_concluded_total', { kind, outcome: change.outcome })
  } else if (change.change === 'requeue') {
    meter.count('berth_retries_total', { kind, outcome: change.after })
  } else if (change.change === 'refused') {
    const { provider, account } = change.offer
    meter.count('berth_refusals_total', { provider, account, code: change.code })
  } else if (change.change === 'finish') {
    const { state, outcome, cached_from } = change
    meter.count('berth_shards_finished_total', { kind, state, outcome: outcome ?? '' })
    if (cached_from !== null) meter.count('berth_cache_hits_total', { kind })
  }
}

const secondsFrom = (from: Date, to: Date) => Math.max(0, (to.getTime() - from.getTime()) / 1_000)
