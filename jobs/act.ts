// Carries out the calls of a plan against a provider, after the commit, and records what came of them.
import { sql } from 'kysely'
import { ProviderError } from '../providers/errors.ts'
import { launchFailure } from './decide.ts'
import type { Deps } from './deps.ts'
import { topics } from './deps.ts'
import { providerOf, refOf } from './observe.ts'
import type { AttemptRow, Call, Snapshot } from './plan.ts'
import { type Claimed, giveBack } from './store/claim.ts'
import { commitDecisions } from './store/commit.ts'
import { loadFacts } from './store/snapshot.ts'
import { runnerToken } from './tokens.ts'

/** A call that takes longer has an unknown outcome. Half the lease, so that its record still fits. */
const call_ms = 60_000

/** Makes the calls for one shard, then gives its lease back. Never throws. */
export async function act(
  deps: Deps,
  claimed: Claimed,
  calls: readonly Call[],
  snapshot: Snapshot,
): Promise<void> {
  try {
    for (const { call, attempt_id } of calls) {
      const row = await announce(deps, claimed, call, attempt_id)
      // Not ours any more: whoever has the lease now decides again.
      if (!row) return
      if (call === 'launch') await launch(deps, claimed, row, snapshot)
      else await stop(deps, row)
    }
  } catch (error) {
    deps.log('error', 'a call failed', { shard: claimed.shard_id, error: String(error) })
  } finally {
    await giveBack(deps, [claimed])
    deps.waker.wake(topics.pass)
  }
}

/** Writes that the call is about to be made, if the lease is still ours; then any replica knows it may have been. */
async function announce(
  deps: Deps,
  { shard_id, lease }: Claimed,
  call: Call['call'],
  attempt_id: string,
): Promise<AttemptRow | null> {
  const now = deps.clock.now()
  const row = await deps.db
    .updateTable('attempts')
    .set(call === 'launch' ? { launch_called_at: now } : { stop_called_at: now })
    .where('id', '=', attempt_id)
    .where('shard_id', '=', shard_id)
    .where(
      sql<boolean>`exists (select from shards s where s.id = ${shard_id}
        and s.lease_token = ${lease.token} and s.leased_until > ${now})`,
    )
    .returningAll()
    .executeTakeFirst()
  return row ?? null
}

async function launch(deps: Deps, claimed: Claimed, row: AttemptRow, snapshot: Snapshot): Promise<void> {
  const provider = providerOf(deps, row)
  if (!provider) return
  const { offer } = row.request
  const token = runnerToken(deps.runner_key, { ...row, attempt_id: row.id })
  try {
    const handle = await provider.launch(row.request, { token }, AbortSignal.timeout(call_ms))
    await commitDecisions(
      { ...deps, public_url: deps.settings.public_url },
      {
        claimed,
        job_id: row.job_id,
        facts_version: null,
        plan: {
          changes: [
            { change: 'launched', attempt_id: row.id, handle },
            ...(snapshot.has_refused(offer) ? [{ change: 'taken' as const, offer }] : []),
          ],
          calls: [],
          due_at: new Date(deps.clock.now().getTime() + firstLook_ms),
        },
      },
      deps.clock.now(),
    )
  } catch (error) {
    await launchFailed(deps, claimed, row, snapshot, error)
  }
}

/** After a launch the runner speaks first; a look before that only costs a call. */
const firstLook_ms = 2_000

async function launchFailed(
  deps: Deps,
  claimed: Claimed,
  row: AttemptRow,
  snapshot: Snapshot,
  error: unknown,
): Promise<void> {
  const known = error instanceof ProviderError ? error : null
  deps.log('warn', 'launch failed', {
    attempt: row.id,
    code: known?.code ?? 'unknown_outcome',
    detail: known?.detail ?? 'an unexpected error',
  })
  if (!known) return
  const [facts] = await loadFacts(deps.db, [claimed], deps.clock.now())
  const view = facts?.attempts.find((each) => each.row.id === row.id)
  if (!facts || !view) return
  const fresh = { ...snapshot, job: facts.job, shard: facts.shard, attempts: [] }
  const traits = snapshot.traits_of(row.provider, row.account)
  // Calls of others before ours may still take effect, whatever was answered to this one.
  const before = snapshot.attempts.find((each) => each.row.id === row.id)
  const failed = { error: known, only_call: !before?.row.launch_called_at }
  const plan = launchFailure(fresh, { ...view, traits, seen: null }, failed, deps.clock.now())
  if (!plan) return
  await commitDecisions(
    { ...deps, public_url: deps.settings.public_url },
    { claimed, job_id: row.job_id, facts_version: facts.shard.facts_version, plan },
    deps.clock.now(),
  )
}

async function stop(deps: Deps, row: AttemptRow): Promise<void> {
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
