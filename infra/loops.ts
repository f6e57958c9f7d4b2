// The work that goes on behind the API: the pass, the webhooks, the offers. Each is one loop with a bound.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Accounts } from './accounts.ts'
import type { OfferBooks } from './offers.ts'
import { type Deps, topics } from '../jobs/deps.ts'
import { type Lull, newLull } from '../jobs/lull.ts'
import { createPassPace } from './pass-pace.ts'
import { scanOrphans } from '../jobs/orphans.ts'
import { probeAccounts, writeHealth } from '../jobs/parking.ts'
import { runPass } from '../jobs/reconcile.ts'
import { purgeProjects } from '../jobs/purge-project.ts'
import { dropOldPartitions, sweepRetention } from '../jobs/retention.ts'
import type { Tx } from '../jobs/store/schema.ts'
import { countReplicas, renewReplica } from '../jobs/store/claim.ts'
import { ensurePartitions } from '../jobs/store/fold.ts'
import { deliverDue, newFlight } from '../jobs/webhooks.ts'

/** Without a nudge the pass runs this often: the latency that a lost nudge costs. */
const poll_ms = 1_000
/** The first retry of a message comes after five seconds; new ones are nudged. */
const webhooks_ms = 5_000
/** How often a replica shows that it lives, and takes the database's time again: a third of what makes it dead. */
export const renew_ms = 3_000
/** How soon a server goes by offers that another one has stored; accounts are asked when they are due. */
const offers_ms = 5_000
/** How soon a server goes by what was changed of an account at another. */
const accounts_ms = 5_000
/** How old the counts of calls may be that are shown; what launches go by is written at once. */
const health_ms = 10_000
/** How soon an account is tried whose time has come. */
const probes_ms = 5_000
/** Results that are too old are not given before they are removed: this bounds what is kept. */
const retention_ms = 60_000
/** A round removes thousands of things: between two a server rests. */
const purge_ms = 60_000
/** When a key was last used is told to the minute. */
const keyUse_ms = 60_000
/** How soon the bounds on requests follow where requests come. */
const rates_ms = 1_000
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
  accounts: Accounts
  replica: string
  sync: () => Promise<void>
  offers: OfferBooks
  raise_high_water: () => Promise<void>
  /** Attempts that have a folder on this machine, and how to remove folders; null without the local provider. */
  folders: { present: () => Promise<string[]>; remove: (attempt_ids: string[]) => Promise<unknown> } | null
}

/** The time of this process: what it measures its rounds by, and waits by between them. */
export interface ProcessTime {
  now_ms: () => number
  /** Resolves after this time, or when the signal aborts. */
  pause: (ms: number, signal: AbortSignal) => Promise<void>
}
const processTime: ProcessTime = {
  now_ms: () => performance.now(),
  pause: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
}

export function startLoops(work: Work, roles: readonly string[], time = processTime): Loops {
  const { deps } = work
  const ended = new AbortController()
  const { signal } = ended
  const sender = createSender(deps)
  const loops = [
    accountsLoop(work),
    every('key use', keyUse_ms, async () => deps.key_use?.write(deps)),
    healthLoop(work),
    ...(roles.includes('api') ? [every('rates', rates_ms, async () => deps.rates?.lease(deps))] : []),
    ...(roles.includes('pass') ? passLoops(work) : []),
    ...(roles.includes('pass') && work.folders ? [sweepLoop(work)] : []),
    ...(roles.includes('webhooks') ? [sender.loop] : []),
    every('offers', offers_ms, () => work.offers.look(deps)),
  ]
  const running = loops.map((each) => run(deps, signal, each, time))
  return {
    async stop() {
      ended.abort()
      await Promise.all(running)
      await sender.sent()
      await work.offers.settled()
    },
  }
}

/** What is done again and again, and the pause after it. */
interface Loop {
  name: string
  round: (time: ProcessTime) => Promise<unknown>
  pause: (signal: AbortSignal, time: ProcessTime) => Promise<unknown>
}

const every = (name: string, ms: number, round: Loop['round']): Loop => ({
  name,
  round,
  pause: (signal, time) => time.pause(ms, signal),
})

function passLoops(work: Work): Loop[] {
  const { deps } = work
  const calls = new Set<Promise<unknown>>()
  const state = { renewed_at_ms: Number.NEGATIVE_INFINITY, lull: newLull() }
  const pace = createPassPace()
  return [
    // On its own: a pass that waits for a slow vendor for longer than a replica is waited for would be taken for dead.
    every('renewal', renew_ms, () => renew(work, state)),
    {
      name: 'pass',
      async round({ now_ms }) {
        const began_ms = now_ms()
        pace.begin(began_ms)
        const decided = await pass(work, calls, state)
        const ended_ms = now_ms()
        pace.end(ended_ms, decided)
        deps.meter?.observe('berth_pass_seconds', {}, (ended_ms - began_ms) / 1_000)
      },
      async pause(signal, { now_ms, pause }) {
        await pause(pace.wait_ms(now_ms()), signal)
        await deps.waker.wait(topics.pass, poll_ms, signal)
      },
    },
    every('probes', probes_ms, () => probeAccounts(deps)),
    every('orphans', orphans_ms, () => scanOrphans(deps)),
    every('high water', highWater_ms, () => work.raise_high_water()),
    every('retention', retention_ms, () => sweepRetention(deps)),
    every('deleted projects', purge_ms, () => purgeProjects(deps)),
    every('partitions', partitions_ms, () => deps.db.transaction().execute((tx) => turnPartitions(tx, deps))),
  ]
}

const sweepLoop = (work: Work) => every('sweep', sweep_ms, () => sweepFolders(work))

/** Every server calls providers, if only to know what they are like. */
const accountsLoop = (work: Work): Loop => ({
  name: 'accounts',
  async round() {
    if (await work.accounts.refresh(work.deps)) await work.offers.look(work.deps)
  },
  pause: (signal) => work.deps.waker.wait(topics.accounts, accounts_ms, signal),
})

/** Every server counts what it calls. */
const healthLoop = ({ deps }: Work): Loop => ({
  name: 'health',
  round: () => writeHealth(deps),
  pause: (signal) => deps.waker.wait(topics.health, health_ms, signal),
})

/** Sends messages. A receiver may take its time; the next round does not wait for it. */
function createSender(deps: Deps) {
  const flight = newFlight()
  const sending = new Set<Promise<void>>()
  let again = false
  const loop: Loop = {
    name: 'webhooks',
    async round() {
      again = false
      const { done, ...round } = await deliverDue(deps, flight)
      const sent = done.finally(() => sending.delete(sent))
      sending.add(sent)
      again = round.again
    },
    pause: (signal) => (again ? Promise.resolve() : deps.waker.wait(topics.webhooks, webhooks_ms, signal)),
  }
  return {
    loop,
    /** Resolves when nothing is under way. */
    sent: () => Promise.all(sending),
  }
}

export async function turnPartitions(tx: Tx, { clock, settings }: Deps): Promise<void> {
  const now = clock.now()
  await ensurePartitions(tx, now)
  const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000)
  await dropOldPartitions(tx, daysAgo(settings.keep_days), daysAgo(settings.audit_keep_days))
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
  deps.health.share(await countReplicas(deps.db, deps.clock.now()))
  state.renewed_at_ms = performance.now()
}

async function pass(
  work: Work,
  calls: Set<Promise<unknown>>,
  state: { renewed_at_ms: number; lull: Lull },
): Promise<number> {
  await renew(work, state)
  const done = await runPass(work.deps, work.replica, true, state.lull)
  // Calls may take a minute; the next pass need not wait for them.
  const tracked = done.calls.finally(() => calls.delete(tracked))
  calls.add(tracked)
  return done.decided
}

async function run(
  deps: Deps,
  signal: AbortSignal,
  { name, round, pause }: Loop,
  time: ProcessTime,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await round(time)
    } catch (error) {
      if (signal.aborted) return
      deps.log('error', `${name} failed`, {
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      })
      await time.pause(afterError_ms, signal)
    }
    await pause(signal, time)
  }
}
