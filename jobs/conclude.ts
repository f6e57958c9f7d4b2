// What an end means: reports, stops and silence as outcomes, with the error a user reads.
import type { Observation } from '../providers/provider.ts'
import type { AttemptRow, Ended, Snapshot } from './plan.ts'
import { runEnd } from './run-bound.ts'
import type { ErrorCode, ErrorPlace, Outcome, StopReason } from './state.ts'
import type { Finished, JobError } from './store/schema.ts'

/** Exited; every other state is that of a machine that is gone. */
type Death = Pick<Observation, 'state'> & { exit_code?: number | null; reason?: string | null }

/** Where a failure lies, and what to do about it. */
const advice = {
  user_code: ['user', 'Your strategy raised an error: its traceback is in the log.'],
  invalid_params: ['user', 'Change the field that the message names and submit again.'],
  look_ahead: ['user', 'The strategy reads prices that were not known then: see result.look_ahead.'],
  out_of_memory: ['program', 'Ask for more resources.memory_gib, or for fewer symbols or parameter sets.'],
  disk_full: ['program', 'Ask for more resources.disk_gib; with the local provider, free some disk.'],
  killed: ['program', 'Something outside Berth killed the program; see the log.'],
  image: ['user', 'Check the image name and the registry secret.'],
  gpu_preflight: ['provider', 'The GPU or its driver did not answer; try another offer.'],
  start_timeout: ['provider', 'The machine did not start in time; try another offer or region.'],
  queue_timeout: ['berth', 'Widen placement or resources, or raise queue_timeout_s.'],
  timed_out: ['user', 'Raise timeout_s, or make the work smaller.'],
  deadline: ['user', 'Set a later deadline_at, or make the work smaller.'],
  over_budget: ['user', 'Raise budget_usd, or make the work smaller.'],
  preempted: ['provider', 'Use placement.spot "never", or submit again.'],
  lost: ['provider', 'The machine disappeared; submit again.'],
  quota: ['provider', 'The account is at its limit; raise it or use another account.'],
  runner_crashed: ['berth', 'The runner or the program could not work; see the log.'],
  provider: ['provider', 'The provider refused; the message says why.'],
  result_missing: ['program', 'The program ended without a result.json.'],
} as const satisfies Record<ErrorCode, readonly [ErrorPlace, string]>

/** Where it is a budget of the project that has no room. */
export const budgetHint = 'GET /v1/budgets says which is used up: raise it, or wait for its next period.'

export function jobError(
  code: ErrorCode,
  message: string,
  more: { exit_code?: number | null; hint?: string | null } = {},
): JobError {
  const [where, hint] = advice[code]
  return { code, message, where, exit_code: more.exit_code ?? null, hint: more.hint ?? hint, log_tail: null }
}

/** The report decides, unless a cancel was recorded before it: the first terminal fact wins. */
export function finishedOutcome({ shard }: Snapshot, row: AttemptRow): Ended | null {
  const { finished } = row
  if (!finished || row.finished_version === null) return null
  const ordered = shard.order_version !== null && shard.order_version < row.finished_version
  if (shard.order_kind === 'cancel' && ordered)
    return { outcome: 'cancelled', exit_code: finished.exit_code, error: null }
  if (!finished.failure && finished.exit_code === 0)
    return { outcome: 'succeeded', exit_code: 0, error: null }
  if (row.stop_reason) return outcomeOfStop(row.stop_reason, row)
  if (shard.order_kind === 'stop' && ordered) return outcomeOfStop('stopped', row)
  // The machine's own notice may come with the report, before a pass could order the stop.
  if (finished.failure === 'preempted') return outcomeOfStop('preempted', row)
  if (finished.failure === 'timed_out') return outcomeOfStop(timeoutReason(row), row)
  if (finished.failure === 'image')
    return { outcome: 'image_error', exit_code: null, error: reported(finished) }
  return { outcome: 'failed', exit_code: finished.exit_code, error: reported(finished) }
}

function reported(finished: Finished): JobError {
  const { exit_code, failure, error } = finished
  // Exit 1 and others that a program does not explain.
  const code = failure ?? 'runner_crashed'
  const message =
    error?.message ??
    (exit_code === null ? 'The program was killed.' : `The program ended with exit code ${exit_code}.`)
  return jobError(code, message, { exit_code, hint: error?.hint ?? null })
}

const ofStop = {
  cancelled: ['cancelled', null, ''],
  stopped: ['stopped', null, ''],
  timed_out: ['timed_out', 'timed_out', 'The attempt ran longer than timeout_s'],
  over_budget: ['over_budget', 'over_budget', 'The attempt would have cost more than'],
  deadline: ['timed_out', 'deadline', 'The job was not done at deadline_at'],
  preempted: ['preempted', 'preempted', 'The provider took the machine back'],
  start_timeout: [
    'no_capacity',
    'start_timeout',
    'The machine did not start within the bound of its provider',
  ],
  image: ['image_error', 'image', 'The image could not be pulled'],
  sibling_failed: ['cancelled', null, ''],
} as const satisfies Record<StopReason, readonly [Outcome, ErrorCode | null, string]>

export function outcomeOfStop(reason: StopReason, row: AttemptRow): Ended {
  const [outcome, code, text] = ofStop[reason]
  const exit_code = row.finished?.exit_code ?? null
  if (code === null) return { outcome, exit_code, error: null }
  if (reason === 'over_budget' && !isOfJob(row)) {
    const message = `${text} a budget of the project has room for.`
    return { outcome, exit_code, error: jobError(code, message, { exit_code, hint: budgetHint }) }
  }
  return { outcome, exit_code, error: jobError(code, `${text}${moreOf(reason, row)}.`, { exit_code }) }
}

function moreOf(reason: StopReason, { timeout_s, paid_s, seen_detail }: AttemptRow): string {
  if (reason === 'timed_out') return ` (${timeout_s} s)`
  if (reason === 'over_budget')
    return ` budget_usd, which pays for ${paid_s ?? timeout_s} s of it, its machine's start included`
  // The vendor's own words, where it names the image.
  return reason === 'image' && seen_detail ? `: ${seen_detail}` : ''
}

/** A runner may be over before a pass has seen its beginning. */
const endOf = (row: AttemptRow) => runEnd({ ...row, started_at: row.started_at ?? row.bound_at })

/** What ends a run whose time is over, as its runner or its vendor says. */
const timeoutReason = (row: AttemptRow) => endOf(row)?.reason ?? row.timeout_reason

/** Whether it is the job's own budget that is used up, and not one of its project. */
function isOfJob(row: AttemptRow): boolean {
  const end = endOf(row)
  return end?.reason === 'over_budget' && (row.stop_by === null || row.stop_by >= end.at)
}

/** Proof of death without a report: what the vendor says of it, else what the exit code or its absence tells. */
export function concludeBySilence(row: AttemptRow, proof: Death): Ended {
  if (row.stop_reason) return outcomeOfStop(row.stop_reason, row)
  if (proof.state !== 'exited' && proof.reason === 'capacity' && !row.bound_at) {
    const message = `${row.provider} gave the machine up before it was there.`
    const error = jobError('start_timeout', message)
    return { outcome: 'no_capacity', exit_code: null, error, unmade: true }
  }
  if (proof.state !== 'exited') {
    const outcome = row.spot || proof.reason === 'preempted' ? 'preempted' : 'lost'
    return {
      outcome,
      exit_code: null,
      error: jobError(outcome, `${row.provider} no longer knows the machine.`),
    }
  }
  const { exit_code = null, reason } = proof
  if (reason === 'preempted') return outcomeOfStop('preempted', row)
  if (reason === 'deadline') return outcomeOfStop(timeoutReason(row), row)
  if (reason === 'image') return outcomeOfStop('image', row)
  if (reason === 'out_of_memory') {
    const message = 'The container was killed: it used all of its memory.'
    return { outcome: 'failed', exit_code, error: jobError('out_of_memory', message, { exit_code }) }
  }
  if (exit_code === 0 || exit_code === null)
    return {
      outcome: 'lost',
      exit_code,
      error: jobError('lost', 'The machine ended without a report.', { exit_code }),
    }
  const error = jobError('runner_crashed', `The runner ended with exit code ${exit_code} and no report.`, {
    exit_code,
  })
  return { outcome: 'failed', exit_code, error }
}
