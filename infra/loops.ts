// The work that goes on behind the API: the pass, the webhooks, the offers. Each is one loop with a bound.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Offer } from '../providers/provider.ts'
import { type Deps, topics } from '../jobs/deps.ts'
import { type Lull, newLull } from '../jobs/lull.ts'
import { scanOrphans } from '../jobs/orphans.ts'
import { runPass } from '../jobs/reconcile.ts'
import { dropOldPartitions, sweepRetention } from '../jobs/retention.ts'
import type { Tx } from '../jobs/store/schema.ts'
import { renewReplica } from '../jobs/store/claim.ts'
import { ensurePartitions } from '../jobs/store/fold.ts'
import { deliverDue, newFlight } from '../jobs/webhooks.ts'

/** Without a nudge the pass runs this often: the latency that a lost nudge costs. */
const poll_ms = 1_000
/** The first retry of a message comes after five seconds; new ones are nudged. */
const webhooks_ms = 5_000
/** How often a replica shows that it lives, and takes the database's time again: a third of what makes it dead. */
const renew_ms = 3_000
const offers_ms = 30_000
const offersCall_ms = 20_000
/** Results that are too old are not given before they are removed: this bounds what is kept. */
const retention_ms = 60_000
const partitions_ms = 6 * 3_600_000
/** After an error a loop waits, so that a broken database is not hammered. */
const afterError_ms = 1_000
const sweep_ms = 3_600_000
/** What an orphan may cost before it is seen. */
const orphans_ms = 60_000
/** How much older a restored database may be without being noticed. */
const highWater_ms = 30_000
/** Files of an attempt stay on this machine for a day after its end, for who wants to look at them. */
const keepFolders_ms = 86_400_000
/** Most attempts that are looked up in one sweep; the rest waits for the next. */
const sweepBatch = 1_000

export interface Loops {
  /** Ends the loops; resolves when none is at work. */
  stop: () => Promise<void>
}

interface Work {
  deps: Deps
  replica: string
  sync: () => Promise<void>
  set_offers: (offers: readonly Offer[]) => void
  raise_high_water: () => Promise<void>
  /** Attempts that have a folder on this machine, and how to remove folders; null without the local provider. */
  folders: { present: () => Promise<string[]>; remove: (attempt_ids: string[]) => Promise<unknown> } | null
}

export function startLoops(work: Work, roles: readonly string[]): Loops {
  const { deps } = work
  const ended = new AbortController()
  const { signal } = ended
  const running: Promise<void>[] = []
  const run = (name: string, round: () => Promise<unknown>, pause: () => Promise<unknown>) =>
    running.push(loop(deps, signal, name, round, pause))
  if (roles.includes('pass')) {
    const calls = new Set<Promise<unknown>>()
    const state = { renewed_at_ms: Number.NEGATIVE_INFINITY, lull: newLull() }
    // On its own: a pass that waits for a slow vendor for longer than a replica is waited for would be taken for dead.
    run(
      'renewal',
      () => renew(work, state),
      () => pauseFor(renew_ms, signal),
    )
    run(
      'pass',
      () => pass(work, calls, state),
      () => deps.waker.wait(topics.pass, poll_ms, signal),
    )
    run(
      'orphans',
      () => scanOrphans(deps),
      () => pauseFor(orphans_ms, signal),
    )
    run(
      'high water',
      () => work.raise_high_water(),
      () => pauseFor(highWater_ms, signal),
    )
    run(
      'retention',
      () => sweepRetention(deps),
      () => pauseFor(retention_ms, signal),
    )
    run(
      'partitions',
      () => deps.db.transaction().execute((tx) => turnPartitions(tx, deps)),
      () => pauseFor(partitions_ms, signal),
    )
  }
  if (roles.includes('pass') && work.folders)
    run(
      'sweep',
      () => sweepFolders(work),
      () => pauseFor(sweep_ms, signal),
    )
  const sender = createSender(deps)
  if (roles.includes('webhooks'))
    run(
      'webhooks',
      () => sender.round(),
      () => sender.pause(signal),
    )
  if (roles.includes('offers'))
    run(
      'offers',
      () => refreshOffers(work),
      () => pauseFor(offers_ms, signal),
    )
  return {
    async stop() {
      ended.abort()
      await Promise.all(running)
      await sender.sent()
    },
  }
}

/** Sends messages. A receiver may take its time; the next round does not wait for it. */
function createSender(deps: Deps) {
  const flight = newFlight()
  const sending = new Set<Promise<void>>()
  let again = false
  return {
    async round() {
      again = false
      const { done, ...round } = await deliverDue(deps, flight)
      const sent = done.finally(() => sending.delete(sent))
      sending.add(sent)
      again = round.again
    },
    pause: (signal: AbortSignal) =>
      again ? Promise.resolve() : deps.waker.wait(topics.webhooks, webhooks_ms, signal),
    /** Resolves when nothing is under way. */
    sent: () => Promise.all(sending),
  }
}

async function turnPartitions(tx: Tx, { clock, settings }: Deps): Promise<void> {
  const now = clock.now()
  await ensurePartitions(tx, now)
  await dropOldPartitions(tx, new Date(now.getTime() - settings.keep_days * 86_400_000))
}

/** Asks every provider for its offers; an account that does not answer keeps none. */
export async function refreshOffers({ deps, set_offers }: Pick<Work, 'deps' | 'set_offers'>): Promise<void> {
  const lists = await Promise.all(
    deps.providers.map((provider) =>
      provider.offers(AbortSignal.timeout(offersCall_ms)).catch((error: unknown) => {
        deps.log('warn', 'offers failed', {
          provider: provider.name,
          account: provider.account,
          error: String(error),
        })
        return []
      }),
    ),
  )
  set_offers(lists.flat())
}

/** Removes the folders of attempts that ended more than a day ago. */
async function sweepFolders({ deps, folders }: Work): Promise<void> {
  const present = (await folders?.present()) ?? []
  if (present.length === 0) return
  const over = await deps.db
    .selectFrom('attempts')
    .select('id')
    .where('id', 'in', present.slice(0, sweepBatch))
    .where('ended_at', '<', new Date(deps.clock.now().getTime() - keepFolders_ms))
    .execute()
  await folders?.remove(over.map(({ id }) => id))
}

/** Shows that this replica lives, unless it just has. */
async function renew({ deps, replica, sync }: Work, state: { renewed_at_ms: number }): Promise<void> {
  if (performance.now() - state.renewed_at_ms < renew_ms) return
  await sync()
  await renewReplica(deps.db, replica, deps.clock.now())
  state.renewed_at_ms = performance.now()
}

async function pass(
  work: Work,
  calls: Set<Promise<unknown>>,
  state: { renewed_at_ms: number; lull: Lull },
): Promise<void> {
  await renew(work, state)
  const done = await runPass(work.deps, work.replica, true, state.lull)
  // Calls may take a minute; the next pass need not wait for them.
  const tracked = done.calls.finally(() => calls.delete(tracked))
  calls.add(tracked)
}

async function loop(
  deps: Deps,
  signal: AbortSignal,
  name: string,
  round: () => Promise<unknown>,
  pause: () => Promise<unknown>,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await round()
    } catch (error) {
      if (signal.aborted) return
      deps.log('error', `${name} failed`, {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
      await pauseFor(afterError_ms, signal)
    }
    await pause()
  }
}

async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined)
}
