// Why a job is where it is: what it waits for, which offers were rejected and why, when the next try is.
import type { Deps } from './deps.ts'
import { loadPlaces, loadWork, nextTry, type Places, rank } from './market.ts'
import type { JobRow, ShardRow } from './plan.ts'
import { passing, type Ranking, rejections } from './place.ts'
import { findJob } from './read.ts'
import { type RankingView, rankingView } from './ranking-view.ts'
import { isTerminal, type JobState } from './state.ts'
import { allowance, noMoney, shardSpec } from './shards.ts'
import { moneyOf } from './store/snapshot.ts'
import { tooPoor } from './wait.ts'

/** Attempts that are told of; the rest is at /attempts. */
const maxAttempts = 20
/** The queue is counted no further than this. */
const maxPosition = 10_000
/** Accounts that a reason names. */
const maxNamed = 3
/** A runner that has not spoken for this long is worth a word; nothing follows from it. */
const silent_ms = 120_000

export interface Explanation extends RankingView {
  state: JobState
  reason: { code: string; text: string }
  /** Since when it is so. */
  since: string
  /** Shards that wait for the same places and stand before it, itself included; null: it does not wait, or more than 10,000 do. */
  queue_position: number | null
  /** null: nobody can tell. */
  eta_s: number | null
  next_try_at: string | null
  /** The job whose result this one waits for. */
  follows: string | null
  attempts: { id: string; outcome: string | null; text: string }[]
}

/** Throws AppError not_found. */
export async function explainJob(deps: Deps, project_id: string, job_id: string): Promise<Explanation> {
  const job = await findJob(deps, project_id, job_id)
  const attempts = await attemptsOf(deps, job_id)
  const shown = attempts.toReversed().map(({ id, outcome, error, provider, offer_id }) => ({
    id,
    outcome,
    text: error?.message ?? `${outcome ?? 'is open'} on ${provider} ${offer_id}`,
  }))
  const { follows } = job
  const none = { queue_position: null, eta_s: null, next_try_at: null, follows, attempts: shown }
  const stored = attempts[0]?.ranking ?? { offers: [], rejected: [] }
  if (isTerminal(job.state))
    return {
      ...none,
      ...stored,
      state: job.state,
      since: at(job.finished_at ?? job.created_at),
      reason: ended(job),
    }
  const shard = await nextShard(deps, job_id)
  if (shard?.state !== 'waiting') {
    const told = runs(job, attempts[0], deps.clock.now())
    return { ...none, ...stored, state: job.state, ...told }
  }
  return { ...none, ...(await waiting(deps, job, shard, attempts[0]?.outcome ?? null)), state: job.state }
}

type Told = Pick<Explanation, 'reason' | 'since'>

function ended({ outcome, state, error, cached_from }: JobRow): Explanation['reason'] {
  if (cached_from) return { code: 'cached', text: `It was given the result of ${cached_from}.` }
  return { code: outcome ?? state, text: error?.message ?? `The job has ${state}.` }
}

type Attempt = Awaited<ReturnType<typeof attemptsOf>>[number]

function runs(job: JobRow, attempt: Attempt | undefined, now: Date): Told {
  const told = (code: string, text: string, since: Date | null): Told => ({
    reason: { code, text },
    since: at(since ?? job.created_at),
  })
  if (!attempt) return told(job.state, `The job is ${job.state}.`, job.created_at)
  const place = `${attempt.provider} ${attempt.offer_id}`
  if (attempt.stop_reason)
    return told(
      'stopping',
      `The attempt on ${place} was told to stop: ${attempt.stop_reason}.`,
      attempt.stop_by,
    )
  if (!attempt.bound_at)
    return attempt.launched_at
      ? told(
          'starting',
          `The machine on ${place} has been launched; its runner has not spoken yet.`,
          attempt.launched_at,
        )
      : told('launching', `${place} is asked for a machine.`, attempt.created_at)
  const heard_at = attempt.heard_at ?? attempt.bound_at
  if (now.getTime() - heard_at.getTime() > silent_ms)
    return told(
      'unresponsive',
      `Its runner on ${place} has said nothing since then; it goes on as long as the ` + 'machine lives.',
      heard_at,
    )
  return told('running', `It runs on ${place}.`, attempt.started_at)
}

async function waiting(deps: Deps, job: JobRow, shard: ShardRow, last_outcome: string | null) {
  const now = deps.clock.now()
  const places = await loadPlaces(deps)
  const money = await moneyOf(deps.db, [job.id], now)
  const work = {
    project_id: job.project_id,
    spec: shardSpec(job, shard.role),
    part: { role: shard.role, of: job.shards_total },
    excluded_providers: shard.excluded_providers,
    allowance_micros: allowance(job, shard.role, money.get(job.id) ?? noMoney),
  }
  await loadWork(deps, places, [work])
  const ranking = rank(places, work, now)
  const held_until = await heldUntil(deps, now)
  const not_before = shard.not_before && shard.not_before > now ? shard.not_before : null
  const next = held_until ?? not_before ?? nextTry(places, work, now)
  return {
    ...rankingView(ranking),
    reason: reasonOf({
      shard,
      ranking,
      held: held_until !== null,
      not_before,
      last_outcome,
      places,
      follows: job.follows,
    }),
    since: at(shard.waiting_since ?? shard.created_at),
    queue_position: not_before ? null : await positionOf(deps, shard),
    next_try_at: next && at(next),
  }
}

interface Wait {
  shard: ShardRow
  ranking: Ranking
  held: boolean
  not_before: Date | null
  last_outcome: string | null
  places: Places
  follows: string | null
}

function reasonOf(wait: Wait): Explanation['reason'] {
  return delayed(wait) ?? placeless(wait)
}

/** What it waits for, if that is not a place. */
function delayed({ shard, held, not_before, last_outcome, follows }: Wait): Explanation['reason'] | null {
  if (shard.order_kind) return { code: 'ordered', text: `A ${shard.order_kind} was asked for.` }
  if (not_before && shard.wait_reason === 'follows')
    return { code: 'follows', text: `${follows} is at work on the same: this job takes its result.` }
  if (held)
    return {
      code: 'restored',
      text: 'The database was restored from a copy: launches wait for runners that report.',
    }
  if (!not_before) return null
  return shard.wait_reason === 'budget'
    ? {
        code: 'budget',
        text: 'A budget of the project has no room: raise it (PUT /v1/budgets), or wait for its period.',
      }
    : {
        code: 'backoff',
        text: `The last attempt was ${last_outcome ?? 'ended'}: the next one waits a while.`,
      }
}

function placeless({ ranking, places }: Wait): Explanation['reason'] {
  if (ranking.ranked.length > 0)
    return { code: 'queued', text: 'There is a place: it is launched when its turn comes.' }
  if (places.offers.length === 0)
    return { code: 'no_offers', text: 'No provider offers anything at the moment: configure one, or wait.' }
  if (tooPoor(ranking)) return { code: 'over_budget', text: 'What is left of budget_usd pays for no offer.' }
  if (!ranking.can_wait)
    return { code: 'unsatisfiable', text: 'No offer can ever take this job: see rejected.' }
  const [first] = ranking.rejected
    .filter(({ reason }) => passing.has(reason))
    .toSorted((a, b) => b.count - a.count)
  if (!first) return { code: 'queued', text: 'Every offer that fits is taken at the moment.' }
  const { reason, accounts } = first
  const others = accounts.length > maxNamed ? ` and ${accounts.length - maxNamed} more` : ''
  return {
    code: reason,
    text:
      'Every offer that fits is taken or refused at the moment. ' +
      `${accounts.slice(0, maxNamed).join(', ')}${others}: ${rejections[reason]}.`,
  }
}

async function heldUntil(deps: Deps, now: Date): Promise<Date | null> {
  const { launches_held_until } = await deps.db
    .selectFrom('installation')
    .select('launches_held_until')
    .executeTakeFirstOrThrow()
  return launches_held_until && launches_held_until > now ? launches_held_until : null
}

async function positionOf(deps: Deps, { shape_hash, queue_key }: ShardRow): Promise<number | null> {
  const { count } = await deps.db
    .selectFrom((from) =>
      from
        .selectFrom('shards')
        .select('id')
        .where('shape_hash', '=', shape_hash)
        .where('state', '=', 'waiting')
        .where('not_before', 'is', null)
        .where('queue_key', '<=', queue_key)
        .limit(maxPosition + 1)
        .as('before'),
    )
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow()
  return Number(count) > maxPosition ? null : Number(count)
}

async function nextShard(deps: Deps, job_id: string): Promise<ShardRow | undefined> {
  return deps.db
    .selectFrom('shards')
    .selectAll()
    .where('job_id', '=', job_id)
    .where('state', 'in', ['waiting', 'active'])
    .orderBy('state', 'desc')
    .orderBy('index')
    .limit(1)
    .executeTakeFirst()
}

async function attemptsOf(deps: Deps, job_id: string) {
  return deps.db
    .selectFrom('attempts')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .selectAll('attempts')
    .select('heartbeats.at as heard_at')
    .where('job_id', '=', job_id)
    .orderBy('attempts.id', 'desc')
    .limit(maxAttempts)
    .execute()
}

const at = (time: Date) => time.toISOString()
