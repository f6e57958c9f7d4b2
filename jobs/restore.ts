// After a restore of the database: what it does not know may be work that was launched after the copy was made. For a
// day nothing unknown is stopped but by a person, and what reports with a token of ours becomes an attempt again.
import type { Selectable } from 'kysely'
import type { LaunchRequest, Provider } from '../providers/provider.ts'
import { costMicros, microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import { AppError } from './errors.ts'
import { signatureOf } from './kinds/kind.ts'
import type { JobRow, NewAttempt } from './plan.ts'
import { claimShard, newReplicaId, release } from './store/claim.ts'
import { commitDecision } from './store/commit.ts'
import { runBound } from './run-bound.ts'
import { allowance, noMoney, type Role } from './shards.ts'
import { endPositions } from './store/events.ts'
import { moneyOf } from './store/snapshot.ts'
import type { Tables } from './store/schema.ts'
import type { Bearer } from './tokens.ts'

/** How long nothing unknown is stopped after the database was found to be an older copy. */
const quarantine_ms = 24 * 3_600_000
/**
 * How long nothing is launched after that: attempts of the copy that are gone must be found so (a vendor's list lag
 * and half a minute), and runners that were not acknowledged speak again within two minutes.
 */
const hold_ms = 10 * 60_000
/** A file that is ahead of the database by more than this was written after the copy was made. */
const restoreSlack_ms = 120_000
/** Stands for the instance whose `started` the copy does not hold; another that starts is superseded. */
export const adoptedInstance = 'adopted'
/** Orphans adopted in one scan; the next takes the rest. */
const maxAdopted = 500

type Orphan = Selectable<Tables['orphans']>

/** Marks the database as the newest one; the caller writes the same time down outside of it, afterwards. */
export async function raiseHighWater(deps: Pick<Deps, 'db' | 'clock'>): Promise<Date> {
  const now = deps.clock.now()
  await deps.db.updateTable('installation').set({ high_water_at: now }).execute()
  return now
}

/** Compares the database with a mark that was kept outside of it; an older one is quarantined. */
export async function quarantineIfRestored(
  deps: Pick<Deps, 'db' | 'clock'>,
  mark: Date | null,
): Promise<boolean> {
  const { high_water_at } = await deps.db
    .selectFrom('installation')
    .select('high_water_at')
    .executeTakeFirstOrThrow()
  if (!mark || mark.getTime() - (high_water_at?.getTime() ?? 0) <= restoreSlack_ms) return false
  await quarantine(deps)
  return true
}

/** From now on the database counts as a restored copy. Answers until when. */
export async function quarantine(deps: Pick<Deps, 'db' | 'clock'>): Promise<Date> {
  const now_ms = deps.clock.now().getTime()
  const quarantine_until = new Date(now_ms + quarantine_ms)
  const launches_held_until = new Date(now_ms + hold_ms)
  await deps.db.updateTable('installation').set({ quarantine_until, launches_held_until }).execute()
  await endPositions(deps.db)
  return quarantine_until
}

/** A person says that everything unknown may be stopped and that launches may go on. */
export async function endQuarantine(deps: Pick<Deps, 'db'>): Promise<void> {
  await deps.db
    .updateTable('installation')
    .set({ quarantine_until: null, launches_held_until: null })
    .execute()
}

/** Whether nothing unknown may be stopped. */
export async function isQuarantined(deps: Pick<Deps, 'db'>, now: Date): Promise<boolean> {
  const { quarantine_until } = await deps.db
    .selectFrom('installation')
    .select('quarantine_until')
    .executeTakeFirstOrThrow()
  return quarantine_until !== null && now < quarantine_until
}

/**
 * A runner speaks with a token of ours for an attempt that is not known. In quarantine it is noted at its machine, for
 * the next scan to adopt, and told to try again: AppError quarantined. Otherwise nothing happens.
 */
export async function meetUnknownRunner(deps: Deps, bearer: Bearer): Promise<void> {
  if (!(await isQuarantined(deps, deps.clock.now()))) return
  const { attempt_id, shard_id, nonce } = bearer
  await deps.db
    .updateTable('orphans')
    .set({ shard_id, nonce })
    .where('attempt_id', '=', attempt_id)
    .where('gone_at', 'is', null)
    .execute()
  throw new AppError('quarantined', 'Berth was restored from a copy: go on with the work and report again.', {
    headers: { 'Retry-After': '30' },
  })
}

/** Makes attempts of the machines of an account whose runners have reported, where their shards wait. */
export async function adoptReported(deps: Deps, provider: Provider): Promise<void> {
  const orphans = await deps.db
    .selectFrom('orphans')
    .selectAll()
    .where('provider', '=', provider.name)
    .where('account', '=', provider.account)
    .where('gone_at', 'is', null)
    .where('shard_id', 'is not', null)
    .orderBy('id')
    .limit(maxAdopted)
    .execute()
  for (const orphan of orphans) await adopt(deps, provider, orphan)
}

async function adopt(deps: Deps, provider: Provider, orphan: Orphan): Promise<void> {
  const now = deps.clock.now()
  const token = Buffer.from(deps.random(12)).toString('base64url')
  const replica = newReplicaId(deps.clock, deps.random)
  // The commit checks the token: that no living replica stands behind it does not matter for one transaction.
  const claimed = await claimShard(deps.db, replica, token, now, orphan.shard_id ?? '')
  if (!claimed) return
  try {
    const shard = await deps.db
      .selectFrom('shards')
      .selectAll()
      .where('id', '=', claimed.shard_id)
      .executeTakeFirstOrThrow()
    // An attempt that the copy holds may be over long since: the pass finds out, and a later scan comes back.
    if (shard.state !== 'waiting' || shard.order_kind) return
    const job = await deps.db
      .selectFrom('jobs')
      .selectAll()
      .where('id', '=', shard.job_id)
      .executeTakeFirstOrThrow()
    const since = orphan.since ?? orphan.first_seen_at
    const left_micros = await allowanceOf(deps, orphan, job, shard.role, since)
    const attempt = adoptedAttempt(deps, provider, orphan, { job, role: shard.role, left_micros, since })
    const commit = {
      claimed,
      job,
      facts_version: shard.facts_version,
      plan: {
        changes: [
          { change: 'launch' as const, attempt, announced: false },
          {
            change: 'adopted' as const,
            attempt_id: attempt.id,
            handle: orphan.handle,
            since,
            instance: adoptedInstance,
          },
        ],
        calls: [],
        due_at: now,
      },
    }
    const done = await commitDecision({ ...deps, public_url: deps.settings.public_url }, commit, now)
    if (done === 'done') deps.log('info', 'a machine was adopted', { attempt: attempt.id, job: job.id })
  } finally {
    await release(deps.db, [claimed])
  }
}

/** What the machine may still cost: what it has cost up to now is the job's already. */
async function allowanceOf(deps: Deps, orphan: Orphan, job: JobRow, role: Role, since: Date) {
  const now = deps.clock.now()
  const known = (await moneyOf(deps.db, [job.id], now)).get(job.id) ?? noMoney
  const { usd_micros_per_hour } = orphan
  const price = { usd_micros_per_hour, min_billing_s: 0 }
  const micros = costMicros({ ...price, billed_from: since, billed_to: null }, now)
  return allowance(job, role, { ...known, committed_micros: known.committed_micros + micros })
}

/** The intent as far as it can be known again: it is never launched, only looked at and stopped. */
function adoptedAttempt(
  deps: Deps,
  provider: Provider,
  orphan: Orphan,
  { job, role, left_micros, since }: { job: JobRow; role: Role; left_micros: number | null; since: Date },
): NewAttempt {
  const { resources } = job.spec
  const bound = runBound(job.spec, orphan.usd_micros_per_hour, left_micros)
  // What is left is of now on, and the bill began with the machine.
  const gone_s = Math.floor((deps.clock.now().getTime() - since.getTime()) / 1_000)
  const attempt_id = orphan.attempt_id ?? ''
  return {
    id: attempt_id,
    nonce: orphan.nonce ?? '',
    kind: job.kind,
    signature: signatureOf(job.spec, { role, of: job.shards_total }),
    ranking: null,
    usd_micros_per_hour: orphan.usd_micros_per_hour,
    basis: provider.traits.billing,
    min_billing_s: provider.traits.min_billing_s,
    ...bound,
    paid_s: bound.paid_s === null ? null : bound.paid_s + gone_s,
    request: {
      attempt_id,
      name: orphan.name,
      installation: deps.installation,
      kind: job.kind,
      offer: {
        id: adoptedInstance,
        provider: provider.name,
        account: provider.account,
        region: '',
        spot: false,
        usd_per_hour: microsToUsd(orphan.usd_micros_per_hour),
        gpu: null,
        cpu: resources.cpu,
        memory_gib: resources.memory_gib,
        disk_gib: resources.disk_gib,
        available: null,
        slots: null,
      },
      image: null,
      device: resources.device as LaunchRequest['device'],
      cpu: resources.cpu,
      memory_gib: resources.memory_gib,
      disk_gib: resources.disk_gib,
      // The machine's own, which the lost intent held, is in force; this one is told to nobody.
      deadline_at: deps.clock.now().toISOString(),
      berth_url: deps.settings.berth_url(),
    },
  }
}
