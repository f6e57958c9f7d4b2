// How each change of a plan is written. Called by commitDecisions alone, inside its transaction.
import { sql } from 'kysely'
import { costMicros } from '../cost.ts'
import type { Change, JobRow, ShardRow } from '../plan.ts'
import { classOf, type DeviceClass } from '../shards.ts'
import { book, extend, type Held, settle } from './budgets.ts'
import type { JobDelta } from './fold.ts'
import { forgetRefusals, noteRefusal } from './open.ts'
import { moveAttempt, moveShard } from './move.ts'
import type { JobError, Tx } from './schema.ts'

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

export interface Scope {
  job: JobRow | null
  shard: ShardRow
  delta: JobDelta
  now: Date
  /** What a launch spends from, locked. */
  budgets: readonly Held[]
}

type Of<Name extends Change['change']> = Extract<Change, { change: Name }>
type Writer<Name extends Change['change']> = (tx: Tx, scope: Scope, change: Of<Name>) => Promise<void>

/** Writes one change. */
export async function apply(tx: Tx, scope: Scope, change: Change): Promise<void> {
  await (writers[change.change] as Writer<Change['change']>)(tx, scope, change)
}

const writers: { [Name in Change['change']]: Writer<Name> } = {
  launch,
  launched: (tx, { now }, { attempt_id, handle }) =>
    moveAttempt(tx, attempt_id, 'starting', { handle: JSON.stringify(handle), launched_at: now }),
  adopted: (tx, { now }, { attempt_id, handle, since, instance }) =>
    moveAttempt(tx, attempt_id, 'starting', {
      handle: JSON.stringify(handle),
      launch_called_at: since,
      launched_at: since,
      instance,
      bound_at: now,
    }),
  async run(tx, scope, { attempt_id, started_at }) {
    count(scope, { running: 1 })
    if (scope.shard.role === 'merge') scope.delta.merge_runs = true
    await moveAttempt(tx, attempt_id, 'running', {
      started_at,
      launched_at: sql<Date>`coalesce(launched_at, ${started_at})`,
    })
  },
  order_stop: (tx, _, { attempt_id, reason, stop_by }) =>
    moveAttempt(tx, attempt_id, 'stopping', { stop_reason: reason, stop_by }),
  sight: (tx, { now }, change) => sight(tx, change, now),
  conclude,
  end: (tx, scope, { attempt_id }) => end(tx, scope, attempt_id),
  requeue,
  finish,
  extend: extendOrStop,
  park,
  queue,
  refused: (tx, { now }, { offer, code }) => noteRefusal(tx, offer, code, now),
  taken: (tx, _, { offer }) => forgetRefusals(tx, offer),
  async cancelling(_, { delta }) {
    delta.cancelling = true
  },
}

async function launch(tx: Tx, { job, shard, delta, now, budgets }: Scope, { attempt }: Of<'launch'>) {
  const { request } = attempt
  const { offer } = request
  await tx
    .insertInto('attempts')
    .values({
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
      request: JSON.stringify(request),
      nonce: attempt.nonce,
      kind: attempt.kind,
      signature: attempt.signature,
      ranking: attempt.ranking && JSON.stringify(attempt.ranking),
      created_at: now,
    })
    .execute()
  await book(tx, budgets, { ...attempt, job_id: shard.job_id }, now)
  const waited = now.getTime() - (shard.waiting_since ?? now).getTime()
  if (shard.role === 'work') {
    delta.device_class = classOf(offer)
    if (job && job.shards_total > 1 && job.device_class === null) await fixDevice(tx, shard, classOf(offer))
  }
  await moveShard(tx, shard, 'active', {
    attempts: shard.attempts + 1,
    waiting_since: null,
    wait_reason: null,
    waited_ms: shard.waited_ms + Math.max(0, waited),
  })
  count({ shard, delta }, { waiting: -1, active: 1 })
  if (shard.role === 'merge') delta.merge_state = 'active'
  delta.provider = offer.provider
  delta.attempt = {
    id: attempt.id,
    provider: offer.provider,
    account: offer.account,
    region: offer.region,
    offer: offer.id,
    usd_per_hour: offer.usd_per_hour,
    shard: shard.index,
    job_id: job?.id ?? shard.job_id,
  }
}

/** From the first launch on all parts of a job run on one class of device: those that wait differ from now on. */
async function fixDevice(tx: Tx, shard: ShardRow, device_class: DeviceClass): Promise<void> {
  await sql`
    update shards set shape_hash = left(encode(sha256(convert_to(shape_hash || ${device_class}, 'UTF8')), 'hex'), 16)
    where job_id = ${shard.job_id} and state = 'waiting' and role = 'work' and id <> ${shard.id}`.execute(tx)
}

async function sight(tx: Tx, { attempt_id, seen, gone_since, exited_since }: Of<'sight'>, now: Date) {
  await tx
    .updateTable('attempts')
    .set({
      seen_state: seen.state,
      seen_detail: seen.detail?.slice(0, 1_000) ?? null,
      seen_exit_code: seen.state === 'exited' ? seen.exit_code : null,
      seen_at: now,
      gone_since,
      exited_since,
    })
    .where('id', '=', attempt_id)
    .execute()
}

async function conclude(tx: Tx, scope: Scope, change: Of<'conclude'>) {
  const row = await tx
    .selectFrom('attempts')
    .select(['state', 'started_at', 'outcome'])
    .where('id', '=', change.attempt_id)
    .executeTakeFirstOrThrow()
  if (row.outcome) throw new Error(`attempt ${change.attempt_id} already has an outcome`)
  if (row.started_at) count(scope, { running: -1 })
  const error: JobError | null = change.error && {
    ...change.error,
    log_tail: await logTail(tx, change.attempt_id),
  }
  scope.delta.error = error
  const values = {
    outcome: change.outcome,
    outcome_at: scope.now,
    exit_code: change.exit_code,
    error: error && JSON.stringify(error),
  }
  // One that was told to stop is stopping already.
  if (row.state !== 'stopping') return moveAttempt(tx, change.attempt_id, 'stopping', values)
  await tx.updateTable('attempts').set(values).where('id', '=', change.attempt_id).execute()
}

async function end(tx: Tx, { now }: Scope, attempt_id: string) {
  await moveAttempt(tx, attempt_id, 'ended', { ended_at: now })
  const row = await tx
    .selectFrom('attempts')
    .selectAll()
    .where('id', '=', attempt_id)
    .executeTakeFirstOrThrow()
  const usd_micros = costMicros({ ...row, billed_from: row.launched_at, billed_to: now }, now)
  await settle(tx, row, usd_micros, now)
  await tx
    .insertInto('ledger')
    .values({
      project_id: row.project_id,
      job_id: row.job_id,
      attempt_id,
      entry: 'settle',
      usd_micros,
      basis: row.basis,
      billed_from: row.launched_at,
      billed_to: row.launched_at && now,
      at: now,
    })
    .execute()
}

async function extendOrStop(tx: Tx, { now }: Scope, change: Of<'extend'>) {
  const row = await tx
    .selectFrom('attempts')
    .selectAll()
    .where('id', '=', change.attempt_id)
    .executeTakeFirstOrThrow()
  if (await extend(tx, row, now)) return
  await moveAttempt(tx, row.id, 'stopping', { stop_reason: 'over_budget', stop_by: change.stop_by })
}

async function park(tx: Tx, { shard }: Scope, { reason, not_before }: Of<'park'>) {
  await tx.updateTable('shards').set({ wait_reason: reason, not_before }).where('id', '=', shard.id).execute()
}

async function queue(tx: Tx, { shard }: Scope) {
  await tx
    .updateTable('shards')
    .set({ wait_reason: null, not_before: null })
    .where('id', '=', shard.id)
    .execute()
}

async function requeue(tx: Tx, scope: Scope, change: Of<'requeue'>) {
  const { shard, now, delta } = scope
  const excluded = change.exclude_provider
    ? [...new Set([...shard.excluded_providers, change.exclude_provider])]
    : shard.excluded_providers
  const charged = change.uses_up || change.after === 'no_capacity' ? 0 : 1
  await moveShard(tx, shard, 'waiting', {
    // What may go at once stands in the queue; the rest is looked at when its time has come.
    not_before: change.not_before > now ? change.not_before : null,
    shape_hash: change.shape_hash,
    waiting_since: now,
    attempts_used: shard.attempts_used + (change.uses_up ? 1 : 0),
    attempts_uncharged: shard.attempts_uncharged + charged,
    attempts_without_progress: change.progressed ? 0 : shard.attempts_without_progress + charged,
    excluded_providers: JSON.stringify(excluded),
  })
  count(scope, { waiting: 1, active: -1 })
  if (shard.role === 'merge') delta.merge_state = 'waiting'
  delta.events.push({
    type: 'job.retrying',
    data: {
      shard: shard.index,
      outcome: change.after,
      not_before: change.not_before.toISOString(),
      error: delta.error ?? null,
    },
  })
}

async function finish(tx: Tx, scope: Scope, change: Of<'finish'>) {
  const { job, shard, delta } = scope
  count(scope, { [shard.state === 'waiting' ? 'waiting' : 'active']: -1, [change.state]: 1 })
  await moveShard(tx, shard, change.state, { waiting_since: null })
  delta.warnings.push(...change.warnings)
  if (shard.role === 'merge') delta.merge_state = change.state
  // conclude() has put the log's end into the same error.
  const error = change.error && (delta.error ?? change.error)
  delta.finished = { state: change.state, outcome: change.outcome, error }
  if (change.cached_from) delta.cached_from = change.cached_from
  // Of several parts the merge has the result.
  const whole = shard.role === 'merge' || job?.shards_total === 1 || change.cached_from !== null
  if (whole && change.result !== null) delta.result = change.result
  if (change.state === 'failed')
    await tx
      .updateTable('shards')
      .set({ due_at: scope.now })
      .where('job_id', '=', shard.job_id)
      .where('state', 'in', ['waiting', 'active'])
      .execute()
}

/** The merge is none of the parts that are counted. */
function count({ shard, delta }: Pick<Scope, 'shard' | 'delta'>, by: JobDelta['counters']) {
  if (shard.role === 'merge') return
  for (const [name, change] of Object.entries(by) as [keyof typeof by, number][])
    delta.counters[name] = (delta.counters[name] ?? 0) + change
}

/** The last lines of an attempt's log, for the error that a user reads first. */
async function logTail(tx: Tx, attempt_id: string): Promise<string | null> {
  const chunks = await tx
    .selectFrom('log_chunks')
    .select('text')
    .where('attempt_id', '=', attempt_id)
    .where('stream', '<>', 'runner')
    .orderBy('number', 'desc')
    .limit(10)
    .execute()
  const text = chunks
    .reverse()
    .map((chunk) => chunk.text)
    .join('')
  return text === '' ? null : text.slice(-2_000)
}
