// Things that cost money and that no attempt of ours accounts for: found, shown, and stopped after a grace.
import { type Actor, audit } from './audit.ts'
import type { Selectable } from 'kysely'
import { ProviderError } from '../providers/errors.ts'
import type { Found, Provider } from '../providers/provider.ts'
import { microsOf, microsToUsd, usdToMicros } from './cost.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { newId } from './ids.ts'
import { adoptReported, isQuarantined } from './restore.ts'
import type { Tables } from './store/schema.ts'

/** An orphan is stopped when it was still one this long after it was first seen. */
const grace_ms = 120_000
/** A stop that is not confirmed is called again after this. */
const stopAgain_ms = 60_000
/** Bound of one listing: no account holds more machines of one Berth. */
const maxListed = 100_000
const call_ms = 60_000
/** An attempt of which neither provider nor runner has said anything for this long is money at risk. */
const unseen_ms = 120_000
const shown = 500

type Orphan = Selectable<Tables['orphans']>

/** Looks over every account once. An account that cannot be listed is left as it is. */
export async function scanOrphans(deps: Deps): Promise<void> {
  // Accounts come and go meanwhile.
  for (const provider of deps.providers.slice()) {
    try {
      await scanAccount(deps, provider)
    } catch (error) {
      const message = error instanceof Error ? error.message : 'failed'
      deps.log('warn', 'orphan scan failed', {
        provider: provider.name,
        account: provider.account,
        error: message,
      })
    }
  }
}

async function scanAccount(deps: Deps, provider: Provider): Promise<void> {
  // Listed first, read second: an intent is committed before its launch, so what is listed and ours is known.
  const found: Found[] = []
  for await (const each of provider.list(AbortSignal.timeout(call_ms))) {
    found.push(each)
    if (found.length >= maxListed) break
  }
  const ids = found.flatMap(({ attempt_id }) => attempt_id ?? [])
  const live = new Set(
    ids.length === 0
      ? []
      : (
          await deps.db
            .selectFrom('attempts')
            .select('id')
            .where('id', 'in', ids)
            .where('ended_at', 'is', null)
            .execute()
        ).map(({ id }) => id),
  )
  const now = deps.clock.now()
  const orphans = found.filter(({ attempt_id }) => attempt_id === null || !live.has(attempt_id))
  for (const orphan of orphans) await remember(deps, provider, orphan, now)
  await deps.db
    .updateTable('orphans')
    .set({ gone_at: now })
    .where('provider', '=', provider.name)
    .where('account', '=', provider.account)
    .where('gone_at', 'is', null)
    .where('last_seen_at', '<', now)
    .execute()
  if (await isQuarantined(deps, now)) return adoptReported(deps, provider)
  for (const orphan of await dueForStop(deps, provider, now)) await tryStop(deps, provider, orphan)
}

/** One that its vendor does not let go must not keep the others running: it is called again by a later scan. */
async function tryStop(deps: Deps, provider: Provider, orphan: Orphan): Promise<void> {
  try {
    await stopAtProvider(deps, provider, orphan)
  } catch (error) {
    const { name, account } = provider
    deps.log('warn', 'an orphan was not stopped', {
      provider: name,
      account,
      name: orphan.name,
      detail: whyOf(error),
    })
  }
}

const whyOf = (error: unknown): string =>
  error instanceof ProviderError ? `${error.code}: ${error.detail}` : 'an unexpected error'

async function remember(deps: Deps, provider: Provider, found: Found, now: Date): Promise<void> {
  await deps.db
    .insertInto('orphans')
    .values({
      id: newId('orp', now, deps.random),
      provider: provider.name,
      account: provider.account,
      name: found.name,
      attempt_id: found.attempt_id,
      handle: JSON.stringify(found.handle),
      usd_micros_per_hour: usdToMicros(found.usd_per_hour),
      since: found.since === null ? null : new Date(found.since),
      first_seen_at: now,
      last_seen_at: now,
    })
    .onConflict((conflict) =>
      conflict.columns(['provider', 'account', 'name']).doUpdateSet({ last_seen_at: now, gone_at: null }),
    )
    .execute()
}

async function dueForStop(deps: Deps, provider: Provider, now: Date): Promise<Orphan[]> {
  const called_before = new Date(now.getTime() - stopAgain_ms)
  return deps.db
    .selectFrom('orphans')
    .selectAll()
    .where('provider', '=', provider.name)
    .where('account', '=', provider.account)
    .where('gone_at', 'is', null)
    .where('first_seen_at', '<=', new Date(now.getTime() - grace_ms))
    .where((where) =>
      where.or([where('stop_called_at', 'is', null), where('stop_called_at', '<', called_before)]),
    )
    .limit(shown)
    .execute()
}

async function stopAtProvider(deps: Deps, provider: Provider, orphan: Orphan): Promise<void> {
  // The order is on record before the call; the next scan confirms it.
  await deps.db
    .updateTable('orphans')
    .set({ stop_called_at: deps.clock.now() })
    .where('id', '=', orphan.id)
    .execute()
  const ref = { attempt_id: orphan.attempt_id ?? '', handle: orphan.handle, request: null }
  deps.log('warn', 'an orphan is stopped', { provider: provider.name, name: orphan.name })
  await provider.stop(ref, AbortSignal.timeout(call_ms))
}

/** A person's order to stop one, also in quarantine. Throws AppError not_found, provider_failed. */
export async function stopOrphan(deps: Deps, actor: Actor, id: string): Promise<void> {
  const orphan = await deps.db
    .selectFrom('orphans')
    .selectAll()
    .where('id', '=', id)
    .where('gone_at', 'is', null)
    .executeTakeFirst()
  const provider = deps.providers.find(
    ({ name, account }) => name === orphan?.provider && account === orphan.account,
  )
  if (!orphan || !provider) throw new AppError('not_found', `There is no orphan ${id.slice(0, 100)}.`)
  // Before the call: what is asked of a vendor is written down first.
  const before = { provider: orphan.provider, account: orphan.account, name: orphan.name }
  await audit(deps, actor, { project_id: null, action: 'orphan.stopped', subject: id, before })
  try {
    await stopAtProvider(deps, provider, orphan)
  } catch (error) {
    const message = `${orphan.provider} did not stop ${orphan.name}: ${whyOf(error)}. Ask again, or end it at the provider itself.`
    throw new AppError('provider_failed', message, { cause: error })
  }
}

/** What is left at providers without an attempt, and what an hour of everything that may be lost costs. */
export async function listOrphans(deps: Deps) {
  const now = deps.clock.now()
  const rows = await deps.db
    .selectFrom('orphans')
    .selectAll()
    .where('gone_at', 'is', null)
    .orderBy('first_seen_at')
    .limit(shown)
    .execute()
  const orphaned = rows.reduce((sum, row) => sum + row.usd_micros_per_hour, 0)
  return {
    items: rows.map((row) => ({
      id: row.id,
      provider: row.provider,
      account: row.account,
      name: row.name,
      attempt_id: row.attempt_id,
      usd_per_hour: microsToUsd(row.usd_micros_per_hour),
      usd_so_far: microsToUsd(soFar(row, now)),
      first_seen_at: row.first_seen_at.toISOString(),
      last_seen_at: row.last_seen_at.toISOString(),
      stop_called_at: row.stop_called_at?.toISOString() ?? null,
    })),
    quarantined: await isQuarantined(deps, now),
    at_risk_usd_per_hour: microsToUsd(orphaned + (await atRiskMicros(deps, now))),
  }
}

/** From its vendor's beginning where that is told, to now: it has been seen, and not to be gone. */
const soFar = ({ usd_micros_per_hour, since, first_seen_at }: Orphan, now: Date) =>
  microsOf(usd_micros_per_hour, 0, Math.max(0, now.getTime() - (since ?? first_seen_at).getTime()) / 1_000)

/** Hourly price of stops that are not confirmed and of attempts that nobody has seen for two minutes. */
async function atRiskMicros(deps: Deps, now: Date): Promise<number> {
  const before = new Date(now.getTime() - unseen_ms)
  const rows = await deps.db
    .selectFrom('attempts')
    .leftJoin('heartbeats', 'heartbeats.attempt_id', 'attempts.id')
    .select([
      'usd_micros_per_hour',
      'outcome',
      'stop_called_at',
      'seen_at',
      'launched_at',
      'heartbeats.at as heard_at',
    ])
    .where('ended_at', 'is', null)
    .where('launch_called_at', 'is not', null)
    .execute()
  const seen = (row: (typeof rows)[number]) =>
    [row.seen_at, row.heard_at, row.launched_at].some((at) => at !== null && at > before)
  return rows
    .filter((row) => (row.outcome !== null && row.stop_called_at !== null) || !seen(row))
    .reduce((sum, row) => sum + row.usd_micros_per_hour, 0)
}
