// What to do next with one shard, as data. Pure: no await, no clock of its own, no randomness.
import type { ProviderError, ProviderErrorCode } from '../providers/errors.ts'
import type { Observation } from '../providers/provider.ts'
import { concludeBySilence, finishedOutcome, jobError, outcomeOfStop } from './conclude.ts'
import { metering_s, stopGrace_s, uploadGrace_s } from './bounds.ts'
import {
  after,
  type AttemptRow,
  type AttemptView,
  type Change,
  type Ended,
  isThere,
  lookAt,
  type Plan,
  type Snapshot,
} from './plan.ts'
import { type Outcome, type StopReason, type TerminalState, consequences } from './state.ts'
import type { Warning } from './store/schema.ts'
import { isRemembered } from './memory.ts'
import { NotAsked } from './not-asked.ts'
import { runEnd } from './run-bound.ts'
import { retriedShape } from './store/queue.ts'
import { wait } from './wait.ts'

// Bounds, with their reasons.
/** How soon to look again when something is about to change. */
const lookSoon_s = 1
/** After exit without a report: the time a runner needs to deliver one over a bad line. */
const reportGrace_s = 60
/** Time between the two looks that must both find nothing. */
const goneTwice_s = 30
/** Attempts that started and used nothing up; more means the work itself drives machines away. */
export const maxUncharged = 10
export const maxWithoutProgress = 3
/** First wait before a retry; doubled each time up to the bound, with jitter of half its length. */
const backoff_s = 2
const maxBackoff_s = 300
/** A registry that is away for a moment is asked again by the vendor; an image that is not there does not come. */
const pull_s = 120
/** A second stop call is made when the first is not confirmed by then. */
const stopAgain_s = 10
/** A launch whose answer was lost is repeated after this, plus the vendor's list lag where it has no token. */
const launchTimeout_s = 60

export function decide(snapshot: Snapshot, now: Date): Plan {
  const plan: Plan = { changes: [], calls: [], due_at: null }
  for (const view of snapshot.attempts) {
    if (view.row.outcome) clean(snapshot, view, now, plan)
    else watch(snapshot, view, now, plan)
  }
  if (snapshot.shard.state === 'waiting') wait(snapshot, now, plan)
  return plan
}

// ---- an attempt that has its outcome: nothing that costs may be left
function clean(snapshot: Snapshot, view: AttemptView, now: Date, plan: Plan) {
  const { row, seen } = view
  if (!row.launch_called_at) return void plan.changes.push({ change: 'end', attempt_id: row.id })
  const exited = seen?.state === 'exited'
  const gone = exited ? !seen.is_billed : seen?.state === 'gone' && !young(snapshot, view)
  // Over before its launch was answered or seen: what it costs counts all the same.
  if (seen && row.launched_at === null && isThere(seen))
    plan.changes.push({ change: 'sight', attempt_id: row.id, seen, gone_since: null, exited_since: null })
  if (row.stop_called_at && gone) return void plan.changes.push({ change: 'end', attempt_id: row.id })
  // A runner that has just reported ends by itself within a second; then stopping costs nothing.
  const stop_at = row.stop_called_at
    ? after(row.stop_called_at, stopAgain_s)
    : after(row.outcome_at ?? now, exited ? 0 : 1)
  if (gone || now >= stop_at) plan.calls.push({ call: 'stop', attempt_id: row.id })
  lookAt(plan, after(now, lookSoon_s))
}

// ---- an attempt without an outcome
function watch(snapshot: Snapshot, view: AttemptView, now: Date, plan: Plan) {
  const { row } = view
  const ended =
    finishedOutcome(snapshot, row) ?? forced(snapshot, view, now) ?? noted(snapshot, view, now, plan)
  const begins = row.bound_at !== null && (row.state === 'launching' || row.state === 'starting')
  // One that is over before a pass has seen its beginning has begun all the same.
  if (ended && begins) begin(row, plan)
  if (ended) return conclude(snapshot, view, ended, now, plan)

  const reason = row.stop_reason ? null : stopReason(snapshot, view, now)
  if (reason) return orderStop(snapshot, row, reason, now, plan)
  if (begins) begin(row, plan)
  else if (row.state === 'launching' && mayLaunch(view, now))
    plan.calls.push({ call: 'launch', attempt_id: row.id })
  payAhead(row, now, plan)
  lookAgain(snapshot, view, now, plan)
}

function begin({ id, bound_at }: AttemptRow, plan: Plan) {
  if (bound_at) plan.changes.push({ change: 'run', attempt_id: id, started_at: bound_at })
}

function lookAgain({ look_s }: Snapshot, { row, seen }: AttemptView, now: Date, plan: Plan) {
  // What is gone must stay so for half a minute: no reason to ask each second.
  const quiet = row.stop_reason === null && (!seen || seen.state === 'running' || seen.state === 'gone')
  lookAt(plan, after(now, quiet ? look_s : lookSoon_s))
  const end = row.stop_reason ? null : runEnd(row)
  if (end) lookAt(plan, end.at)
}

/** While half a metering period is left, the next one is paid for: several looks fit into that. */
function payAhead(row: AttemptRow, now: Date, plan: Plan) {
  if (!row.reserved_until || row.stop_reason) return
  const due = after(row.reserved_until, -metering_s / 2)
  if (now >= due)
    plan.changes.push({ change: 'extend', attempt_id: row.id, stop_by: after(now, stopGrace_s) })
  else lookAt(plan, due)
}

function orderStop(snapshot: Snapshot, row: AttemptRow, reason: StopReason, now: Date, plan: Plan) {
  if (snapshot.shard.order_kind === 'cancel' && snapshot.job.state !== 'cancelling')
    plan.changes.push({ change: 'cancelling' })
  // A machine whose runner never spoke has nobody who could obey.
  const patience_s = row.bound_at ? stopGrace_s : 0
  plan.changes.push({ change: 'order_stop', attempt_id: row.id, reason, stop_by: after(now, patience_s) })
  lookAt(plan, after(now, patience_s === 0 ? 0 : lookSoon_s))
}

/** An order that was not obeyed in time: the token dies, whatever the machine still does. */
function forced(snapshot: Snapshot, { row }: AttemptView, now: Date): Ended | null {
  const { order_kind } = snapshot.shard
  if (!row.launch_called_at && order_kind)
    return outcomeOfStop(order_kind === 'cancel' ? 'cancelled' : 'stopped', row)
  if (!row.stop_reason || !row.stop_by) return null
  const patience_s = row.bound_at ? uploadGrace_s : 0
  return now >= after(row.stop_by, patience_s) ? outcomeOfStop(row.stop_reason, row) : null
}

/** The silence table of docs/design.md §4: what an observation means when the runner says nothing. */
function noted(snapshot: Snapshot, view: AttemptView, now: Date, plan: Plan): Ended | null {
  const { row, seen } = view
  if (!seen || seen.state === 'unseen') return null
  const gone_since = seen.state === 'gone' && canBeMissed(snapshot, view) ? (row.gone_since ?? now) : null
  const exited_since = seen.state === 'exited' ? (row.exited_since ?? now) : null
  const isNew = seen.state !== expected(row) || reasonOf(seen) !== row.seen_reason
  if (isNew || !same(gone_since, row.gone_since) || !same(exited_since, row.exited_since))
    plan.changes.push({ change: 'sight', attempt_id: row.id, seen, gone_since, exited_since })
  const over_at = exited_since
    ? after(exited_since, reportBy_s(seen))
    : gone_since && after(gone_since, goneTwice_s)
  return over_at && now >= over_at ? concludeBySilence(row, seen) : null
}

/** Of an image that does not start no runner will report. */
const reportBy_s = (seen: Observation) => (reasonOf(seen) === 'image' ? 0 : reportGrace_s)

const reasonOf = (seen: Observation) => ('reason' in seen ? (seen.reason ?? null) : null)

/** What was last seen. What was launched with an answer runs until then: to see that is not worth a write. */
const expected = ({ handle, seen_state }: AttemptRow) => seen_state ?? (handle === null ? null : 'running')

/** Without an answer and without a word nothing is missed: its launch is repeated. */
function canBeMissed(snapshot: Snapshot, view: AttemptView): boolean {
  const { handle, bound_at } = view.row
  return (handle !== null || bound_at !== null) && !young(snapshot, view)
}

/** Too new to be missed when it was looked for. */
function young({ asked_at }: Snapshot, { row, traits }: AttemptView): boolean {
  const shown_at = shownBy(row, traits.list_lag_ms)
  return shown_at === null || asked_at < shown_at
}

/** When a launched thing shows in the vendor's answers at the latest; null: nobody has called launch. */
export function shownBy(row: AttemptRow, list_lag_ms: number): Date | null {
  // A call without an answer or a word may take effect as late as its answer could have come, whatever was seen.
  const isHeard = row.handle !== null || row.bound_at !== null
  const called_at = row.launch_called_at && after(row.launch_called_at, launchTimeout_s)
  const made_at = isHeard ? (row.launched_at ?? called_at) : called_at
  return made_at && after(made_at, list_lag_ms / 1_000)
}

const same = (a: Date | null, b: Date | null) => a?.getTime() === b?.getTime()

function stopReason({ job, shard }: Snapshot, view: AttemptView, now: Date): StopReason | null {
  const { row, seen } = view
  if (shard.order_kind === 'cancel') return 'cancelled'
  if (shard.order_kind === 'stop') return 'stopped'
  if (job.shards_failed > 0 && job.spec.parallelism.on_shard_failure === 'fail') return 'sibling_failed'
  if (job.spec.deadline_at && now >= new Date(job.spec.deadline_at)) return 'deadline'
  if (row.preempting_at || isTakenBack(seen)) return 'preempted'
  const end = runEnd(row)
  if (end && now >= end.at) return end.reason
  return row.bound_at || seen?.state === 'unseen' ? null : startFailure(view, now)
}

/** Its vendor has said that it will be: there is time for a checkpoint. */
const isTakenBack = (seen: Observation | null) => seen?.state === 'running' && seen.reason === 'preempted'

/** Why a machine whose runner has not spoken is not waited for any longer; null: it is. */
function startFailure({ row, traits, seen }: AttemptView, now: Date): StopReason | null {
  const isUnpulled = seen?.state === 'pending' && seen.reason === 'image'
  if (isUnpulled && row.launched_at && now >= after(row.launched_at, pull_s)) return 'image'
  return bootsSince(row).some((since) => now >= after(since, traits.boot_bound_s)) ? 'start_timeout' : null
}

/** Since its launch was last called, and since it was seen: a call that is repeated without end is no new start. */
function bootsSince({ launch_called_at, seen_state, seen_at }: AttemptRow): Date[] {
  const isSeen = seen_state === 'pending' || seen_state === 'running'
  return [launch_called_at, isSeen ? seen_at : null].filter((at) => at !== null)
}

// Where the vendor has no launch token nobody else may call launch before an earlier call must have shown.
function mayLaunch({ row, traits, seen }: AttemptView, now: Date): boolean {
  if (seen?.state === 'unseen') return false
  if (!row.launch_called_at || traits.launch_token) return true
  return now >= after(row.launch_called_at, launchTimeout_s + traits.list_lag_ms / 1_000)
}

// ---- an outcome, and what follows for the shard
function conclude(snapshot: Snapshot, view: AttemptView, ended: Ended, now: Date, plan: Plan) {
  const { row } = view
  const { shard } = snapshot
  // A machine that does not come up says the same of its offer as a refusal.
  if (ended.error?.code === 'start_timeout')
    plan.changes.push({ change: 'refused', offer: row.request.offer, code: 'capacity' })
  plan.changes.push({ change: 'conclude', attempt_id: row.id, ...ended })
  lookAt(plan, after(now, lookSoon_s))
  if (mayRetry(snapshot, row, ended)) {
    const rule = consequences[ended.outcome]
    const elsewhere = rule.retry === 'elsewhere' || rule.retry === 'once_elsewhere'
    plan.changes.push({
      change: 'requeue',
      after: ended.outcome,
      not_before: retryAt(snapshot, row, ended, now),
      exclude_provider: elsewhere ? row.provider : null,
      shape_hash: retriedShape(shard.shape_hash, shard.attempts, elsewhere ? [row.provider] : []),
      uses_up: rule.uses_up,
      progressed: view.progressed,
    })
    return
  }
  plan.changes.push(finish(snapshot, row, ended))
}

function finish(snapshot: Snapshot, row: AttemptRow, ended: Ended): Change {
  const result = row.finished?.result ?? null
  const kept = ended.outcome === 'succeeded' || (ended.outcome === 'stopped' && result !== null)
  const cancelled = snapshot.shard.order_kind === 'cancel'
  const state: TerminalState = cancelled
    ? 'cancelled'
    : kept
      ? 'succeeded'
      : consequences[ended.outcome].final
  const warnings: Warning[] =
    ended.outcome === 'stopped' && kept
      ? [{ code: 'stopped_early', message: 'The job was stopped; the result is the best up to then.' }]
      : []
  return {
    change: 'finish',
    state,
    outcome: ended.outcome,
    error: state === 'failed' ? ended.error : null,
    warnings,
    result: state === 'succeeded' ? result : null,
    cached_from: null,
  }
}

function mayRetry({ job, shard, elsewhere }: Snapshot, row: AttemptRow, ended: Ended): boolean {
  const rule = consequences[ended.outcome]
  if (rule.retry === 'never' || shard.order_kind) return false
  if (job.shards_failed > 0 && job.spec.parallelism.on_shard_failure === 'fail') return false
  if (failsAgain(ended)) return false
  if (rule.retry === 'elsewhere' && !elsewhere(row.provider)) return false
  if (rule.retry === 'once_elsewhere' && shard.excluded_providers.length > 0) return false
  if (rule.uses_up) return shard.attempts_used + 1 < job.spec.retry.max_attempts
  if (!row.started_at) return true
  return (
    shard.attempts_uncharged + 1 < maxUncharged && shard.attempts_without_progress + 1 < maxWithoutProgress
  )
}

/** Exit codes of the spec, the user's code and look-ahead: the same inputs fail again. */
const neverRetried = [2, 3, 4]
/** So does a command that is not in its image, or an input that is not what the spec says. */
const failsAgain = ({ exit_code, error }: Ended) =>
  (exit_code !== null && neverRetried.includes(exit_code)) || error?.code === 'invalid_params'

/** The next offer at once, where this one is remembered for its refusal; anything else after a backoff. */
function retryAt({ shard }: Snapshot, row: AttemptRow, { outcome }: Ended, now: Date): Date {
  return consequences[outcome].retry === 'next_offer' ? now : after(now, backoff(shard.attempts, row.id))
}

/** Seconds before the next try: doubled a time, with a jitter that depends only on the attempt. */
function backoff(attempts: number, attempt_id: string): number {
  const longest = Math.min(maxBackoff_s, backoff_s * 2 ** Math.min(attempts - 1, 10))
  let hash = 7
  for (const char of attempt_id) hash = (hash * 31 + char.charCodeAt(0)) % 1_009
  return longest * (0.5 + hash / 2_018)
}

// ---- a launch that the provider refused

/**
 * What a failed launch call means; null: its effect is not known, so it is looked for and repeated. When it was the
 * only call, nothing can have been made, and nothing is left to clean.
 */
export function launchFailure(
  snapshot: Snapshot,
  view: AttemptView,
  failed: { error: ProviderError; only_call: boolean },
  now: Date,
): Plan | null {
  const { error, only_call } = failed
  const outcome = only_call ? onlyOutcome(error) : launchOutcomes[error.code]
  if (!outcome || view.row.outcome || view.row.bound_at) return null
  const plan: Plan = { changes: [], calls: [], due_at: null }
  if (isRemembered(error.code) && !(error instanceof NotAsked))
    plan.changes.push({
      change: 'refused',
      offer: view.row.request.offer,
      code: error.code,
      detail: error.detail,
    })
  const code = outcome === 'quota' ? 'quota' : 'provider'
  conclude(snapshot, view, { outcome, exit_code: null, error: jobError(code, error.message) }, now, plan)
  if (only_call) plan.changes.push({ change: 'end', attempt_id: view.row.id })
  return plan
}

/** Nobody else may have made it: what was not let in or not even sent can go elsewhere at once. */
const onlyOutcome = (error: ProviderError): Outcome | null =>
  error.code === 'throttled' || error instanceof NotAsked ? 'no_capacity' : launchOutcomes[error.code]

const launchOutcomes = {
  capacity: 'no_capacity',
  quota: 'quota',
  balance: 'quota',
  unauthorized: 'quota',
  rejected: 'rejected',
  throttled: null,
  not_found: null,
  unavailable: null,
  unknown_outcome: null,
} as const satisfies Record<ProviderErrorCode, Outcome | null>
