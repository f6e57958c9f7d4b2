// Carries out the calls of plans against providers, after their commit, and records what came of them. What is ready
// at one time is announced in one statement; what has been answered by the time the last record is written is recorded
// in one commit.
import { sql } from 'kysely'
import type { Handle } from '../providers/provider.ts'
import { ProviderError } from '../providers/errors.ts'
import { launchFailure } from './decide.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { providerOf, refOf } from './observe.ts'
import { after, type AttemptRow, type Call, type JobRow, type Plan, type Snapshot } from './plan.ts'
import type { Commit } from './store/batch.ts'
import { registryOf } from './secrets.ts'
import { type Claimed, giveBack } from './store/claim.ts'
import { commitDecisions } from './store/commit.ts'
import { accountKey } from './store/open.ts'
import { loadFacts } from './store/snapshot.ts'
import { bootstrapToken, runnerToken } from './tokens.ts'

/** A call that takes longer has an unknown outcome. Half the lease, so that its record still fits. */
const call_ms = 60_000
/** What is answered so soon after another call is recorded together with it. */
const together_ms = 50
/** A plan that was committed, and what it was decided with. */
export interface Action {
  commit: Commit
  plan: Plan
  snapshot: Snapshot
}

/** An attempt that is called. */
type Called = Pick<
  AttemptRow,
  'id' | 'shard_id' | 'provider' | 'account' | 'region' | 'nonce' | 'request' | 'handle'
>

interface Pending extends Call {
  action: Action
  provider: string
  account: string
  /** The attempt, where the commit has announced the call and holds a lane for it; null: that is still to be done. */
  announced: Called | null
}

/** What came of a call. Without a row it was not made: the lease was lost, and whoever has it now decides again. */
interface Answer {
  pending: Pending
  row: Called | null
  handle?: Handle
  error?: ProviderError
}

/** Makes calls, and gives the lease of each shard back when its last one is recorded. Never throws. */
export async function act(deps: Deps, actions: readonly Action[]): Promise<void> {
  const left = new Map(actions.map((action) => [action, action.plan.calls.length]))
  const accounts = Map.groupBy(
    actions.flatMap(pendingOf),
    ({ provider, account }) => `${provider}/${account}`,
  )
  await Promise.all([...accounts.values()].map((pending) => callAccount(deps, pending, left)))
}

function pendingOf(action: Action): Pending[] {
  const { plan, snapshot } = action
  const intent = plan.changes.find((change) => change.change === 'launch')
  return plan.calls.flatMap((call): Pending[] => {
    const known = snapshot.attempts.find(({ row }) => row.id === call.attempt_id)?.row
    if (known) return [{ ...call, action, provider: known.provider, account: known.account, announced: null }]
    if (!intent) return []
    const { id, nonce, request } = intent.attempt
    const { provider, account, region } = request.offer
    const { shard_id } = action.commit.claimed
    const announced = { id, shard_id, provider, account, region, nonce, request, handle: null }
    return [{ ...call, action, provider, account, announced: intent.announced ? announced : null }]
  })
}

/** Makes the calls of one account, no more of them at once than it has lanes. */
async function callAccount(
  deps: Deps,
  pending: readonly Pending[],
  left: Map<Action, number>,
): Promise<void> {
  const waiting = pending.filter(({ announced }) => !announced)
  const [first] = pending
  if (!first) return
  const account = accountKey(first)
  const most = lanesOf(deps, first)
  const answers: Answer[] = []
  let underWay = 0
  let answered = Promise.withResolvers<void>()
  let quiet = Promise.withResolvers<void>()
  const begin = (each: Pending, row: Called | null) => {
    underWay++
    void call(deps, each, row).then((answer) => {
      underWay--
      deps.lanes.give(account, 1)
      answers.push(answer)
      answered.resolve()
      if (underWay === 0) quiet.resolve()
    })
  }
  deps.lanes.wait(account, waiting.length)
  for (const each of pending) if (each.announced) begin(each, each.announced)
  while (waiting.length + underWay + answers.length > 0) {
    const ready = waiting.splice(0, deps.lanes.take(account, waiting.length, most))
    if (ready.length > 0) {
      deps.lanes.wait(account, -ready.length)
      const rows = await announce(deps, ready)
      for (const each of ready) begin(each, rows.get(each.attempt_id) ?? null)
    }
    await Promise.race([answered.promise, ...(underWay === 0 ? [deps.lanes.freed(account)] : [])])
    // Whoever waits for a lane does not wait for this.
    if (underWay > 0 && waiting.length === 0) await Promise.race([quiet.promise, deps.gather?.(together_ms)])
    answered = Promise.withResolvers()
    quiet = Promise.withResolvers()
    if (answers.length > 0) await record(deps, answers.splice(0), left)
  }
}

/** Calls of an account at once: as many as its vendor allows a second, since most take less than that. */
export function lanesOf(deps: Pick<Deps, 'providers'>, at: { provider: string; account: string }): number {
  return Math.max(1, Math.ceil(providerOf(deps, at)?.traits.calls_per_s ?? 1))
}

/**
 * Writes that calls are about to be made, where the lease is still ours; then any replica knows that they may have
 * been. Answers with the attempts that may be called.
 */
async function announce(deps: Deps, pending: readonly Pending[]): Promise<Map<string, Called>> {
  const now = deps.clock.now()
  const ids = pending.map(({ attempt_id }) => attempt_id)
  const kinds = pending.map(({ call: kind }) => kind)
  const shards = pending.map(({ action }) => action.commit.claimed.shard_id)
  const tokens = pending.map(({ action }) => action.commit.claimed.lease.token)
  try {
    // The shards are locked first and in order, as by everyone who writes attempts.
    const { rows } = await sql<Called>`/* announce calls */
      with about as (
        select * from unnest(${ids}::text[], ${kinds}::text[], ${shards}::text[], ${tokens}::text[])
          as about(attempt_id, call, shard_id, token)
      ), ours as (
        select s.id, s.lease_token from shards s
        where s.id = any(${shards}::text[]) and s.leased_until > ${now}
        order by s.id for no key update of s)
      update attempts set
        launch_called_at = case about.call when 'launch' then ${now} else launch_called_at end,
        first_called_at = case about.call when 'launch' then coalesce(first_called_at, ${now}) else first_called_at end,
        stop_called_at = case about.call when 'stop' then ${now} else stop_called_at end
      from about join ours on ours.id = about.shard_id and ours.lease_token = about.token
      where attempts.id = about.attempt_id and attempts.shard_id = ours.id
        -- The same commit may have told it to stop, without room in a budget.
        and (about.call = 'stop' or attempts.state = 'launching')
      returning attempts.id, attempts.shard_id, provider, account, region, nonce, request, handle`.execute(
      deps.db,
    )
    return new Map(rows.map((row) => [row.id, row]))
  } catch (error) {
    deps.log('error', 'calls were not announced', { calls: pending.length, error: String(error) })
    return new Map()
  }
}

async function call(deps: Deps, pending: Pending, row: Called | null): Promise<Answer> {
  if (!row) return { pending, row: null }
  if (pending.call === 'launch')
    return { pending, row, ...(await launch(deps, row, pending.action.snapshot.job)) }
  await stop(deps, row)
  return { pending, row }
}

async function launch(
  deps: Deps,
  row: Called,
  job: Pick<JobRow, 'project_id' | 'spec'>,
): Promise<Pick<Answer, 'handle' | 'error'>> {
  const provider = providerOf(deps, row)
  if (!provider) return {}
  const bearer = { ...row, attempt_id: row.id }
  const token = runnerToken(deps.runner_key, bearer)
  const bootstrap = bootstrapToken(deps.runner_key, bearer)
  try {
    const launched = registryOf(deps, job).then((registry) =>
      provider.launch(row.request, { token, bootstrap, registry }, AbortSignal.timeout(call_ms)),
    )
    return { handle: await launched }
  } catch (error) {
    const known = error instanceof ProviderError ? error : null
    deps.log('warn', 'launch failed', {
      attempt: row.id,
      code: known?.code ?? 'unknown_outcome',
      detail: known?.detail ?? 'an unexpected error',
    })
    return known ? { error: known } : {}
  }
}

async function stop(deps: Deps, row: Called): Promise<void> {
  const provider = providerOf(deps, row)
  if (!provider) return
  try {
    await provider.stop(refOf(row), AbortSignal.timeout(call_ms))
  } catch (error) {
    // Confirmed by inspect alone; decide asks again until it is.
    const detail = error instanceof ProviderError ? `${error.code}: ${error.detail}` : 'an unexpected error'
    deps.log('warn', 'stop failed', { attempt: row.id, detail })
  }
}

/** Writes what calls came to, and gives back the leases of shards that have no other under way. Never throws. */
async function record(deps: Deps, answers: readonly Answer[], left: Map<Action, number>): Promise<void> {
  const over = new Set<Claimed>()
  for (const { action } of answers.map(({ pending }) => pending)) {
    const more = (left.get(action) ?? 1) - 1
    left.set(action, more)
    if (more === 0) over.add(action.commit.claimed)
  }
  try {
    const launched = answers.flatMap((answer) => launchedBy(deps, answer))
    const commits = [...launched, ...(await failed(deps, answers))]
    const now = deps.clock.now()
    const committing = { ...deps, public_url: deps.settings.public_url }
    const done = commits.length > 0 ? await commitDecisions(committing, commits, now) : []
    for (const [index, { claimed }] of commits.entries()) {
      const answer = done[index]
      if (answer === 'done') over.delete(claimed)
      if (typeof answer === 'object')
        deps.log('error', 'a call was not recorded', {
          shard: claimed.shard_id,
          error: String(answer.error),
        })
    }
  } catch (error) {
    deps.log('error', 'calls were not recorded', { calls: answers.length, error: String(error) })
  }
  if (over.size > 0) await giveBack(deps, [...over])
  deps.waker.wake(topics.pass)
}

function launchedBy(deps: Deps, { pending, row, handle }: Answer): Commit[] {
  if (!row || !handle) return []
  const { commit, snapshot } = pending.action
  const { offer } = row.request
  const plan: Plan = {
    changes: [
      { change: 'launched', attempt_id: row.id, handle },
      ...(snapshot.has_refused(offer) ? [{ change: 'taken' as const, offer }] : []),
    ],
    calls: [],
    // The intent said when to look first.
    due_at: after(deps.clock.now(), snapshot.look_s),
  }
  return [{ ...commit, facts_version: null, plan }]
}

/** What follows from launches that failed in a way that is known, by the facts as they are now. */
async function failed(deps: Deps, answers: readonly Answer[]): Promise<Commit[]> {
  const known = answers.filter(({ error }) => error !== undefined)
  if (known.length === 0) return []
  const claimed = known.map(({ pending }) => pending.action.commit.claimed)
  const facts = await loadFacts(deps.db, claimed, deps.clock.now())
  return known.flatMap(({ pending: { action }, row, error }): Commit[] => {
    const { commit, snapshot } = action
    const now_is = facts.find(({ shard }) => shard.id === commit.claimed.shard_id)
    const view = now_is?.attempts.find((each) => each.row.id === row?.id)
    if (!now_is || !view || !error) return []
    const { job, shard } = now_is
    const traits = snapshot.traits_of(view.row.provider, view.row.account)
    // Calls of others before ours may still take effect, whatever was answered to this one.
    const before = snapshot.attempts.find((each) => each.row.id === view.row.id)
    const plan = launchFailure(
      { ...snapshot, job, shard, attempts: [] },
      { ...view, traits, seen: null },
      { error, only_call: !before?.row.launch_called_at },
      deps.clock.now(),
    )
    return plan ? [{ ...commit, facts_version: shard.facts_version, plan }] : []
  })
}
