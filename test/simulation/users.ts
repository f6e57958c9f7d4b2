// Clients: they submit, send again when no answer came, cancel, stop and delete; and remember what they were told.
import type { Draw } from './draw.ts'
import type { Answer, Send } from './http.ts'
import type { Owner, Scheduler } from './scheduler.ts'

/** What one client was told about its job. */
export interface Told {
  key: string
  spec: Record<string, unknown>
  /** null: no answer to any submit ever came. */
  job_id: string | null
  refused: boolean
  order: { order: 'cancel' | 'stop'; status: number; at_ms: number } | null
  deleted: boolean
  /** Whether it has nothing left to ask. */
  done: boolean
}

export interface UserWorld {
  scheduler: Scheduler
  draw: Draw
  send: Send
  key: string
  /** Every client's memory. */
  told: Told[]
  violated: (message: string) => void
}

const tries = 40

/** Starts clients that submit within the given time. */
export function startUsers(world: UserWorld, jobs: number, within_ms: number): void {
  for (let number = 0; number < jobs; number++) {
    const draw = world.draw.fork(`user ${number}`)
    void user(world, draw, number, draw.between(0, within_ms))
  }
}

async function user(world: UserWorld, draw: Draw, number: number, after_ms: number): Promise<void> {
  const { scheduler } = world
  const owner: Owner = { name: `user ${number}`, dead: false, paused_until_ms: 0 }
  const told: Told = {
    key: `key ${number}`,
    spec: specOf(draw, scheduler.now_ms()),
    job_id: null,
    refused: false,
    order: null,
    deleted: false,
    done: false,
  }
  world.told.push(told)
  await scheduler.sleep(owner, after_ms, 'comes')
  await visit(world, draw, owner, told)
  told.done = true
}

async function visit(world: UserWorld, draw: Draw, owner: Owner, told: Told): Promise<void> {
  const { scheduler } = world
  await submit(world, draw, owner, told)
  if (!told.job_id) return
  if (draw.chance(0.3)) {
    await scheduler.sleep(owner, draw.chance(0.3) ? draw.between(0, 500) : draw.between(0, 90_000), 'thinks')
    await order(world, owner, told, draw.chance(0.6) ? 'cancel' : 'stop')
    // Changing one's mind: a cancel outranks a stop.
    if (told.order?.order === 'stop' && told.order.status === 202 && draw.chance(0.3))
      await order(world, owner, told, 'cancel')
  }
  if (draw.chance(0.15)) await remove(world, draw, owner, told)
}

/** Someone who changes what may run at once, and in the end lifts every bound. */
export async function startLimiter(world: UserWorld, until_ms: number): Promise<void> {
  const { scheduler } = world
  const draw = world.draw.fork('limiter')
  const owner: Owner = { name: 'the limiter', dead: false, paused_until_ms: 0 }
  for (;;) {
    await scheduler.sleep(owner, draw.between(10_000, 40_000), 'looks at the limits')
    const over = scheduler.now_ms() >= until_ms
    const max_running = over ? 1_000 : draw.between(1, 8)
    await ask(world, owner, 'PUT', '/v1/limits', { scope: 'kind', key: 'backtest', max_running })
    if (over) return
  }
}

/** Clients that order at the very moment at which a runner reports its end. */
export function createRace(world: UserWorld, jobOf: (attempt_id: string) => string | undefined) {
  const draw = world.draw.fork('race')
  const owner: Owner = { name: 'a user in a hurry', dead: false, paused_until_ms: 0 }
  return (attempt_id: string) => {
    const told = world.told.find(({ job_id }) => job_id !== null && job_id === jobOf(attempt_id))
    if (!told || told.order || !draw.chance(0.3)) return
    const kind = draw.pick(['cancel', 'cancel', 'stop'] as const)
    void world.scheduler
      .sleep(owner, draw.between(0, 400), 'is in a hurry')
      .then(() => order(world, owner, told, kind))
  }
}

/** Someone who gives the project a little money at a time. */
export async function startTreasurer(
  world: UserWorld,
  first_micros: number,
  until_ms: number,
): Promise<void> {
  const { scheduler } = world
  const draw = world.draw.fork('treasurer')
  const owner: Owner = { name: 'the treasurer', dead: false, paused_until_ms: 0 }
  let limit_micros = first_micros
  for (;;) {
    await scheduler.sleep(owner, draw.between(8_000, 25_000), 'looks at the budget')
    if (scheduler.now_ms() >= until_ms) return
    limit_micros += draw.between(-20_000, 200_000)
    await ask(world, owner, 'PUT', '/v1/budgets', budgetOf(limit_micros))
  }
}

export const budgetOf = (limit_micros: number) => ({
  scope: 'project',
  period: 'total',
  limit_usd: limit_micros / 1_000_000,
})

async function submit(world: UserWorld, draw: Draw, owner: Owner, told: Told): Promise<void> {
  const again = () => ask(world, owner, 'POST', '/v1/jobs', told.spec, { 'idempotency-key': told.key })
  const first = await again()
  if (!first) return
  if (first.status !== 201 && first.status !== 200) {
    told.refused = true
    return world.violated(`a submit was refused: ${JSON.stringify(first.body)}`)
  }
  told.job_id = String(first.body['id'])
  if (!draw.chance(0.2)) return
  const second = await again()
  if (second && (second.status !== 200 || second.body['id'] !== told.job_id))
    world.violated(`a submit sent again made ${String(second.body['id'])} beside ${told.job_id}`)
}

async function order(world: UserWorld, owner: Owner, told: Told, kind: 'cancel' | 'stop'): Promise<void> {
  const answer = await ask(world, owner, 'POST', `/v1/jobs/${told.job_id}/${kind}`)
  // Two orders may cross: what was answered to a cancel is what counts.
  if (answer && told.order?.order !== 'cancel')
    told.order = { order: kind, status: answer.status, at_ms: world.scheduler.now_ms() }
}

async function remove(world: UserWorld, draw: Draw, owner: Owner, told: Told): Promise<void> {
  for (let round = 0; round < 20; round++) {
    await world.scheduler.sleep(owner, draw.between(5_000, 120_000), 'thinks')
    const answer = await ask(world, owner, 'DELETE', `/v1/jobs/${told.job_id}`)
    // 404: an earlier try took effect, and its answer was lost.
    told.deleted = answer?.status === 204 || answer?.status === 404
    if (told.deleted) return
  }
}

async function ask(
  { scheduler, send, key }: UserWorld,
  owner: Owner,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer | null> {
  for (let round = 0; round < tries; round++) {
    const answer = await send(owner, { method, path, key, body, headers })
    if (answer && answer.status < 500) return answer
    await scheduler.sleep(owner, 1_000 + round * 500, 'tries again')
  }
  return null
}

/** Sets of parameters of a sweep, numbered from 0. */
export const sweepPoints = 10

const timeouts_s = [
  [5, 30],
  [60, 300],
  [60, 300],
  [600, 900],
] as const

function specOf(draw: Draw, now_ms: number): Record<string, unknown> {
  const webhook = draw.chance(0.5) && {
    webhook: {
      url: `https://example.com/${draw.pick(['good', 'good', 'flaky', 'slow', 'gone'])}`,
      events: ['job.queued', 'job.running', 'job.retrying', 'job.succeeded', 'job.failed', 'job.cancelled'],
    },
  }
  const deadline = draw.chance(0.1) && {
    deadline_at: new Date(now_ms + draw.between(30_000, 600_000)).toISOString(),
  }
  const [least_s, most_s] = draw.pick(timeouts_s)
  const sweep = draw.chance(0.35)
  // Of a file nobody knows the size, so that the job is cut into as many parts as it names.
  const sha256 = `${draw.between(1, 2)}`.repeat(64)
  const file = { url: 'https://example.com/prices.parquet', sha256 }
  return {
    kind: 'backtest',
    params: {
      data: { files: [file], adjustment: 'total' },
      strategy: { name: 'sma_cross' },
      parameters: { fast: sweep ? { range: [1, sweepPoints, 1] } : 10, slow: 50 },
    },
    cache: draw.chance(0.4),
    ...(sweep && {
      parallelism: { max_shards: draw.between(2, 4), on_shard_failure: draw.pick(['fail', 'continue']) },
    }),
    resources: { cpu: draw.pick([1, 2]) },
    placement: {
      spot: draw.pick(['never', 'allow', 'only']),
      ...(draw.chance(0.2) ? { providers: [draw.pick(['alpha', 'beta'])] } : {}),
    },
    retry: { max_attempts: draw.between(1, 4) },
    // Short ones end attempts; with long ones the vendor's own switch comes long after a scan for orphans.
    timeout_s: draw.between(least_s, most_s),
    queue_timeout_s: draw.chance(0.1) ? draw.between(20, 120) : 1_800,
    priority: draw.pick(['low', 'normal', 'high']),
    ...(draw.chance(0.25) ? { budget_usd: draw.between(2, 60) / 1_000 } : {}),
    ...webhook,
    ...deadline,
  }
}
