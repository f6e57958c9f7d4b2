// A runner in virtual time: it speaks the runner protocol through the public door, and errs as runners do.
import { createHash } from 'node:crypto'
import type { Machine, ModelCloud } from '../fakes/model-cloud.ts'
import type { Draw } from './draw.ts'
import type { Answer, Send } from './http.ts'
import type { Owner, Scheduler } from './scheduler.ts'
import { sweepPoints } from './users.ts'

export interface FinishedReport {
  exit_code: number | null
  failure: string | null
  result: unknown
}

/** What a runner knows for sure: what it got an answer for. */
export interface Heard {
  attempt_id: string
  /** By number. */
  logs: Map<number, string>
  finished: FinishedReport | null
  /** When the answer to `finished` came; null: none came. */
  finished_ms: number | null
  checkpoints: string[]
  /** What it was told to do. */
  shard: Part | null
}

export interface Part {
  index: number
  of: number
  role: 'work' | 'merge'
}

/** The file that a runner of a part leaves for the merge, and what is in it. */
const partFile = 'part.txt'
export const partText = (attempt_id: string, { index, of }: Part) => `part ${index} of ${of} by ${attempt_id}`

export interface RunnerFaults {
  /** The program fails, or is killed. */
  fails: number
  /** The runner dies without a word. */
  crashes: number
  hangs: number
  /** It does not obey a stop. */
  stubborn: number
  /** It reports its end long after its machine has gone. */
  late: number
  /** A second runner of the same attempt. */
  duplicate: number
  /** It loses its line for a while. */
  offline: number
  wrong_clock: number
}
export const calmRunners: RunnerFaults = {
  fails: 0,
  crashes: 0,
  hangs: 0,
  stubborn: 0,
  late: 0,
  duplicate: 0,
  offline: 0,
  wrong_clock: 0,
}

export interface RunnerWorld {
  scheduler: Scheduler
  draw: Draw
  send: Send
  faults: () => RunnerFaults
  heard: Map<string, Heard>
  /** Since when Berth knows that the runner's machine has exited. */
  missed_since_ms: (attempt_id: string) => number | null
  /** A runner is about to report its end: the moment at which clients change their minds. */
  finishing: (attempt_id: string) => void
  violated: (message: string) => void
}

export interface Runner {
  owner: Owner
  /** The vendor's notice that the machine is taken back. */
  notice: () => void
}

/** Whatever fails but an order to end is loss of sight: tried again after this long. */
const retry_ms = [500, 1_000, 2_000, 5_000, 10_000] as const
const over = Symbol('over')

export function startRunner(world: RunnerWorld, cloud: ModelCloud, machine: Machine): Runner {
  const draw = world.draw.fork(machine.id)
  const owner: Owner = { name: `runner ${machine.attempt_id.slice(-4)}`, dead: false, paused_until_ms: 0 }
  const state = { noticed: false }
  const faults = world.faults()
  const heard: Heard = world.heard.get(machine.attempt_id) ?? {
    attempt_id: machine.attempt_id,
    logs: new Map(),
    finished: null,
    finished_ms: null,
    checkpoints: [],
    shard: null,
  }
  world.heard.set(machine.attempt_id, heard)
  const one = { world, cloud, machine, draw, owner, state, faults, heard }
  void run({ ...one, instance: `${machine.id}-1` })
  if (draw.chance(faults.duplicate)) {
    const twin: Owner = { ...owner, name: `${owner.name} twin` }
    void run({ ...one, owner: twin, draw: draw.fork('twin'), instance: `${machine.id}-2` })
    return { owner: both(owner, twin), notice: () => void (state.noticed = true) }
  }
  return { owner, notice: () => void (state.noticed = true) }
}

/** Two processes that die with one machine. */
function both(first: Owner, second: Owner): Owner {
  return {
    name: first.name,
    paused_until_ms: 0,
    get dead() {
      return first.dead && second.dead
    },
    set dead(dead) {
      first.dead = dead
      second.dead = dead
    },
  }
}

interface Process {
  world: RunnerWorld
  cloud: ModelCloud
  machine: Machine
  draw: Draw
  owner: Owner
  state: { noticed: boolean }
  faults: RunnerFaults
  heard: Heard
  instance: string
}

async function run(process: Process): Promise<void> {
  const { world, draw, faults, owner } = process
  const spec = await ask(process, 'GET', '/spec')
  if (spec === over) return
  const shard = spec['shard'] as unknown as Part
  process.heard.shard = shard
  if (!(await fetchCheckpoint(process, spec))) return
  const report = { type: 'started', instance: process.instance, host: { gpus: [] } }
  const started = await say(process, report)
  if (started === over) return
  const plan = planOf(process, spec)
  if (draw.chance(0.1)) void say(process, report)
  const stop = await work(process, plan, stopOf(started))
  if (stop === over) return
  if (plan.crashes) {
    world.scheduler.trace(`${owner.name} crashes`)
    process.cloud.exit(process.machine, plan.exit_code)
    owner.dead = true
    return
  }
  const parts = shard.role === 'merge' ? await readParts(process, spec) : []
  if (parts === over) return
  await finish(process, plan, stop, { late: draw.chance(faults.late), shard, parts })
}

/** What a merge joins. */
async function readParts(process: Process, spec: Answer['body']): Promise<string[] | typeof over> {
  const parts: string[] = []
  for (const { name, url, sha256 } of spec['inputs'] as unknown as Input[]) {
    if (!name.startsWith('shards/')) continue
    const answer = await ask(process, 'GET', url.slice(`/v1/attempts/${process.machine.attempt_id}`.length))
    if (answer === over) return over
    const text = String(answer['text'])
    if (createHash('sha256').update(text).digest('hex') !== sha256)
      process.world.violated(`${name} is not what the merge was promised`)
    parts.push(text)
  }
  return parts
}

interface Input {
  name: string
  url: string
  sha256: string
}

/** The points of a part, as the program reports them: each of the whole is in one part. */
function pointsOf({ index, of, role }: Part) {
  if (role === 'merge' || of === 1) return []
  const [from, to] = [Math.floor((index * sweepPoints) / of), Math.floor(((index + 1) * sweepPoints) / of)]
  return Array.from({ length: to - from }, (_, n) => ({
    point: from + n,
    objective: (from + n) % 3 === 0 ? null : from + n,
    parameters: { fast: from + n + 1 },
    metrics: {},
  }))
}

interface RunPlan {
  shard: Part
  exit_code: number | null
  crashes: boolean
  until_ms: number
  interval_ms: number
  stubborn: boolean
  offline: readonly [number, number] | null
  /** How wrong its clock is. */
  skew_ms: number
  timeout_ms: number
  obeys_timeout: boolean
}

function planOf({ world, draw, faults }: Process, spec: Answer['body']): RunPlan {
  const now = world.scheduler.now_ms()
  const crashes = draw.chance(faults.crashes)
  const fails = draw.chance(faults.fails)
  const timeout_ms = Number(spec['timeout_s']) * 1_000
  const offline_from = now + draw.between(1_000, 20_000)
  return {
    shard: spec['shard'] as unknown as Part,
    exit_code: crashes ? draw.pick([0, 9, null]) : fails ? draw.pick([1, 1, 2, 3, null]) : 0,
    crashes,
    until_ms: now + (draw.chance(faults.hangs) ? 3_600_000 : draw.between(1_000, 30_000)),
    interval_ms: draw.between(5_000, 15_000),
    stubborn: draw.chance(faults.stubborn),
    offline: draw.chance(faults.offline) ? [offline_from, offline_from + draw.between(5_000, 120_000)] : null,
    skew_ms: draw.chance(faults.wrong_clock) ? draw.between(-86_400_000, 86_400_000) : 0,
    timeout_ms: now + Math.min(timeout_ms, 1e12),
    obeys_timeout: draw.chance(0.6),
  }
}

type Stop = string | null

/** Works until the program ends or obeys; answers why it was stopped. */
async function work(process: Process, plan: RunPlan, first: Stop): Promise<Stop | typeof over> {
  const { world, draw, owner, state } = process
  const { scheduler } = world
  let stop = first
  let number = 0
  let noticed = false
  for (;;) {
    const left_ms = plan.until_ms - scheduler.now_ms()
    if (stop && !plan.stubborn) {
      await scheduler.sleep(owner, draw.between(200, 20_000), 'obeys')
      return stop
    }
    if (left_ms <= 0) return stop
    if (scheduler.now_ms() >= plan.timeout_ms && plan.obeys_timeout) return 'timed_out'
    await scheduler.sleep(owner, Math.min(left_ms, plan.interval_ms), 'works')
    if (plan.offline && scheduler.now_ms() >= plan.offline[0] && scheduler.now_ms() < plan.offline[1]) {
      await scheduler.sleep(owner, plan.offline[1] - scheduler.now_ms(), 'is offline')
    }
    if (state.noticed && !noticed) {
      noticed = true
      const answer = await say(process, { type: 'preempting', at: 'soon' })
      if (answer === over) return over
    }
    if (!(await writeLog(process, ++number, plan.skew_ms))) return over
    const progress = 1 - Math.max(0, Math.min(1, left_ms / 60_000))
    const some = draw.chance(0.2) && { points: pointsOf(plan.shard).slice(0, draw.between(0, 4)) }
    const beat = await say(process, { type: 'heartbeat', progress, phase: 'run', step: number, ...some })
    if (beat === over) return over
    stop ??= stopOf(beat)
    if (draw.chance(0.15) && !(await checkpoint(process, number))) return over
  }
}

async function writeLog(process: Process, number: number, skew_ms: number): Promise<boolean> {
  const { world, heard, instance, draw } = process
  const text = `${instance} line ${number}\n`
  const at = new Date(world.scheduler.now_ms() + skew_ms).toISOString()
  const chunk = { number, at, stream: 'stdout', text }
  const answer = await ask(process, 'POST', '/logs', chunk)
  if (answer === over) return false
  heard.logs.set(number, text)
  // A repeated number is a no-op, whatever it says.
  if (draw.chance(0.05)) await ask(process, 'POST', '/logs', { ...chunk, text: `${text} again` })
  return true
}

async function checkpoint(process: Process, number: number): Promise<boolean> {
  const { heard, machine } = process
  const name = `checkpoints/${number}.tar`
  const bytes = `checkpoint ${number} of ${machine.attempt_id} by ${process.instance}`
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const stored = await ask(process, 'PUT', `/artifacts/${encodeURIComponent(name)}`, bytes)
  if (stored === over) return false
  const answer = await say(process, { type: 'checkpoint', name, bytes: bytes.length, sha256 })
  if (answer === over) return false
  heard.checkpoints.push(sha256)
  return true
}

async function fetchCheckpoint(process: Process, spec: Answer['body']): Promise<boolean> {
  const promised = spec['checkpoint'] as { sha256: string } | null
  if (!promised) return true
  const answer = await ask(process, 'GET', '/checkpoint')
  if (answer === over) return false
  const sha256 = createHash('sha256').update(String(answer['text'])).digest('hex')
  if (sha256 !== promised.sha256)
    process.world.violated(`the checkpoint given to ${process.machine.attempt_id} is not the one promised`)
  return true
}

interface Work {
  late: boolean
  shard: Part
  parts: readonly string[]
}

async function finish(
  process: Process,
  plan: RunPlan,
  stop: Stop,
  { late, shard, parts }: Work,
): Promise<void> {
  const { world, draw, heard, owner, cloud, machine, instance } = process
  const { scheduler } = world
  const kept = draw.chance(0.6)
  const report: FinishedReport = stop
    ? {
        exit_code: stop === 'timed_out' ? null : 75,
        failure: stop === 'preempted' || stop === 'timed_out' ? stop : kept ? null : 'result_missing',
        result: kept && stop !== 'preempted' ? { by: instance, parts, partial: true } : null,
      }
    : {
        exit_code: plan.exit_code,
        failure: plan.exit_code === 0 ? null : plan.exit_code === null ? 'killed' : 'user_code',
        result: plan.exit_code === 0 ? { by: instance, parts } : null,
      }
  if (shard.of > 1 && shard.role === 'work') {
    const stored = await ask(process, 'PUT', `/artifacts/${partFile}`, partText(machine.attempt_id, shard))
    if (stored === over) return cloud.exit(machine, 1)
  }
  if (late) {
    cloud.exit(machine, report.exit_code)
    await beLate(process)
  }
  heard.finished ??= report
  world.finishing(machine.attempt_id)
  const answer = await say(process, { type: 'finished', points: pointsOf(shard), artifacts: [], ...report })
  if (answer === over) return cloud.exit(machine, 1)
  heard.finished_ms ??= scheduler.now_ms()
  if (draw.chance(0.2)) await say(process, { type: 'finished', ...report, result: { by: 'a second word' } })
  await scheduler.sleep(owner, draw.between(100, 3_000), 'ends')
  cloud.exit(machine, report.exit_code ?? 137)
}

/** A minute after it was missed Berth gives up on a report: the worst moment is then. */
async function beLate({ world, draw, owner, machine }: Process): Promise<void> {
  const { scheduler, missed_since_ms } = world
  if (draw.chance(0.3)) return scheduler.sleep(owner, draw.between(1_000, 150_000), 'is late')
  for (let looks = 0; looks < 60 && missed_since_ms(machine.attempt_id) === null; looks++)
    await scheduler.sleep(owner, 1_000, 'is missed')
  const since_ms = missed_since_ms(machine.attempt_id) ?? scheduler.now_ms()
  await scheduler.sleep(owner, since_ms + draw.between(59_500, 66_000) - scheduler.now_ms(), 'is late')
}

const stopOf = (answer: Answer['body']): Stop =>
  (answer['stop'] as { reason: string } | undefined)?.reason ?? null

const say = (process: Process, report: object) => ask(process, 'POST', '/report', report)

/** Asks until there is an answer; `over`: the attempt is not this process's any more, or it is refused for good. */
async function ask(
  process: Process,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer['body'] | typeof over> {
  const { world, owner, machine } = process
  for (let tries = 0; ; tries++) {
    const request = { method, path: `/v1/attempts/${machine.attempt_id}${path}`, key: machine.token, body }
    const headers = method === 'PUT' ? { headers: { 'content-type': 'application/octet-stream' } } : {}
    const answer = await world.send(owner, { ...request, ...headers })
    if (answer?.status === 200) return answer.body
    const code = answer?.body['code']
    if (code === 'attempt_over' || code === 'superseded') {
      owner.dead = code === 'superseded'
      return over
    }
    if (answer && answer.status < 500)
      world.violated(`${method} ${path} of a runner was refused: ${JSON.stringify(answer.body)}`)
    await world.scheduler.sleep(
      owner,
      retry_ms[Math.min(tries, retry_ms.length - 1)] ?? 0,
      'waits to ask again',
    )
  }
}
