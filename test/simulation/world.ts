// One seed: clouds, processes, runners, clients and faults in one virtual time, from a first submit to silence.
import type { ObjectStore } from '../../jobs/deps.ts'
import { billMicros, createModelCloud, type Machine, type ModelCloud } from '../fakes/model-cloud.ts'
import { alpha, beta } from './accounts.ts'
import type { Code } from './code.ts'
import { emptyDatabase, observer, type SharedDatabase } from './database.ts'
import { createDraw, type Draw } from './draw.ts'
import { createFate } from './fate.ts'
import { type FaultPlan, planFaults } from './faults.ts'
import { finalCheck } from './final.ts'
import { type Answer, createLine, serve } from './http.ts'
import { createMonitor, type Monitor } from './monitor.ts'
import { createReceiver, type Receiver } from './receiver.ts'
import { type Replica, type Shared, startReplica } from './replica.ts'
import { calmRunners, type Heard, type Runner, startRunner } from './runner.ts'
import { createScheduler, type Scheduler } from './scheduler.ts'
import { createRace, startUsers, type Told } from './users.ts'

export interface SeedReport {
  seed: number
  violations: string[]
  /** SHA-256 of the history: the same seed gives the same. */
  fingerprint: string
  steps: number
  virtual_s: number
  jobs: number
  attempts: number
  machines: number
  replicas: number
  crashes: number
  faults: string[]
  outcomes: Record<string, number>
  /** What the clouds ask for, and what the ledger says. */
  billed_micros: number
  settled_micros: number
  /** Places that a process came to, and those that it died at. */
  visited: string[]
  crashed: string[]
  /** The end of the history; empty when all held. */
  trace: string[]
}

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
  outages: boolean
  finishing: (attempt_id: string) => void
  /** Asks the API as a client would, outside of the history. */
  read: (path: string) => Promise<Answer>
  violated: (message: string) => void
}

const start_ms = Date.parse('2026-03-02T09:00:00Z')
/** Jobs come within this time, and faults strike. */
const submits_ms = 70_000
const faults_ms = 150_000
/** All must be quiet within this time after the faults have ceased: longer than any job may wait in the queue (30 min). */
const quiet_ms = 3_000_000
/** The webhook sender's whole schedule. */
const deliveries_ms = 5 * 86_400_000
const tracedLines = 80

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
  const users = {
    scheduler,
    draw: draw.fork('users'),
    send: sendOf(world, draw, () => plan.loss),
    key: world.key,
    told: world.told,
    violated,
  }
  startUsers(users, draw.between(50, 55), submits_ms)
  const race = createRace(users, (attempt_id) => world.monitor.attempts.get(attempt_id)?.job_id)
  world.finishing = race
  const stop = () => violations.length > 0
  const quiet = () => world.monitor.quiet() && world.told.every(({ done }) => done)
  await scheduler.run(stop, faults_ms)
  await calm()
  const longest_ms = Math.max(0, ...plan.blows.map(({ lasts_ms }) => lasts_ms))
  if (!stop() && !(await scheduler.run(() => stop() || quiet(), quiet_ms + longest_ms)))
    violated(`not everything came to rest: ${unrest(world)}`)
  if (!stop() && !(await scheduler.run(() => stop() || world.monitor.delivered(), deliveries_ms)))
    violated('a message was neither delivered nor exhausted')
  if (!stop()) await finalCheck(world)
  return report(seed, world, plan, fate, violations)
}

function report(
  seed: number,
  world: World,
  plan: FaultPlan,
  fate: ReturnType<typeof createFate>,
  violations: string[],
): SeedReport {
  const { scheduler, monitor, clouds } = world
  const outcomes: Record<string, number> = {}
  for (const { outcome } of monitor.attempts.values())
    if (outcome) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  const ids = violations.flatMap((message) => message.match(/(att|job|shd)_\w+/g) ?? [])
  const last4 = ids.map((id) => id.slice(-4))
  const about = (line: string) =>
    ids.some((id) => line.includes(id)) || last4.some((end) => line.includes(`runner ${end}`))
  return {
    seed,
    violations,
    fingerprint: scheduler.fingerprint(),
    steps: scheduler.steps(),
    virtual_s: Math.round((scheduler.now_ms() - start_ms) / 1_000),
    jobs: monitor.jobs.size,
    attempts: monitor.attempts.size,
    machines: clouds.reduce((sum, { machines }) => sum + machines.length, 0),
    replicas: world.replicas.length,
    crashes: fate.crashes(),
    faults: plan.kinds,
    outcomes,
    billed_micros: clouds.reduce(
      (sum, { machines, account }) =>
        sum + machines.reduce((each, machine) => each + billMicros(machine, account.traits), 0),
      0,
    ),
    settled_micros: [...monitor.settled.values()].reduce((sum, micros) => sum + micros, 0),
    visited: fate.visited(),
    crashed: [...fate.crashed],
    trace:
      violations.length === 0
        ? []
        : [
            ...(ids.length > 0 ? ['-- what concerns it:', ...scheduler.tail(tracedLines, about)] : []),
            '-- the last steps:',
            ...scheduler.tail(tracedLines),
          ],
  }
}

function unrest({ monitor }: World): string {
  const jobs = [...monitor.jobs.values()].filter(
    ({ state }) => !['succeeded', 'failed', 'cancelled'].includes(state),
  )
  const attempts = [...monitor.attempts.values()].filter(({ state }) => state !== 'ended')
  return [...jobs, ...attempts]
    .map(({ id, state }) => `${id} is ${state}`)
    .slice(0, 10)
    .join(', ')
}

const sendOf = (world: World, draw: Draw, loss: () => number) =>
  createLine({
    scheduler: world.scheduler,
    draw: draw.fork('line'),
    replicas: () => world.replicas,
    loss,
    violated: world.violated,
  })

async function openWorld(given: {
  code: Code
  database: SharedDatabase
  draw: Draw
  scheduler: Scheduler
  plan: FaultPlan
  violated: (message: string) => void
}) {
  const { code, database, draw, scheduler, plan, violated } = given
  const db = observer(database)
  const clock = { now: () => new Date(scheduler.now_ms()) }
  const sealer = code.createSealer(Buffer.alloc(32, 7))
  const random = draw.fork('first start').bytes
  const installation = await code.ensureInstallation({ db, clock, random, sealer })
  const { id: project_id } = await db.selectFrom('projects').select('id').executeTakeFirstOrThrow()
  const key = await code.createKey({ db, clock, random }, project_id, 'users', 'admin')
  const replicas: Replica[] = []
  let calm_at_ms = Number.POSITIVE_INFINITY
  const heard = new Map<string, Heard>()
  const receiver = createReceiver(scheduler, draw.fork('receiver'), violated)
  let faults = { ...plan }
  const world: World = {
    code,
    scheduler,
    db,
    clouds: [],
    monitor: undefined as never,
    receiver,
    heard,
    told: [],
    replicas,
    key,
    calm_since_ms: () => Math.max(calm_at_ms, ...replicas.map(({ owner }) => owner.paused_until_ms)),
    outages: plan.pauses > 0 || plan.blows.some(({ blow }) => blow === 'down'),
    finishing: () => undefined,
    read: undefined as never,
    violated,
  }
  const runners = {
    scheduler,
    draw: draw.fork('runners'),
    send: sendOf(world, draw, () => faults.loss),
    faults: () => faults.runners,
    heard,
    finishing: (attempt_id: string) => world.finishing(attempt_id),
    violated,
  }
  world.clouds = openClouds(world, draw, plan, (cloud, machine) => startRunner(runners, cloud(), machine))
  world.monitor = createMonitor(world.clouds, scheduler.now_ms, violated)
  const fate = createFate(scheduler, draw.fork('fate'), plan)
  const long = plan.blows.find(({ lasts_ms }) => lasts_ms > faults_ms * 2)
  const polls = draw.fork('polls')
  const inLongOutage = () => {
    const now_ms = scheduler.now_ms() - start_ms
    return long !== undefined && now_ms > faults_ms && now_ms < long.at_ms + long.lasts_ms
  }
  const shared: Shared = {
    code,
    database,
    scheduler,
    draw: draw.fork('replicas'),
    providers: world.clouds.map(({ provider }) => provider),
    common: {
      store: memoryStore(),
      sealer,
      runner_key: Buffer.alloc(32, 9),
      installation,
      offers: () => world.clouds.flatMap(({ account }) => account.offers),
      outbound_fetch: receiver.fetch,
      check_target: () => null,
      settings: {
        berth_url: () => 'http://berth.test',
        public_url: () => 'http://berth.test',
        max_queued: 1_000,
        rate_limit: null,
        sse_max_s: 1,
        local_data_dirs: [],
      },
    },
    replicas,
    committed: (owner, changes) => {
      for (const change of changes) scheduler.trace(`${owner.name} writes ${told(change)}`)
      world.monitor.committed(changes)
    },
    violated,
    // An outage of an hour is waited for with rare looks: it is long, not busy.
    poll_ms: () => (inLongOutage() ? polls.between(60_000, 120_000) : polls.between(1_000, 6_000)),
    nudge_ms: () => (inLongOutage() ? polls.between(20_000, 60_000) : polls.between(1, 1_200)),
    fate: fate.decide,
  }
  const waker = { wake: () => undefined, wait: () => Promise.resolve() }
  const app = code.createApp({
    ...shared.common,
    db,
    clock,
    random,
    providers: [],
    waker,
    log: () => undefined,
  })
  world.read = (path) => serve(app, path, { headers: { authorization: `Bearer ${key}` } })
  const budget = async (limit_micros: number) => {
    const values = {
      id: 'bud_project',
      project_id,
      scope: 'project' as const,
      period: 'total' as const,
      limit_micros,
    }
    await db
      .insertInto('budgets')
      .values({ ...values, label_name: null, label_value: null, created_at: clock.now() })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ limit_micros }))
      .execute()
  }
  if (plan.budget_micros !== null) await budget(plan.budget_micros)
  fate.keepAlive(shared, replicas, startReplica)
  scheduleBlows(world, plan, draw.fork('blows'))
  const calm = async () => {
    if (plan.budget_micros !== null) await budget(1e12)
    faults = { ...faults, loss: 0, runners: calmRunners }
    Object.assign(plan, { loss: 0 })
    fate.calm()
    receiver.calm()
    const lasting = plan.blows.find(({ lasts_ms }) => lasts_ms > faults_ms * 2)
    if (!lasting) calm_at_ms = scheduler.now_ms()
    for (const cloud of world.clouds) if (!lasting || cloud !== world.clouds[lasting.account]) cloud.calm()
    if (lasting)
      scheduler.later(lasting.at_ms + lasting.lasts_ms - faults_ms, 'the long outage ends', () => {
        world.clouds[lasting.account]?.calm()
        calm_at_ms = scheduler.now_ms()
      })
  }
  return { world, calm, fate }
}

function told({
  table,
  before,
  after,
}: {
  table: string
  before: Record<string, unknown> | null
  after: Record<string, unknown>
}): string {
  const changed = Object.entries(after)
    .filter(
      ([name, value]) =>
        !['id', 'request', 'nonce', 'body'].includes(name) &&
        value !== null &&
        JSON.stringify(before?.[name]) !== JSON.stringify(value),
    )
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
  return `${table} ${String(after['id'] ?? after['attempt_id'])} ${changed.join(' ')}`
}

function openClouds(
  world: World,
  draw: Draw,
  plan: FaultPlan,
  boot: (cloud: () => ModelCloud, machine: Machine) => Runner,
): ModelCloud[] {
  const { scheduler } = world
  return [alpha(plan.cloud), beta(plan.cloud)].map((account) => {
    const chance = draw.fork(`cloud ${account.name}`)
    const runners = new Map<Machine, Runner>()
    const cloud: ModelCloud = createModelCloud(
      {
        now_ms: scheduler.now_ms,
        sleep: (ms, label) => scheduler.sleep(null, ms, label),
        chance: chance.chance,
        between: chance.between,
        trace: scheduler.trace,
      },
      account,
      {
        called: (request, token) => world.monitor.called(request, token),
        created: (machine) => world.monitor.created(machine),
        booted: (machine) =>
          void runners.set(
            machine,
            boot(() => cloud, machine),
          ),
        noticed: (machine) => runners.get(machine)?.notice(),
        stopping: () => undefined,
        ended: (machine) => {
          // A report may come after its machine has gone, but not after it was taken away.
          const runner = runners.get(machine)
          if (runner && machine.why !== 'exited') runner.owner.dead = true
        },
      },
      () => Buffer.from(chance.bytes(4)).toString('hex'),
    )
    return cloud
  })
}

function scheduleBlows({ scheduler, clouds }: World, plan: FaultPlan, draw: Draw): void {
  for (const { at_ms, blow, account, lasts_ms } of plan.blows)
    scheduler.later(at_ms, `blow: ${blow}`, () => {
      const cloud = clouds[account]
      if (!cloud) return
      const until = scheduler.now_ms() + lasts_ms
      scheduler.trace(`${cloud.account.name} is hit: ${blow} for ${Math.round(lasts_ms / 1_000)} s`)
      if (blow === 'down') cloud.down_until(until)
      if (blow === 'blind') cloud.blind_until(until)
      if (blow === 'vanish')
        for (const machine of cloud.machines)
          if (machine.to_ms === null && draw.chance(0.6)) cloud.vanish(machine)
    })
}

function memoryStore(): ObjectStore {
  const objects = new Map<string, Uint8Array>()
  return {
    async put(key, body) {
      const bytes = new Uint8Array(await new Response(body).arrayBuffer())
      objects.set(key, bytes)
      const { createHash } = await import('node:crypto')
      return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    },
    get(key) {
      const bytes = objects.get(key)
      return Promise.resolve(
        bytes ? { bytes: bytes.length, body: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() } : null,
      )
    },
    delete(key) {
      objects.delete(key)
      return Promise.resolve()
    },
  }
}
