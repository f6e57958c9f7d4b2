// One process of Berth: the API, the pass and the webhook sender over one set of injected dependencies. Each call
// of a dependency is a place to be scheduled at, and to die at: before it, or after it took effect.
import type { Deps, Waker } from '../../jobs/deps.ts'
import { topics } from '../../jobs/deps.ts'
import { createHealth } from '../../jobs/health.ts'
import { newLull } from '../../jobs/lull.ts'
import type { Provider } from '../../providers/provider.ts'
import type { Code } from './code.ts'
import { connect, type RowChange, type SharedDatabase } from './database.ts'
import type { Draw } from './draw.ts'
import { awaitPoint } from './points.ts'
import type { Owner, Scheduler } from './scheduler.ts'

export interface Replica {
  id: string
  owner: Owner
  deps: Deps
  app: ReturnType<Code['createApp']>
  /** Resolves when the process dies: its open connections break. */
  died: Promise<void>
  /** A nudge arrives. */
  wake: (topic: string) => void
}

/** What all processes of one world share. */
export interface Shared {
  code: Code
  database: SharedDatabase
  scheduler: Scheduler
  draw: Draw
  providers: readonly Provider[]
  common: Pick<
    Deps,
    | 'store'
    | 'describe_table'
    | 'tables'
    | 'sample_prices'
    | 'sealer'
    | 'runner_key'
    | 'identity'
    | 'send_mail'
    | 'installation'
    | 'offers'
    | 'offer_sources'
    | 'outbound_fetch'
    | 'check_target'
    | 'resolve_target'
    | 'resolve_image'
    | 'settings'
  >
  replicas: Replica[]
  committed: (owner: Owner, changes: readonly RowChange[]) => void
  /** Something went wrong that must not. */
  violated: (message: string) => void
  /** How long a pass waits without a nudge. */
  poll_ms: () => number
  /** From a nudge to the pass: the busier a process is, the longer. */
  nudge_ms: () => number
  /** Chooses the place where a process dies; called at each place it comes to. */
  fate: (replica: () => Replica | undefined, label: string) => boolean
}

export function startReplica(shared: Shared): Replica {
  const { code, scheduler, draw } = shared
  const skew_ms = draw.between(-20, 20)
  const clock = { now: () => new Date(scheduler.now_ms() + skew_ms) }
  const id = code.newReplicaId(clock, draw.bytes)
  const died = Promise.withResolvers<void>()
  const owner: Owner = { name: `replica ${id.slice(-4)}`, dead: false, paused_until_ms: 0 }
  let self: Replica | undefined
  owner.dies_at = (label) => {
    if (!shared.fate(() => self, label)) return false
    died.resolve()
    return true
  }
  const point = (label: string) => scheduler.sleep(owner, latency(draw), label)
  const db = connect(shared.database, {
    enter: (label) => point(`before ${label}`),
    leave: (label) => point(`after ${label}`),
    hold: scheduler.hold,
    committed: (changes) => shared.committed(owner, changes),
  })
  const pointed = async <Result>(kind: string, call: () => Promise<Result>): Promise<Result> => {
    const label = awaitPoint(kind)
    await point(`before ${label}`)
    try {
      return await call()
    } finally {
      await point(`after ${label}`)
    }
  }
  const waker = virtualWaker(shared, owner, () => self)
  const deps: Deps = {
    ...shared.common,
    db,
    clock,
    random: draw.fork(id).bytes,
    gather: () => Promise.resolve(),
    rates: null,
    vendors: async () => ({}),
    runner_files: async () => ({ 'runner.pyz': new Uint8Array(), 'runner.sh': new Uint8Array() }),
    providers: shared.providers.map((provider) => guarded(provider, point, pointed)),
    waker: waker.waker,
    lanes: code.createLanes(),
    // Accounts are called as they are: what a breaker holds back is another test's (test/jobs/health.test.ts).
    health: createHealth({ clock, pause: () => Promise.resolve(), tell: () => undefined }),
    store: {
      put: (...given) => pointed('put', () => shared.common.store.put(...given)),
      get: (...given) => pointed('get', () => shared.common.store.get(...given)),
      delete: (...given) => pointed('delete', () => shared.common.store.delete(...given)),
      link: (...given) => shared.common.store.link(...given),
    },
    outbound_fetch: (...given) => pointed('fetch', () => shared.common.outbound_fetch(...given)),
    log: (level, message, fields) => {
      scheduler.trace(`${owner.name} logs ${level}: ${message} ${JSON.stringify(fields ?? {})}`)
      if (level === 'error') shared.violated(`${message}: ${JSON.stringify(fields)}`)
    },
  }
  self = { id, owner, deps, app: code.createApp(deps), died: died.promise, wake: waker.wake }
  const state = { renewed_at_ms: Number.NEGATIVE_INFINITY, lull: newLull() }
  void renew(shared, self, state)
  void loop(shared, self, topics.pass, waker, async () => {
    const renewed = scheduler.now_ms() - state.renewed_at_ms < renew_ms
    const { calls } = await code.runPass(deps, id, renewed, state.lull)
    if (!renewed) state.renewed_at_ms = scheduler.now_ms()
    // Calls may take a minute; the next pass need not wait for them.
    void calls.catch((error: unknown) => shared.violated(`a call was not recorded: ${String(error)}`))
  })
  void loop(shared, self, topics.webhooks, waker, async () => (await code.deliverDue(deps)).done)
  void scan(shared, deps, owner)
  return self
}

/** Mostly milliseconds, at times a slow disk or line. */
export function latency(draw: Draw): number {
  const share = draw.share()
  if (share < 0.97) return draw.between(1, 6)
  if (share < 0.998) return draw.between(50, 800)
  return draw.between(1_000, 12_000)
}

/** Shows that it lives, as often as a server does, also while a pass waits for a slow vendor. */
async function renew(
  { code, scheduler }: Shared,
  { id, owner, deps }: Replica,
  state: { renewed_at_ms: number },
): Promise<void> {
  while (!owner.dead) {
    await scheduler.sleep(owner, renew_ms, 'comes to renew its row')
    await code.renewReplica(deps.db, id, deps.clock.now())
    state.renewed_at_ms = scheduler.now_ms()
  }
}
const renew_ms = 3_000

/** Scans for orphans, as often as a server does. */
async function scan({ code, scheduler, draw, violated }: Shared, deps: Deps, owner: Owner): Promise<void> {
  while (!owner.dead) {
    await scheduler.sleep(owner, draw.between(0, 5_000), 'comes to scan for orphans')
    await code
      .scanOrphans(deps)
      .catch((error: unknown) => violated(`the scan of ${owner.name} failed: ${String(error)}`))
    await scheduler.sleep(owner, scan_ms, 'waits to scan for orphans')
  }
}
const scan_ms = 60_000

/** Messages are sent at a nudge; without one they wait this much longer than a pass. */
const webhooksPoll = 4

async function loop(
  shared: Shared,
  { owner }: Replica,
  topic: string,
  { until }: ReturnType<typeof virtualWaker>,
  round: () => Promise<unknown>,
): Promise<void> {
  while (!owner.dead) {
    try {
      await round()
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error)
      shared.violated(`${topic} of ${owner.name} failed: ${detail}`)
    }
    await until(topic, shared.poll_ms() * (topic === topics.webhooks ? webhooksPoll : 1))
  }
}

/** The provider as one process calls it. */
function guarded(
  provider: Provider,
  point: (label: string) => Promise<void>,
  pointed: <Result>(kind: string, call: () => Promise<Result>) => Promise<Result>,
): Provider {
  return {
    ...provider,
    launch: (...given) => pointed('launch', () => provider.launch(...given)),
    inspect: (...given) => pointed('inspect', () => provider.inspect(...given)),
    stop: (...given) => pointed('stop', () => provider.stop(...given)),
    async *list(signal) {
      const label = awaitPoint('list')
      await point(`before ${label}`)
      yield* provider.list(signal)
      await point(`after ${label}`)
    },
  }
}

/** Wakes within a process are sure; those across processes are late, and some are lost. */
function virtualWaker(shared: Shared, owner: Owner, self: () => Replica | undefined) {
  const { scheduler, draw } = shared
  const waiting = new Map<string, () => void>()
  const missed = new Set<string>()
  const wake = (topic: string) => {
    const resolve = waiting.get(topic)
    if (!resolve) return void missed.add(topic)
    waiting.delete(topic)
    scheduler.later(shared.nudge_ms(), `${owner.name} is nudged`, resolve)
  }
  const until = async (topic: string, ms: number) => {
    if (missed.delete(topic)) ms = shared.nudge_ms()
    const nudged = new Promise<void>((resolve) => waiting.set(topic, resolve))
    const poll = { over: false }
    await Promise.race([nudged, scheduler.sleep(owner, ms, `polls ${topic}`, poll)])
    poll.over = true
    waiting.delete(topic)
    // A dead or paused process does not go on because it is nudged.
    await scheduler.sleep(owner, 0, `goes on with ${topic}`)
  }
  const waker: Waker = {
    wake(topic) {
      if (topic.startsWith('job:')) return
      wake(topic)
      for (const replica of shared.replicas)
        if (replica !== self() && !replica.owner.dead && draw.chance(0.4))
          scheduler.later(draw.between(5, 60), `a nudge for ${replica.owner.name}`, () => replica.wake(topic))
    },
    wait: until,
  }
  return { waker, wake, until }
}
