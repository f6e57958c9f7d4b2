// What each change of a plan does to the rows of a batch, in memory: commitDecisions alone calls this, under the locks
// of the rows, and writes what has changed.
import { billedFrom, costMicros } from '../cost.ts'
import { type AttemptRow, type Change, isThere, type ShardRow } from '../plan.ts'
import { classOf } from '../shards.ts'
import { prolong, type Purse, settle } from './budgets.ts'
import type { JobDelta } from './fold.ts'
import { movedAttempt, movedShard } from './move.ts'
import type { Told } from './open.ts'
import type { Values } from './rows.ts'
import type { JobError } from './schema.ts'

/** Whether a change moves the job's counters or state, so that its row must be locked. */
export const touchesJob = {
  launch: true,
  launched: false,
  adopted: false,
  run: true,
  order_stop: false,
  sight: false,
  conclude: true,
  end: false,
  requeue: true,
  extend: false,
  park: false,
  queue: false,
  refused: false,
  taken: false,
  finish: true,
  cancelling: true,
} as const satisfies Record<Change['change'], boolean>

/** The columns of an attempt that changes are decided by; the others are only written. */
export const attemptColumns = [
  'id',
  'project_id',
  'job_id',
  'shard_id',
  'state',
  'outcome',
  'basis',
  'usd_micros_per_hour',
  'min_billing_s',
  'launched_at',
  'first_called_at',
  'started_at',
  'reserved_until',
] as const satisfies (keyof AttemptRow)[]
export type HeldAttempt = Pick<AttemptRow, (typeof attemptColumns)[number]> & Partial<AttemptRow>

/** The same of a shard. */
export const shardColumns = [
  'id',
  'project_id',
  'job_id',
  'role',
  'index',
  'state',
  'shape_hash',
  'facts_version',
  'due_at',
  'waiting_since',
  'waited_ms',
  'attempts',
  'attempts_used',
  'attempts_uncharged',
  'attempts_without_progress',
  'excluded_providers',
  'lease_token',
] as const satisfies (keyof ShardRow)[]
export type HeldShard = Pick<ShardRow, (typeof shardColumns)[number]> & Partial<ShardRow>

/** The rows of one commit, as the changes before have left them. */
export interface Scope {
  shard: HeldShard
  attempts: Map<string, HeldAttempt>
  delta: JobDelta
  /** Work shards of the job. */
  parts: number
  now: Date
  purse: Purse
  /** Until when a launch is paid for; null: no budget applies. */
  paid_until: Date | null
  /** The ends of the logs of attempts that are concluded with an error. */
  log_tails: ReadonlyMap<string, string>
  ledger: Values<'ledger'>[]
  told: Told[]
  /** What the plan has concluded an attempt with. */
  error: JobError | null
}

type Of<Name extends Change['change']> = Extract<Change, { change: Name }>
type Writer<Name extends Change['change']> = (scope: Scope, change: Of<Name>) => void

/** Makes one change. */
export function apply(scope: Scope, change: Change): void {
  ;(writers[change.change] as Writer<Change['change']>)(scope, change)
}

const writers: { [Name in Change['change']]: Writer<Name> } = {
  launch,
  launched(scope, { attempt_id, handle }) {
    move(scope, attempt_id, 'starting', { handle, launched_at: scope.now })
  },
  adopted(scope, { attempt_id, handle, since, instance }) {
    const bound = { instance, bound_at: scope.now }
    move(scope, attempt_id, 'starting', {
      handle,
      launch_called_at: since,
      first_called_at: since,
      launched_at: since,
      ...bound,
    })
  },
  run(scope, { attempt_id, started_at }) {
    const { launched_at } = attemptOf(scope, attempt_id)
    count(scope, { running: 1 })
    if (scope.shard.role === 'merge') scope.delta.merge_runs = true
    move(scope, attempt_id, 'running', { started_at, launched_at: launched_at ?? started_at })
  },
  order_stop(scope, { attempt_id, reason, stop_by }) {
    move(scope, attempt_id, 'stopping', { stop_reason: reason, stop_by })
  },
  sight,
  conclude,
  end,
  requeue,
  finish,
  extend,
  park(scope, { reason, not_before }) {
    scope.shard = { ...scope.shard, wait_reason: reason, not_before }
  },
  queue(scope) {
    scope.shard = { ...scope.shard, wait_reason: null, not_before: null }
  },
  refused({ told }, { offer, code, detail = null }) {
    told.push({ offer, code, detail })
  },
  taken({ told }, { offer }) {
    told.push({ offer, code: null })
  },
  cancelling({ delta }) {
    delta.cancelling = true
  },
}

function launch(scope: Scope, { attempt, announced }: Of<'launch'>) {
  const { shard, now, delta } = scope
  const { request } = attempt
  const { offer } = request
  scope.attempts.set(attempt.id, {
    id: attempt.id,
    project_id: shard.project_id,
    job_id: shard.job_id,
    shard_id: shard.id,
    shard_index: shard.index,
    number: shard.attempts + 1,
    state: 'launching',
    provider: offer.provider,
    account: offer.account,
    region: offer.region,
    offer_id: offer.id,
    spot: offer.spot,
    device: offer.gpu ? (offer.id.startsWith('cuda:') ? offer.id : 'cuda') : 'cpu',
    usd_micros_per_hour: attempt.usd_micros_per_hour,
    basis: attempt.basis,
    min_billing_s: attempt.min_billing_s,
    timeout_s: attempt.timeout_s,
    timeout_reason: attempt.timeout_reason,
    paid_s: attempt.paid_s,
    request,
    nonce: attempt.nonce,
    kind: attempt.kind,
    signature: attempt.signature,
    ranking: attempt.ranking,
    created_at: now,
    launch_called_at: announced ? now : null,
    first_called_at: announced ? now : null,
    outcome: null,
    launched_at: null,
    started_at: null,
    reserved_until: scope.paid_until,
  })
  const waited = now.getTime() - (shard.waiting_since ?? now).getTime()
  scope.shard = movedShard(shard, 'active', {
    attempts: shard.attempts + 1,
    waiting_since: null,
    wait_reason: null,
    waited_ms: shard.waited_ms + Math.max(0, waited),
  })
  count(scope, { waiting: -1, active: 1 })
  delta.providers.push(offer.provider)
  if (shard.role === 'work') delta.device_class = classOf(offer)
  else delta.merge_state = 'active'
  delta.attempt ??= {
    id: attempt.id,
    provider: offer.provider,
    account: offer.account,
    region: offer.region,
    offer: offer.id,
    usd_per_hour: offer.usd_per_hour,
    shard: shard.index,
    job_id: shard.job_id,
  }
}

function sight(scope: Scope, { attempt_id, seen, gone_since, exited_since }: Of<'sight'>) {
  const { launched_at } = attemptOf(scope, attempt_id)
  set(scope, attempt_id, {
    // Whatever became of the launch's answer, it has made something, which its vendor bills.
    ...(launched_at === null && isThere(seen) ? { launched_at: scope.now } : {}),
    seen_state: seen.state,
    seen_detail: seen.detail?.slice(0, 1_000) ?? null,
    seen_reason: 'reason' in seen ? (seen.reason ?? null) : null,
    seen_exit_code: seen.state === 'exited' ? seen.exit_code : null,
    seen_at: scope.now,
    gone_since,
    exited_since,
  })
}

function conclude(scope: Scope, change: Of<'conclude'>) {
  const row = attemptOf(scope, change.attempt_id)
  if (row.outcome) throw new Error(`attempt ${change.attempt_id} already has an outcome`)
  if (row.started_at) count(scope, { running: -1 })
  const log_tail = scope.log_tails.get(row.id) ?? null
  scope.error = change.error && { ...change.error, log_tail }
  const { outcome, exit_code } = change
  const values = {
    outcome,
    outcome_at: scope.now,
    exit_code,
    error: scope.error,
    ...(change.unmade ? { launched_at: null } : {}),
  }
  // One that was told to stop is stopping already.
  if (row.state === 'stopping') set(scope, row.id, values)
  else move(scope, row.id, 'stopping', values)
}

function end(scope: Scope, { attempt_id }: Of<'end'>) {
  const { now } = scope
  move(scope, attempt_id, 'ended', { ended_at: now })
  const row = attemptOf(scope, attempt_id)
  const { project_id, job_id, basis } = row
  const billed_from = billedFrom(row)
  const usd_micros = costMicros({ ...row, billed_from, billed_to: now }, now)
  settle(scope.purse, row, usd_micros, now)
  const billed_to = billed_from && now
  scope.ledger.push({
    project_id,
    job_id,
    attempt_id,
    entry: 'settle',
    usd_micros,
    basis,
    billed_from,
    billed_to,
    at: now,
  })
}

/** Without room in a budget the attempt is told to stop. */
function extend(scope: Scope, { attempt_id, stop_by }: Of<'extend'>) {
  const reserved_until = prolong(scope.purse, attemptOf(scope, attempt_id), scope.now)
  if (reserved_until) set(scope, attempt_id, { reserved_until })
  else move(scope, attempt_id, 'stopping', { stop_reason: 'over_budget', stop_by })
}

function requeue(scope: Scope, change: Of<'requeue'>) {
  const { shard, now, delta } = scope
  const excluded = change.exclude_provider
    ? [...new Set([...shard.excluded_providers, change.exclude_provider])]
    : shard.excluded_providers
  const charged = change.uses_up || change.after === 'no_capacity' ? 0 : 1
  scope.shard = movedShard(shard, 'waiting', {
    // What may go at once stands in the queue; the rest is looked at when its time has come.
    not_before: change.not_before > now ? change.not_before : null,
    shape_hash: change.shape_hash,
    waiting_since: now,
    attempts_used: shard.attempts_used + (change.uses_up ? 1 : 0),
    attempts_uncharged: shard.attempts_uncharged + charged,
    attempts_without_progress: change.progressed ? 0 : shard.attempts_without_progress + charged,
    excluded_providers: excluded,
  })
  count(scope, { waiting: 1, active: -1 })
  if (shard.role === 'merge') delta.merge_state = 'waiting'
  const { index } = shard
  delta.events.push({
    type: 'job.retrying',
    data: {
      shard: index,
      outcome: change.after,
      not_before: change.not_before.toISOString(),
      error: scope.error,
    },
  })
}

function finish(scope: Scope, change: Of<'finish'>) {
  const { shard, delta } = scope
  count(scope, { [shard.state === 'waiting' ? 'waiting' : 'active']: -1, [change.state]: 1 })
  scope.shard = movedShard(shard, change.state, { waiting_since: null })
  delta.warnings.push(...change.warnings)
  delta.outcome = change.outcome
  // conclude() has put the log's end into the same error.
  const error = change.error && (scope.error ?? change.error)
  const end = { outcome: change.outcome, error }
  if (shard.role === 'merge') Object.assign(delta, { merge_state: change.state, merge_end: end })
  else if (change.state === 'failed') delta.failure ??= end
  if (change.cached_from !== null) delta.cached_from = change.cached_from
  // Of several parts the merge has the result.
  const isWhole = shard.role === 'merge' || scope.parts === 1 || change.cached_from !== null
  if (isWhole && change.result !== null) delta.result = change.result
}

/** The merge is none of the parts that are counted. */
function count({ shard, delta }: Scope, by: JobDelta['counters']) {
  if (shard.role === 'merge') return
  for (const [name, change] of Object.entries(by) as [keyof typeof by, number][])
    delta.counters[name] = (delta.counters[name] ?? 0) + change
}

function attemptOf({ attempts, shard }: Scope, id: string): HeldAttempt {
  const row = attempts.get(id)
  if (row?.shard_id !== shard.id) throw new Error(`attempt ${id} is not one of shard ${shard.id}`)
  return row
}

function set(scope: Scope, id: string, values: Partial<AttemptRow>) {
  scope.attempts.set(id, { ...attemptOf(scope, id), ...values })
}

function move(scope: Scope, id: string, to: AttemptRow['state'], values: Partial<AttemptRow>) {
  scope.attempts.set(id, movedAttempt(attemptOf(scope, id), to, values))
}
