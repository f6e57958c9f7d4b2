// Jobs on a provider's account that errs by a seed: the core, the adapter and the vendor's side of it (a Subject of the
// conformance suite), from the submission to the last bill. Runners are scripted, and speak through the public door.
import { createHash } from 'node:crypto'
import { type Catalogue, catalogueOf } from '../../jobs/catalogue.ts'
import { scanOrphans } from '../../jobs/orphans.ts'
import { probeAccounts, writeHealth } from '../../jobs/parking.ts'
import type { JobView } from '../../jobs/view.ts'
import { watched as calledThrough } from '../../jobs/watched.ts'
import { type BackEnd, calls, type Fault, type Subject } from '../../providers/conformance/subject.ts'
import type { Handle, LaunchRequest, Provider } from '../../providers/provider.ts'
import { createDraw, type Draw } from '../simulation/draw.ts'
import { backtest, openTestWorld, type World } from './world.ts'

/** What the vendor's side has to be able to do. */
const needed = ['things', 'fail', 'calm', 'loseAnswer', 'finish'] as const
type Back = BackEnd & Required<Pick<BackEnd, (typeof needed)[number]>>
type Cloud = Awaited<ReturnType<Subject['open']>>

interface Machine {
  request: LaunchRequest
  token: string
  handle: Handle | null
  state: 'booting' | 'working' | 'ended'
  /** Of its work. */
  left_s: number
  saved: boolean
}

export interface Lived {
  /** Whether machines of this vendor can be taken back. */
  has_spot: boolean
  jobs: JobView[]
  machines: number
  faults: number
  preempted: number
  /** Attempts that began with what an earlier one had saved. */
  resumed: number
  /** By attempt, where the vendor's bill is known. */
  bills: { attempt_id: string; billed_s: number; ledger_s: number }[]
  violations: string[]
}

const jobsCount = 4
/** Steps in which things go wrong; the most until all has come to rest. */
const [troubled, restful] = [60, 400]
const wrongs: readonly Fault[] = ['throttled', 'server_error', 'html', 'malformed', 'truncated', 'reset']
const resources = { cpu: 0.5, memory_gib: 0.5, disk_gib: 0.5 }
const call_ms = 60_000
const hour_ms = 3_600_000
const between_scans_s = 60
/** A step while no server is up: nothing is launched then, and a vendor that is real takes its time for each. */
const unwatched_s = 300

/** Of a vendor that is real, and takes real time: no step of it waits for longer than this. */
export const paced = (subject: Subject, most_ms: number): Subject => ({
  name: subject.name,
  async open() {
    const world = await subject.open()
    return { ...world, pass: (ms) => world.pass(Math.min(ms, most_ms)) }
  },
})

export async function liveThrough(subject: Subject, seed: number): Promise<Lived> {
  const cloud = await subject.open()
  await using world = await openTestWorld()
  try {
    const missing = needed.filter((control) => cloud.back[control] === undefined)
    if (missing.length > 0) throw new Error(`the subject has no ${missing.join(', ')}`)
    return await live(cloud, world, createDraw(`${subject.name} ${seed}`))
  } finally {
    await cloud.close()
  }
}

interface Life {
  cloud: Cloud
  back: Back
  world: World
  draw: Draw
  /** Sees what is there, while nothing is wrong. */
  observer: Provider
  machines: Map<string, Machine>
  /** By job: the digest of its last checkpoint. */
  checkpoints: Map<string, string>
  preemptions: Map<string, number>
  lived: Lived
  /** The server that is up; null: none is. */
  replica: string | null
  scanned_s: number
}

async function live(cloud: Cloud, world: World, draw: Draw): Promise<Lived> {
  const lived: Lived = {
    has_spot: cloud.back.end?.preempted !== undefined,
    jobs: [],
    machines: 0,
    faults: 0,
    preempted: 0,
    resumed: 0,
    bills: [],
    violations: [],
  }
  const life: Life = {
    cloud,
    back: cloud.back as Back,
    world,
    draw,
    observer: cloud.provider(),
    machines: new Map(),
    checkpoints: new Map(),
    preemptions: new Map(),
    lived,
    replica: 'rep_one',
    scanned_s: 0,
  }
  await settleIn(life)
  for (let each = 0; each < jobsCount; each++) {
    const body = backtest({ name: `job ${each}`, retry: { max_attempts: 10 }, resources })
    await world.request('POST', '/v1/jobs', { body })
  }
  const dies_at = draw.between(5, troubled - 5)
  for (let step = 0; step < troubled; step++) {
    if (step === dies_at) await hourWithoutServer(life)
    await trouble(life, step)
    await pass(life, draw.pick([2, 5, 5, 15, 30]))
  }
  for (let step = 0; step < restful && !(await isAtRest(life)); step++) await pass(life, 15)
  await judge(life)
  return lived
}

/** One clock, one installation, one account with nothing on it. */
async function settleIn(life: Life): Promise<void> {
  const { cloud, world } = life
  const { deadline_at, installation, image } = await cloud.request('att_01jd3m4k5nep7r8r9s0t1v2w3x')
  // The deadline of a subject's requests is an hour from the vendor's now.
  const behind_ms = world.deps.clock.now().getTime() - (Date.parse(deadline_at) - hour_ms)
  await cloud.pass(Math.max(0, behind_ms))
  Object.assign(world.deps, { installation })
  Object.assign(world.deps.settings, { image: () => image })
  life.back.hide?.(cloud.provider().traits.list_lag_ms)
  await start(life, 'rep_one')
}

/** Another process: nothing of the adapter's memory is left. */
async function start(life: Life, replica: string): Promise<void> {
  const { health } = life.world.deps
  const provider = calledThrough(heard(life, life.cloud.provider()), health)
  health.renew({ provider: provider.name, account: provider.account })
  const offers: Catalogue = catalogueOf(await provider.offers(AbortSignal.timeout(call_ms)))
  Object.assign(life.world.deps, { providers: [provider], offers: () => offers })
  life.replica = replica
}

function heard({ machines, draw }: Life, provider: Provider): Provider {
  return {
    ...provider,
    async launch(request, secrets, signal) {
      const known = machines.get(request.attempt_id) ?? {
        request,
        token: secrets.token,
        handle: null,
        state: 'booting',
        left_s: draw.between(20, 240),
        saved: false,
      }
      machines.set(request.attempt_id, known)
      known.handle = await provider.launch(request, secrets, signal)
      return known.handle
    },
  }
}

async function hourWithoutServer(life: Life): Promise<void> {
  life.replica = null
  for (let away_s = 0; away_s < hour_ms / 1_000; away_s += unwatched_s) await pass(life, unwatched_s)
  await start(life, 'rep_two')
}

/** What the vendor does in the next step. */
async function trouble(life: Life, step: number): Promise<void> {
  const { back, draw, lived } = life
  if (draw.chance(0.35)) {
    const call = draw.pick(calls)
    const fault = call === 'launch' && draw.chance(0.3) ? 'capacity' : draw.pick(wrongs)
    if (back.fail(call, fault)) lived.faults++
  }
  if (draw.chance(0.15)) back.loseAnswer(draw.pick(['launch', 'stop']))
  const working = [...life.machines.values()].filter(({ state }) => state === 'working')
  const victim = working.length > 0 ? draw.pick(working) : null
  // One at least is taken back in every life.
  const isDue = lived.preempted === 0 && step > troubled / 3
  if (victim && (isDue || draw.chance(0.08))) await preempt(life, victim)
  else if (victim && back.vanish && draw.chance(0.03)) await back.vanish(victim.request.attempt_id)
}

async function preempt(life: Life, machine: Machine): Promise<void> {
  const { back, draw, lived } = life
  const preempted = back.end?.preempted
  const { attempt_id } = machine.request
  const job_id = await jobOf(life, attempt_id)
  const times = life.preemptions.get(job_id) ?? 0
  // The third time without progress would end the job.
  if (!preempted || times === 2) return
  life.preemptions.set(job_id, times + 1)
  lived.preempted++
  // The first, and half of the others, with the vendor's notice, which the runner passes on.
  if (life.replica && (lived.preempted === 1 || draw.chance(0.5))) {
    await say(life, machine, { type: 'preempting' })
    await save(life, machine)
    await say(life, machine, { type: 'finished', exit_code: 75, failure: 'preempted', result: null })
  }
  machine.state = 'ended'
  await preempted(attempt_id)
}

async function pass(life: Life, seconds: number): Promise<void> {
  const { world, cloud, back } = life
  if (life.replica) {
    await world.pass(life.replica)
    await writeHealth(world.deps)
    await probeAccounts(world.deps)
    life.scanned_s += seconds
    if (life.scanned_s >= between_scans_s) {
      life.scanned_s = 0
      await scanOrphans(world.deps)
    }
  }
  back.calm()
  await cloud.pass(seconds * 1_000)
  world.advance(seconds)
  for (const machine of life.machines.values()) await run(life, machine, seconds)
}

async function run(life: Life, machine: Machine, seconds: number): Promise<void> {
  const { back, observer, lived } = life
  const { attempt_id } = machine.request
  const things = await back.things(attempt_id)
  if (things > 1) lived.violations.push(`${attempt_id} has ${things} machines`)
  if (machine.state === 'ended') return
  if (machine.state === 'working' && things === 0) machine.state = 'ended'
  if (things === 0) return
  if (machine.state === 'booting') {
    const [seen] = await observer.inspect([{ attempt_id, ...machine }], AbortSignal.timeout(call_ms))
    if (seen?.state === 'running' && life.replica) await begin(life, machine)
    return
  }
  machine.left_s -= seconds
  if (life.replica) await work(life, machine)
}

async function begin(life: Life, machine: Machine): Promise<void> {
  const { attempt_id } = machine.request
  const spec = await ask(life, machine, 'GET', '/spec')
  if (spec.status !== 200) return end(life, machine, 0)
  const { checkpoint } = spec.body as { checkpoint: { sha256: string } | null }
  const kept = life.checkpoints.get(await jobOf(life, attempt_id)) ?? null
  if ((checkpoint?.sha256 ?? null) !== kept)
    life.lived.violations.push(`${attempt_id} was given ${checkpoint?.sha256}, and ${kept} was saved`)
  if (kept) life.lived.resumed++
  const started = await say(life, machine, { type: 'started', instance: attempt_id })
  if (started.status === 200) machine.state = 'working'
}

async function work(life: Life, machine: Machine): Promise<void> {
  if (machine.left_s < 60 && !machine.saved) await save(life, machine)
  const isDone = machine.left_s <= 0
  const said = await say(
    life,
    machine,
    isDone
      ? { type: 'finished', exit_code: 0, failure: null, result: { sharpe: 1 } }
      : { type: 'heartbeat', progress: 0.5 },
  )
  const stop = (said.body as { stop?: { reason: string } } | null)?.stop
  if (isDone && said.status === 200) return end(life, machine, 0)
  // The attempt is over: Berth wants nothing more of it.
  if (said.status === 410 || said.status === 409) return end(life, machine, 0)
  if (stop) {
    await say(life, machine, { type: 'finished', exit_code: 75, failure: null, result: null })
    await end(life, machine, 75)
  }
}

async function end({ back, draw }: Life, machine: Machine, exit_code: number): Promise<void> {
  machine.state = 'ended'
  // Some containers stay when their work is done, until Berth ends them.
  if (draw.chance(0.3)) return
  await back.finish(machine.request.attempt_id, exit_code)
}

async function save(life: Life, machine: Machine): Promise<void> {
  const { attempt_id } = machine.request
  const bytes = `the work of ${attempt_id}`
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const put = await ask(life, machine, 'PUT', '/artifacts/checkpoints%2F1.tar', bytes)
  if (put.status !== 200) return
  const report = { type: 'checkpoint', name: 'checkpoints/1.tar', bytes: bytes.length, sha256 }
  const said = await say(life, machine, report)
  machine.saved = said.status === 200
  if (machine.saved) life.checkpoints.set(await jobOf(life, attempt_id), sha256)
}

async function jobOf({ world }: Life, attempt_id: string): Promise<string> {
  const { db } = world.deps
  const found = db.selectFrom('attempts').select('job_id').where('id', '=', attempt_id)
  return (await found.executeTakeFirstOrThrow()).job_id
}

const say = (life: Life, machine: Machine, report: object) => ask(life, machine, 'POST', '/report', report)

async function ask(life: Life, { request, token }: Machine, method: string, path: string, body?: unknown) {
  const answer = await life.world.request(method, `/v1/attempts/${request.attempt_id}${path}`, {
    key: token,
    headers: { 'content-type': typeof body === 'string' ? 'application/octet-stream' : 'application/json' },
    ...(body === undefined ? {} : { body }),
  })
  return { status: answer.status, body: (await answer.json().catch(() => null)) as unknown }
}

async function jobsOf({ world }: Life): Promise<JobView[]> {
  const answer = await world.request('GET', '/v1/jobs?limit=100')
  return ((await answer.json()) as { items: JobView[] }).items
}

const isAtRest = async (life: Life) =>
  (await jobsOf(life)).every(({ finished_at, cost }) => finished_at !== null && cost.final)

async function judge(life: Life): Promise<void> {
  const { back, lived, cloud, machines } = life
  lived.jobs = await jobsOf(life)
  lived.machines = machines.size
  if (lived.jobs.length !== jobsCount) lived.violations.push(`${lived.jobs.length} jobs are there`)
  for (const { id, state, error } of lived.jobs)
    if (state !== 'succeeded')
      lived.violations.push(`${id} is ${state}: ${JSON.stringify(error)}, ${await whyOf(life, id)}`)
  for (const attempt_id of machines.keys()) {
    const things = await back.things(attempt_id)
    if (things > 0) lived.violations.push(`${attempt_id} is left with ${things} machines`)
  }
  for (const bill of await billsOf(life)) {
    lived.bills.push(bill)
    const { attempt_id, billed_s, ledger_s } = bill
    // More is what passes between the vendor's end and our sight of it.
    if (ledger_s < billed_s)
      lived.violations.push(`${attempt_id} is billed ${billed_s} s, and the ledger has ${ledger_s} s`)
  }
  for await (const { name, attempt_id } of cloud.provider().list(AbortSignal.timeout(call_ms)))
    if (attempt_id !== null) lived.violations.push(`${name} is still listed`)
}

/** What Berth itself says of a job that has not ended. */
async function whyOf({ world }: Life, job_id: string): Promise<string> {
  return (await world.request('GET', `/v1/jobs/${job_id}/explain`)).text()
}

async function billsOf({ back, world, machines, cloud }: Life): Promise<Lived['bills']> {
  if (!back.bill || cloud.provider().traits.billing !== 'billed') return []
  const bills: Lived['bills'] = []
  for (const attempt_id of machines.keys()) {
    const { billed_from, billed_to } = await world.deps.db
      .selectFrom('ledger')
      .select(['billed_from', 'billed_to'])
      .where('attempt_id', '=', attempt_id)
      .where('entry', '=', 'settle')
      .executeTakeFirstOrThrow()
    const ledger_s = ((billed_to?.getTime() ?? 0) - (billed_from?.getTime() ?? 0)) / 1_000
    bills.push({ attempt_id, billed_s: await back.bill(attempt_id), ledger_s })
  }
  return bills
}
