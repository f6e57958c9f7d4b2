// The life cycle as data. Imports nothing: the API, the client and the console read it too.

export const jobStates = [
  'queued',
  'scheduled',
  'running',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
] as const
export const shardStates = ['waiting', 'active', 'succeeded', 'failed', 'cancelled'] as const
export const attemptStates = ['launching', 'starting', 'running', 'stopping', 'ended'] as const
export const outcomes = [
  'succeeded',
  'failed',
  'timed_out',
  'over_budget',
  'cancelled',
  'stopped',
  'preempted',
  'lost',
  'no_capacity',
  'quota',
  'rejected',
  'image_error',
] as const
/** Why an attempt was told to stop. It becomes the outcome when the attempt has gone. */
export const stopReasons = [
  'cancelled',
  'stopped',
  'timed_out',
  'over_budget',
  'deadline',
  'preempted',
  'start_timeout',
  'image',
  'sibling_failed',
] as const
export const priorities = ['low', 'normal', 'high', 'urgent'] as const
/** What a client may ask of a job that has not ended. */
export const orders = ['stop', 'cancel'] as const

export type JobState = (typeof jobStates)[number]
export type ShardState = (typeof shardStates)[number]
export type AttemptState = (typeof attemptStates)[number]
export type Outcome = (typeof outcomes)[number]
export type StopReason = (typeof stopReasons)[number]
export type Priority = (typeof priorities)[number]
export type Order = (typeof orders)[number]
export type TerminalState = 'succeeded' | 'failed' | 'cancelled'

/** Legal next states. A state without a way out is terminal. */
export const jobTransitions = {
  queued: ['scheduled', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  scheduled: ['queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  running: ['queued', 'cancelling', 'succeeded', 'failed', 'cancelled'],
  cancelling: ['cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<JobState, readonly JobState[]>

export const shardTransitions = {
  waiting: ['active', 'succeeded', 'failed', 'cancelled'],
  active: ['waiting', 'succeeded', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
} as const satisfies Record<ShardState, readonly ShardState[]>

export const attemptTransitions = {
  launching: ['starting', 'running', 'stopping', 'ended'],
  starting: ['running', 'stopping', 'ended'],
  running: ['stopping', 'ended'],
  stopping: ['ended'],
  ended: [],
} as const satisfies Record<AttemptState, readonly AttemptState[]>

/** What an outcome means for its shard. */
export interface Consequence {
  /** The shard's state when no retry is left. */
  final: TerminalState
  /**
   * `never`; `anywhere`; `elsewhere` = other providers only; `once_elsewhere` = one more try, on another
   * provider; `next_offer` = at once on the next offer, bounded by the queue timeout alone.
   */
  retry: 'never' | 'anywhere' | 'elsewhere' | 'once_elsewhere' | 'next_offer'
  /** Whether it uses up one of `max_attempts`. */
  uses_up: boolean
}

export const consequences = {
  succeeded: { final: 'succeeded', retry: 'never', uses_up: false },
  failed: { final: 'failed', retry: 'anywhere', uses_up: true },
  timed_out: { final: 'failed', retry: 'never', uses_up: false },
  over_budget: { final: 'failed', retry: 'never', uses_up: false },
  cancelled: { final: 'cancelled', retry: 'never', uses_up: false },
  // Succeeded, with a warning, when a result was kept: decide.ts looks for one.
  stopped: { final: 'cancelled', retry: 'never', uses_up: false },
  // Neither is the job's fault; bounded by maxUnchargedAttempts instead.
  preempted: { final: 'failed', retry: 'anywhere', uses_up: false },
  lost: { final: 'failed', retry: 'anywhere', uses_up: false },
  no_capacity: { final: 'failed', retry: 'next_offer', uses_up: false },
  quota: { final: 'failed', retry: 'next_offer', uses_up: false },
  rejected: { final: 'failed', retry: 'elsewhere', uses_up: false },
  image_error: { final: 'failed', retry: 'once_elsewhere', uses_up: true },
} as const satisfies Record<Outcome, Consequence>

export const errorCodes = [
  'user_code',
  'invalid_params',
  'look_ahead',
  'out_of_memory',
  'disk_full',
  'killed',
  'image',
  'gpu_preflight',
  'start_timeout',
  'queue_timeout',
  'timed_out',
  'deadline',
  'over_budget',
  'preempted',
  'lost',
  'quota',
  'runner_crashed',
  'provider',
  'result_missing',
] as const
export type ErrorCode = (typeof errorCodes)[number]
export const errorPlaces = ['user', 'program', 'provider', 'berth'] as const
export type ErrorPlace = (typeof errorPlaces)[number]

/** Event types of a job, as webhooks and `/events` name them. */
export const jobEventTypes = [
  'job.queued',
  'job.scheduled',
  'job.running',
  'job.retrying',
  'job.succeeded',
  'job.failed',
  'job.cancelled',
  // Somebody has read the user data of a machine of it.
  'job.bootstrap_refused',
] as const
export type JobEventType = (typeof jobEventTypes)[number]
/** All that is told, also what concerns no job. */
export const eventTypes = [
  ...jobEventTypes,
  'budget.warning',
  'budget.exhausted',
  'webhook.disabled',
  'provider.unhealthy',
  'provider.parked',
  'provider.recovered',
] as const
export type EventType = (typeof eventTypes)[number]

/** Whether a job, shard or attempt in this state can still change. */
export function isTerminal(state: JobState | ShardState | AttemptState): boolean {
  const next: readonly string[] =
    { ...jobTransitions, ...shardTransitions, ...attemptTransitions }[state] ?? []
  return next.length === 0
}
