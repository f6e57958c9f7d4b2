// One seed: clouds, processes, runners, clients and faults in one virtual time, from a first submit to silence.
import { keepCatalogue } from '../../jobs/catalogue.ts'
import { createHealth } from '../../jobs/health.ts'
import type { Identity } from '../../jobs/identity.ts'
import type { ModelCloud } from '../fakes/model-cloud.ts'
import { openClouds, scheduleBlows } from './clouds.ts'
import type { Code } from './code.ts'
import { emptyDatabase, observer, type RowChange, type SharedDatabase } from './database.ts'
import { createDraw, type Draw } from './draw.ts'
import { createFate } from './fate.ts'
import { type FaultPlan, planFaults } from './faults.ts'
import { finalCheck } from './final.ts'
import { type Answer, createLine, serve } from './http.ts'
import { createMonitor, idOf, type Monitor } from './monitor.ts'
import { createReceiver, type Receiver } from './receiver.ts'
import { type Replica, type Shared, startReplica } from './replica.ts'
import { report, type SeedReport, start_ms, unrest } from './report.ts'
import { calmRunners, type Heard, startRunner } from './runner.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { memoryStore } from './store.ts'
import { budgetOf, createRace, startLimiter, startTreasurer, startUsers, type Told } from './users.ts'

/** Everything that a check at the end may look at. */
export interface World {
  code: Code
  scheduler: Scheduler
  db: ReturnType<typeof observer>
  clouds: ModelCloud[]
  monitor: Monitor
  receiver: Receiver
  heard: Map<string, Heard>
  told: Told[]
  replicas: Replica[]
  key: string
  /** Since when every account and process answers; infinite while some does not. */
  calm_since_ms: () => number
  /** Whether an account's API, or all processes at once, were away for a time. */
  outages: () => boolean
  finishing: (attempt_id: string) => void
  /** Asks the API as a client would, outside of the history. */
  ask: (path: string, init?: RequestInit) => Promise<Answer>
  violated: (message: string) => void
}

/** Jobs come within this time, and faults strike. */
const submits_ms = 120_000
const faults_ms = 240_000
/** More money than all jobs can cost. */
const plenty_micros = 1e12
/**
 * All must be quiet within this time after the faults have ceased: longer than any job may wait in the queue, and its merge
 * after it (30 min each).
 */
const quiet_ms = 5_400_000
/** The webhook sender's whole schedule. */
const deliveries_ms = 5 * 86_400_000

export async function runSeed(code: Code, database: SharedDatabase, seed: number): Promise<SeedReport> {
  const draw = createDraw(`seed ${seed}`)
  const scheduler = createScheduler(draw.fork('order'), start_ms)
  const violations: string[] = []
  const violated = (message: string) => {
    scheduler.trace(`VIOLATED: ${message}`)
    if (violations.length < 20) violations.push(message)
  }
  await emptyDatabase(database)
  const plan = planFaults(draw.fork('faults'), faults_ms)
  const { world, calm, fate } = await openWorld({ code, database, draw, scheduler, plan, violated })
  startPeople(world, plan, draw)
  const stop = () => violations.length > 0
  const quiet = () => world.monitor.quiet() && world.told.every(({ done }) => done)
  await scheduler.run(stop, faults_ms)
  await calm()
  const longest_ms = Math.max(0, ...plan.blows.map(({ lasts_ms }) => lasts_ms))
  if (!stop() && !(await scheduler.run(() => stop() || quiet(), quiet_ms + longest_ms)))
    violated(`not everything came to rest: ${unrest(world)}`)
  // Meanwhile a cloud may make what it was asked for long ago.
  const delivered = () => quiet() && world.monitor.delivered()
  if (!stop() && !(await scheduler.run(() => stop() || delivered(), deliveries_ms)))
    violated(`a message was neither delivered nor exhausted, or a machine is left: ${unrest(world)}`)
  if (!stop()) await finalCheck(world)
  return report(seed, world, plan, fate, violations)
}

function startPeople(world: World, plan: FaultPlan, draw: Draw): void {
  const { scheduler, key, told, violated } = world
  const send = sendOf(world, draw, () => plan.loss)
  const users = { scheduler, draw: draw.fork('users'), send, key, told, violated }
  startUsers(users, draw.between(50, 55), submits_ms)
  if (plan.budget_micros !== null)
    void startTreasurer(users, plan.budget_micros, scheduler.now_ms() + faults_ms)
  void startLimiter(users, scheduler.now_ms() + faults_ms)
  world.finishing = createRace(users, (attempt_id) => world.monitor.attempts.get(attempt_id)?.job_id)
}

const sendOf = (world: World, draw: Draw, loss: () => number) =>
  createLine({
    scheduler: world.scheduler,
    draw: draw.fork('line'),
    replicas: () => world.replicas,
    loss,
    violated: world.violated,
  })

interface Given {
  code: Code
  database: SharedDatabase
  draw: Draw
  scheduler: Scheduler
  plan: FaultPlan
  violated: (message: string) => void
}

async function openWorld(given: Given) {
  const { code, database, draw, scheduler, plan, violated } = given
  const db = observer(database, (changes) => world.monitor.committed(changes))
  const clock = { now: () => new Date(scheduler.now_ms()) }
  const sealer = code.createSealer(Buffer.alloc(32, 7))
  const random = draw.fork('first start').bytes
  const installation = await code.ensureInstallation({ db, clock, random, sealer })
  const { id: project_id } = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow()
  const key = await code.createKey({ db, clock, random }, project_id, 'users', 'admin')
  let calm_at_ms = Number.POSITIVE_INFINITY
  let faults = { ...plan }
  const replicas: Replica[] = []
  const world: World = {
    code,
    scheduler,
    db,
    clouds: [],
    monitor: undefined as never,
    receiver: createReceiver(scheduler, draw.fork('receiver'), violated),
    heard: new Map(),
    told: [],
    replicas,
    key,
    calm_since_ms: () => Math.max(calm_at_ms, ...replicas.map(({ owner }) => owner.paused_until_ms)),
    outages: () => fate.pauses() > 0 || plan.blows.some(({ blow }) => blow === 'down'),
    finishing: () => undefined,
    ask: undefined as never,
    violated,
  }
  const runners = {
    scheduler,
    draw: draw.fork('runners'),
    send: sendOf(world, draw, () => faults.loss),
    faults: () => faults.runners,
    heard: world.heard,
    finishing: (attempt_id: string) => world.finishing(attempt_id),
    missed_since_ms: (attempt_id: string) => {
      const { exited_since = null } = world.monitor.attempts.get(attempt_id) ?? {}
      return exited_since === null ? null : Date.parse(exited_since)
    },
    violated,
  }
  world.clouds = openClouds(world, draw, plan, (cloud, machine) => startRunner(runners, cloud(), machine))
  world.monitor = createMonitor(world.clouds, scheduler.now_ms, violated)
  const fate = createFate(scheduler, draw.fork('fate'), plan, faults_ms)
  const shared = sharedBy(given, world, { sealer, installation, fate: fate.decide })
  const waker = { wake: () => undefined, wait: () => Promise.resolve() }
  const lanes = code.createLanes()
  const gather = () => Promise.resolve()
  const quietly = {
    db,
    clock,
    random,
    gather,
    lanes,
    health: createHealth({ clock, pause: () => Promise.resolve(), tell: () => undefined }),
    providers: [],
    rates: null,
    vendors: async () => ({}),
    runner_files: async () => ({ 'runner.pyz': new Uint8Array(), 'runner.sh': new Uint8Array() }),
    waker,
    log: () => undefined,
  }
  const app = code.createApp({ ...shared.common, ...quietly })
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  world.ask = (path, init) => serve(app, path, { headers, ...init })
  const budget = (micros: number) =>
    world.ask('/v1/budgets', { method: 'PUT', body: JSON.stringify(budgetOf(micros)) })
  if (plan.budget_micros !== null) await budget(plan.budget_micros)
  fate.keepAlive(shared, replicas, startReplica)
  scheduleBlows(world, plan, draw.fork('blows'))
  const calm = async () => {
    if (plan.budget_micros !== null) await budget(plenty_micros)
    faults = { ...faults, loss: 0, runners: calmRunners }
    Object.assign(plan, { loss: 0 })
    fate.calm()
    world.receiver.calm()
    const lasting = longOutage(plan)
    for (const cloud of world.clouds) if (!lasting || cloud !== world.clouds[lasting.account]) cloud.calm()
    const over = () => {
      if (lasting) world.clouds[lasting.account]?.calm()
      calm_at_ms = scheduler.now_ms()
    }
    if (!lasting) over()
    else scheduler.later(lasting.at_ms + lasting.lasts_ms - faults_ms, 'the long outage ends', over)
  }
  return { world, calm, fate }
}

/** An outage that lasts far into the calm. */
const longOutage = ({ blows }: FaultPlan) => blows.find(({ lasts_ms }) => lasts_ms > faults_ms * 2)

/** Programs alone work here. */
const nobody = new Proxy({} as Identity, {
  get: () => {
    throw new Error('nobody logs in here')
  },
})

/** What the processes share. */
function sharedBy(
  { code, database, draw, scheduler, plan, violated }: Given,
  world: World,
  own: Pick<Shared, 'fate'> & Pick<Shared['common'], 'sealer' | 'installation'>,
): Shared {
  const { sealer, installation, fate } = own
  const catalogued = keepCatalogue()
  const polls = draw.fork('polls')
  const long = longOutage(plan)
  const inLongOutage = () => {
    const now_ms = scheduler.now_ms() - start_ms
    return long !== undefined && now_ms > faults_ms && now_ms < long.at_ms + long.lasts_ms
  }
  return {
    code,
    database,
    scheduler,
    draw: draw.fork('replicas'),
    providers: world.clouds.map(({ provider }) => provider),
    common: {
      store: memoryStore(),
      describe_table: () => Promise.resolve({ fault: 'nothing is uploaded here' }),
      tables: {
        read: () => Promise.resolve({ fault: { code: 'unreadable', detail: 'nothing is read here' } }),
      },
      sample_prices: () => Promise.resolve(null),
      sealer,
      runner_key: Buffer.alloc(32, 9),
      installation,
      identity: nobody,
      send_mail: null,
      offers: () => catalogued(world.clouds.flatMap(({ account }) => account.offers)),
      offer_sources: () => [],
      outbound_fetch: world.receiver.fetch,
      check_target: () => null,
      resolve_target: () => Promise.resolve(null),
      resolve_image: () => Promise.resolve({ state: 'unread', why: 'there is none' }),
      settings: {
        berth_url: () => 'http://berth.test',
        is_reachable: true,
        public_url: () => 'http://berth.test',
        max_queued: 1_000,
        sse_max_s: 1,
        program_version: () => '1',
        image: () => null,
        cache_ttl_s: 600,
        cache_max_entries: 20,
        keep_days: 90,
        audit_keep_days: 400,
        registration: 'closed',
        cors_origins: [],
        is_proxy: () => false,
        local_data_dirs: [],
      },
    },
    replicas: world.replicas,
    committed: (owner, changes) => {
      for (const change of changes) scheduler.trace(`${owner.name} writes ${told(change)}`)
      world.monitor.committed(changes)
    },
    violated,
    // An outage of an hour is waited for with rare looks: it is long, not busy.
    poll_ms: () => (inLongOutage() ? polls.between(60_000, 120_000) : polls.between(1_000, 6_000)),
    nudge_ms: () => (inLongOutage() ? polls.between(20_000, 60_000) : polls.between(1, 1_200)),
    fate,
  }
}

function told({ table, before, after }: RowChange): string {
  const changed = Object.entries(after)
    .filter(
      ([name, value]) =>
        !['id', 'request', 'nonce', 'body'].includes(name) &&
        value !== null &&
        JSON.stringify(before?.[name]) !== JSON.stringify(value),
    )
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${table} ${idOf(after)} ${changed.join(' ')}`
}
