// What runners say: recorded as facts under the shard's lock; the pass decides what they mean.
import { sql } from 'kysely'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { AppError } from './errors.ts'
import { createGroup } from './group.ts'
import type { Beat } from './heartbeats.ts'
import { stopGrace_s } from './bounds.ts'
import type { AttemptRow } from './plan.ts'
import { writePartialPoints, writePoints } from './points.ts'
import type { Heartbeat, Report } from './report-schema.ts'
import { masked } from './mask.ts'
import { maskOf } from './secrets.ts'
import type { Database, Finished, Tx } from './store/schema.ts'
import { readTogether } from './together.ts'
import { adoptedInstance, isQuarantined, meetUnknownRunner } from './restore.ts'
import { type Bearer, readToken } from './tokens.ts'

/** What is read of an attempt each time that its runner speaks; what it was launched with is large. */
const runnerColumns = [
  'id',
  'project_id',
  'job_id',
  'shard_id',
  'shard_index',
  'kind',
  'nonce',
  'instance',
  'outcome',
  'stop_reason',
  'finished_version',
  'created_at',
] as const satisfies (keyof AttemptRow)[]
/** An attempt as its runner is answered for. */
export type RunnerAttempt = Pick<AttemptRow, (typeof runnerColumns)[number]>

export interface ReportAnswer {
  stop?: { reason: string; grace_ms: number }
  next_heartbeat_ms: number
}

/** The attempt that a runner's token speaks for. Throws AppError: unauthorized, attempt_over, quarantined. */
export const attemptOfToken = (deps: Deps, attempt_id: string, token: string): Promise<RunnerAttempt> =>
  checkToken(deps, attempt_id, token, readAttempt)

/** The same, with what else is read of it at once. */
export async function checkToken<Row extends RunnerAttempt>(
  deps: Deps,
  attempt_id: string,
  token: string,
  read: (deps: Deps, attempt_id: string) => Promise<Row | undefined>,
): Promise<Row> {
  const bearer = readToken(deps.runner_key, attempt_id, token)
  const row = bearer && (await read(deps, attempt_id))
  if (bearer && !row) await meetUnknownRunner(deps, bearer)
  if (!row || row.nonce !== bearer?.nonce)
    throw new AppError('unauthorized', 'This is not the token of this attempt.')
  if (row.outcome && row.finished_version === null)
    throw new AppError('attempt_over', `${attempt_id} is over: ${row.outcome}.`)
  return row
}

const readAttempt = readTogether<string, RunnerAttempt | undefined>(async (db, ids) => {
  const { rows } = await sql<RunnerAttempt>`/* find attempts */
    select ${attemptColumns} from attempts where id = any((select ${[...new Set(ids)]}::text[])::text[])`.execute(
    db,
  )
  const found = new Map(rows.map((row) => [row.id, row]))
  return ids.map((id) => found.get(id))
})
/** Columns of a RunnerAttempt in a statement. */
export const attemptColumns = sql.raw(runnerColumns.map((column) => `attempts.${column}`).join(', '))

/** How reports are written. */
export interface Recording {
  beat: Beat
  tell: Tell
}
/**
 * Writes a fact that is one row of an attempt that goes on, and answers of which; null: it was not written, and is to be looked at by
 * itself. Rejects with AppError: busy.
 */
type Tell = (
  attempt_id: string,
  token: string,
  said: Report,
  isGone?: () => boolean,
) => Promise<Pick<RunnerAttempt, 'stop_reason'> | null>
/** What decides something, and is not said again and again. */
type Fact = Exclude<Report, Heartbeat>

/**
 * Records one report, and answers of which attempt; the same again changes nothing. Throws AppError: unauthorized, attempt_over,
 * quarantined, superseded, checksum_mismatch, busy.
 */
export async function recordReport(
  deps: Deps,
  { beat, tell }: Recording,
  { id, token }: { id: string; token: string },
  said: Report,
  isGone?: () => boolean,
): Promise<Pick<RunnerAttempt, 'stop_reason'>> {
  const told = await tell(id, token, said, isGone)
  if (told) return told
  const attempt = await attemptOfToken(deps, id, token)
  const now = deps.clock.now()
  if (attempt.instance === null && said.type !== 'started' && !isOfMachine(said)) {
    // A restored database may not hold the start that it once acknowledged.
    if (!(await isQuarantined(deps, now)))
      throw new AppError('invalid_request', 'The first report of a runner is "started".')
    await recordFact(deps, attempt, { type: 'started', instance: adoptedInstance }, now)
  }
  if (said.type === 'heartbeat') {
    await beat(attempt, said, isGone)
    if (said.points) await writePartialPoints(deps, attempt, said.points)
    deps.waker.wake(topics.job(attempt.job_id))
    return attempt
  }
  await recordFact(deps, attempt, await withoutSecrets(deps, attempt, said), now)
  return attempt
}

/** Its last words are often the end of its output. */
async function withoutSecrets(deps: Deps, attempt: RunnerAttempt, said: Fact): Promise<Fact> {
  if (said.type !== 'finished' || !said.error) return said
  const mask = await maskOf(deps, attempt)
  return { ...said, error: { ...said.error, message: masked(mask(said.error.message)) } }
}

/** A machine says itself that its runner does not come up: no image, no driver. */
const isOfMachine = (said: Report): boolean => said.type === 'finished' && said.failure !== null

/** What a runner is told with every answer. */
export function answer(attempt: Pick<AttemptRow, 'stop_reason'>, next_heartbeat_ms: number): ReportAnswer {
  const stop = attempt.stop_reason ? { reason: attempt.stop_reason, grace_ms: stopGrace_s * 1_000 } : null
  return { ...(stop ? { stop } : {}), next_heartbeat_ms }
}

/** Text of facts in one statement: results of a mebibyte each are rare. */
const mostTogether_chars = 4 * 1024 ** 2

/** Starts and ends that come at once are written together. */
export function createTell(deps: Deps): Tell {
  const group = createGroup<Told, Written | null>({
    name: 'reports',
    clock: deps.clock,
    gather: deps.gather,
    weigh: ({ text }) => text.length,
    most_weight: mostTogether_chars,
    async run(told) {
      // The first of each attempt: another is looked at when it is known what that has come to.
      const first = new Map(told.toReversed().map((each) => [each.bearer.attempt_id, each]))
      const written = await writeFacts(deps.db, [...first.values()], deps.clock.now())
      return told.map((each) => {
        const { attempt_id } = each.bearer
        return { value: first.get(attempt_id) === each ? (written.get(attempt_id) ?? null) : null }
      })
    },
  })
  return async (attempt_id, token, said, isGone) => {
    const values = rowOf(said)
    const bearer = values && readToken(deps.runner_key, attempt_id, token)
    if (!bearer) return null
    const written = await group({ bearer, text: JSON.stringify({ ...bearer, ...values }) }, isGone)
    if (written) deps.waker.wake(topics.pass)
    return written
  }
}

/** A fact that is one row, as it is written. */
interface Told {
  bearer: Bearer
  text: string
}
type Written = Pick<RunnerAttempt, 'id' | 'stop_reason'>

/** What is written of a report; null: more than a row, or what has secrets to mask. */
function rowOf(said: Report): object | null {
  if (said.type === 'started') return { instance: said.instance, host: said.host ?? {} }
  if (said.type !== 'finished' || said.error || said.points?.length) return null
  return { finished: finishedOf(said), on_cpu: isOnCpu(said.result) }
}

/**
 * Writes the first word of each attempt, and its last after that, where neither this nor an outcome is there yet. The shards are locked
 * first, in the order of their ids, and what has waited for a lock is looked at as it is then. The arrays stand in a select of their own:
 * without their lengths one plan is as good as another, and is made once.
 */
async function writeFacts(db: Database, told: readonly Told[], now: Date): Promise<Map<string, Written>> {
  const attempts = told.map(({ bearer }) => bearer.attempt_id)
  const shards = told.map(({ bearer }) => bearer.shard_id)
  const { rows } = await sql<Written>`/* write facts */
    with given as materialized (
      select * from json_to_recordset(${`[${told.map(({ text }) => text).join()}]`}::json) as given(
        attempt_id text, shard_id text, nonce text, instance text, host jsonb, finished json, on_cpu boolean)),
    ours as materialized (
      select id, facts_version from shards where id = any((select ${shards}::text[])::text[])
      order by id for no key update),
    told as (
      update attempts set
        instance = coalesce(given.instance, attempts.instance),
        host = coalesce(given.host, attempts.host),
        bound_at = case when given.instance is null then attempts.bound_at else ${now}::timestamptz end,
        finished = given.finished,
        finished_at = case when given.finished is null then null else ${now}::timestamptz end,
        finished_version = case when given.finished is null then null else ours.facts_version + 1 end,
        device = case when given.on_cpu then 'cpu' else attempts.device end
      from given join ours on ours.id = given.shard_id
      where attempts.id = any((select ${attempts}::text[])::text[]) and attempts.id = given.attempt_id
        and attempts.shard_id = ours.id and attempts.nonce = given.nonce
        and attempts.outcome is null and attempts.finished_version is null
        and (attempts.instance is null) = (given.instance is not null)
      returning attempts.id, attempts.shard_id, attempts.stop_reason)
    update shards set facts_version = shards.facts_version + 1, due_at = ${now}::timestamptz
    from told where shards.id = any((select ${shards}::text[])::text[]) and shards.id = told.shard_id
    returning told.id, told.stop_reason`.execute(db)
  return new Map(rows.map((row) => [row.id, row]))
}

async function recordFact(deps: Deps, attempt: RunnerAttempt, said: Fact, now: Date): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    const shard = await tx
      .selectFrom('shards')
      .select(['id', 'facts_version'])
      .where('id', '=', attempt.shard_id)
      .forNoKeyUpdate()
      .executeTakeFirstOrThrow()
    const row = await tx
      .selectFrom('attempts')
      .selectAll()
      .where('id', '=', attempt.id)
      .executeTakeFirstOrThrow()
    const changed = await record(tx, row, said, { now, version: shard.facts_version + 1 })
    if (!changed) return
    await tx
      .updateTable('shards')
      .set({ facts_version: shard.facts_version + 1, due_at: now })
      .where('id', '=', shard.id)
      .execute()
  })
  deps.waker.wake(topics.pass)
}

/** Writes the fact; false when it was known already. */
async function record(
  tx: Tx,
  row: AttemptRow,
  said: Fact,
  at: { now: Date; version: number },
): Promise<boolean> {
  const write = (values: object) =>
    tx
      .updateTable('attempts')
      .set(values)
      .where('id', '=', row.id)
      .execute()
      .then(() => true)
  if (said.type === 'started') {
    if (row.instance === said.instance) return false
    if (row.instance !== null)
      throw new AppError('superseded', 'Another runner has bound this attempt: end this machine.')
    if (row.outcome) throw new AppError('attempt_over', `${row.id} is over: ${row.outcome}.`)
    return write({ instance: said.instance, host: JSON.stringify(said.host ?? {}), bound_at: at.now })
  }
  if (row.outcome && row.finished_version === null)
    throw new AppError('attempt_over', `${row.id} is over: ${row.outcome}.`)
  switch (said.type) {
    case 'preempting':
      return row.preempting_at ? false : write({ preempting_at: at.now })
    case 'checkpoint':
      return recordCheckpoint(tx, row, said)
    case 'finished':
      if (row.finished_version !== null) return false
      if (said.points && said.points.length > 0) await writePoints(tx, row, said.points)
      return write({
        finished: JSON.stringify(finishedOf(said)),
        finished_at: at.now,
        finished_version: at.version,
        ...(isOnCpu(said.result) ? { device: 'cpu' } : {}),
      })
  }
}

function finishedOf({ exit_code, failure, error, result }: Extract<Report, { type: 'finished' }>): Finished {
  return {
    exit_code,
    failure,
    error: error ? { message: error.message, hint: error.hint ?? null } : null,
    result: result ?? null,
  }
}

/** A program that found no use for its GPU says so; how it counts its GPUs is its own affair. */
function isOnCpu(result: unknown): boolean {
  const { engine } = (result ?? {}) as { engine?: { device?: unknown } | null }
  return engine?.device === 'cpu'
}

async function recordCheckpoint(
  tx: Tx,
  row: AttemptRow,
  said: Extract<Report, { type: 'checkpoint' }>,
): Promise<boolean> {
  const stored = await tx
    .selectFrom('artifacts')
    .select(['object_key', 'sha256', 'bytes'])
    .where('attempt_id', '=', row.id)
    .where('name', '=', said.name)
    // A replacement waits: it must see that what it replaces has become the checkpoint.
    .forUpdate()
    .executeTakeFirst()
  if (!stored || stored.sha256 !== said.sha256)
    throw new AppError('checksum_mismatch', `Checkpoint ${said.name} was not uploaded with this sha256.`)
  const checkpoint = { name: said.name, ...stored }
  await tx
    .updateTable('shards')
    .set({ checkpoint: JSON.stringify(checkpoint) })
    .where('id', '=', row.shard_id)
    .execute()
  await tx
    .updateTable('artifacts')
    .set({ purpose: 'checkpoint' })
    .where('attempt_id', '=', row.id)
    .where('name', '=', said.name)
    .execute()
  return true
}
