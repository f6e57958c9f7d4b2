// What must hold when all is quiet: nothing lost, nothing left, and the bill is ours.
import { billMicros, type Machine } from '../fakes/model-cloud.ts'
import type { ModelCloud } from '../fakes/model-cloud.ts'
import type { AttemptRow, JobRow, ShardRow } from '../../jobs/plan.ts'
import { wholeFeed } from './feed.ts'
import { jobBudgets } from './job-budgets.ts'
import { partText } from './runner.ts'
import { sweepPoints, type Told } from './users.ts'
import type { World } from './world.ts'

export async function finalCheck(world: World): Promise<void> {
  const jobs = await world.db.selectFrom('jobs').selectAll().orderBy('id').execute()
  const attempts = await world.db.selectFrom('attempts').selectAll().orderBy('id').execute()
  const shards = await world.db.selectFrom('shards').selectAll().execute()
  const facts: Facts = {
    jobs: new Map(jobs.map((job) => [job.id, job])),
    attempts,
    machines: world.clouds.flatMap((cloud) => cloud.machines.map((machine) => [machine, cloud] as const)),
  }
  await accepted(world, facts)
  for (const told of world.told) await keptWord(world, facts, told)
  reports(world, facts)
  for (const job of jobs) {
    if (job.cached_from !== null) given(world, facts, job)
    else if (job.shards_total > 1) await joined(world, facts, job, shards)
  }
  await money(world, facts)
  for (const shard of shards) {
    if (shard.due_at !== null) world.violated(`shard ${shard.id} has ended and is still to be looked at`)
    const most = facts.jobs.get(shard.job_id)?.spec.retry.max_attempts ?? 0
    const failures = attempts.filter((row) => row.shard_id === shard.id && row.outcome === 'failed')
    const later = attempts.filter(
      (row) => row.shard_id === shard.id && row.number > (failures[most - 1]?.number ?? 1e9),
    )
    if (later.length > 0) world.violated(`shard ${shard.id} was tried again after ${most} failures`)
    if (shard.attempts_used > most)
      world.violated(`shard ${shard.id} used ${shard.attempts_used} attempts of ${most}`)
  }
  await budgets(world)
  jobBudgets(world.violated, jobs, attempts)
  await wholeFeed(world)
  orphans(world, facts)
  for (const job of jobs) {
    await events(world, job)
    if (job.deleted_at === null) await logs(world, facts, job.id)
  }
}

/** Nothing runs for longer without an attempt than a scan takes to find and stop it, while the vendor answers. */
function orphans({ calm_since_ms, outages, violated }: World, { attempts, machines }: Facts): void {
  for (const [{ attempt_id, from_ms, to_ms, why }, { account }] of machines) {
    if (to_ms === null) {
      violated(`a machine of ${attempt_id} is left at ${account.name}`)
      continue
    }
    const ended_ms = attempts.find(({ id }) => id === attempt_id)?.ended_at?.getTime() ?? 0
    const late_ms = to_ms - Math.max(from_ms, ended_ms, calm_since_ms())
    if (ended_ms < to_ms && late_ms > orphanBound_ms)
      violated(`the machine of ${attempt_id} ran for ${late_ms} ms without an attempt`)
    // The vendor's own switch is for outages, and for what came too late to be an attempt's.
    if (why === 'dead_man' && to_ms < ended_ms && !outages())
      violated(`only the dead-man switch ended the machine of ${attempt_id}`)
  }
}

/** The scan's period before its first look and before its last (60 s each), the grace (120 s), and a slow stop. */
const orphanBound_ms = 5 * 60_000

interface Facts {
  jobs: Map<string, JobRow>
  attempts: readonly AttemptRow[]
  machines: readonly (readonly [Machine, ModelCloud])[]
}

const terminal: readonly string[] = ['succeeded', 'failed', 'cancelled']

/** Each key that was ever sent has at most one job, and each job that was accepted is there and has ended. */
async function accepted({ db, told, monitor, violated }: World, { jobs }: Facts): Promise<void> {
  const keys = await db.selectFrom('idempotency').select(['key', 'resource_id']).execute()
  if (new Set(keys.map(({ resource_id }) => resource_id)).size !== jobs.size)
    violated(`${jobs.size} jobs are there for ${keys.length} keys`)
  for (const { job_id, key } of told) {
    if (job_id === null) {
      violated(`the submit of ${key} was never answered`)
      continue
    }
    if (!jobs.has(job_id)) violated(`job ${job_id} was accepted and is lost`)
    if (keys.find((each) => each.key === key)?.resource_id !== job_id)
      violated(`${key} made another job than ${job_id}`)
  }
  for (const job of jobs.values())
    if (!terminal.includes(job.state) || !job.finished_at) violated(`job ${job.id} is ${job.state}`)
  if (monitor.jobs.size !== jobs.size) violated(`${monitor.jobs.size} jobs were made, ${jobs.size} are there`)
}

/** What a client was told is what is. */
async function keptWord({ ask, violated }: World, { jobs }: Facts, told: Told): Promise<void> {
  const job = told.job_id === null ? undefined : jobs.get(told.job_id)
  if (!job) return
  const answer = await ask(`/v1/jobs/${job.id}`)
  if (answer.status !== (told.deleted ? 404 : 200) && !(answer.status === 404 && job.deleted_at))
    violated(`GET of ${job.id} answers ${answer.status}`)
  if (answer.status === 200 && answer.body['state'] !== job.state)
    violated(`job ${job.id} is shown as ${String(answer.body['state'])} and is ${job.state}`)
  const { order } = told
  if (order?.status === 202 && order.order === 'cancel' && job.state !== 'cancelled')
    violated(`the cancel of ${job.id} was accepted, and it ${job.state}`)
  if (
    order?.status === 409 &&
    order.order === 'cancel' &&
    job.state === 'cancelled' &&
    job.order_kind === null
  )
    violated(`the cancel of ${job.id} was refused, and it was cancelled`)
  if (order && ![202, 409, 404].includes(order.status))
    violated(`an order on ${job.id} answered ${order.status}`)
}

/** A report that was acknowledged counts, unless a cancel was recorded before it. */
function reports({ heard, violated }: World, { jobs, attempts }: Facts): void {
  for (const row of attempts) {
    const said = heard.get(row.id)
    const job = jobs.get(row.job_id)
    if (!said?.finished || said.finished_ms === null || !job) continue
    if (row.finished_version === null) violated(`the end of ${row.id} was acknowledged and is not recorded`)
    const { exit_code, failure } = said.finished
    if (exit_code === 0 && failure === null) success(violated, row, job, said.finished.result)
  }
  for (const row of attempts)
    if (row.outcome === 'succeeded') {
      if (heard.get(row.id)?.finished?.exit_code !== 0)
        violated(`${row.id} succeeded, and its runner never said so`)
      const { state, shards_total } = jobs.get(row.job_id) ?? {}
      // Of several parts another may have failed for good.
      if (shards_total === 1 && state !== 'succeeded')
        violated(`${row.id} succeeded, and ${row.job_id} ${state}`)
    }
}

function success(violated: World['violated'], row: AttemptRow, job: JobRow, result: unknown): void {
  if (row.outcome === 'cancelled' && job.order_kind === 'cancel') return
  if (row.outcome !== 'succeeded') violated(`${row.id} has reported its success and is ${row.outcome}`)
  const whole = job.shards_total === 1 || row.shard_index === job.shards_total
  if (whole && job.state !== 'succeeded' && job.order_kind !== 'cancel')
    violated(`${row.id} has reported its success, and ${job.id} ${job.state}`)
  if (whole && job.state === 'succeeded' && JSON.stringify(job.result) !== JSON.stringify(result))
    violated(`${job.id} has the result ${JSON.stringify(job.result)} and not ${JSON.stringify(result)}`)
}

/** A job that was given a result ran nothing, and the result is that of an equal job which ran. */
function given({ violated }: World, { jobs, attempts }: Facts, job: JobRow): void {
  const source = jobs.get(job.cached_from ?? '')
  if (!source || source.cached_from !== null || source.cache_key !== job.cache_key)
    return violated(`${job.id} was given the result of ${job.cached_from}, which is no equal job`)
  if (source.state !== 'succeeded' || source.outcome !== 'succeeded' || source.shards_failed > 0)
    violated(`${job.id} was given the result of ${source.id}, which has none`)
  if (JSON.stringify(source.result) !== JSON.stringify(job.result))
    violated(`${job.id} has not the result of ${source.id}`)
  if (attempts.some(({ job_id }) => job_id === job.id)) violated(`${job.id} ran, and was given a result`)
  if (job.state !== 'succeeded') violated(`${job.id} was given a result and has ${job.state}`)
}

/** Each part is done once, on one class of device, and what is joined is the parts that succeeded. */
async function joined(
  { ask, heard, violated }: World,
  { attempts }: Facts,
  job: JobRow,
  all: readonly ShardRow[],
): Promise<void> {
  const mine = attempts.filter(({ job_id }) => job_id === job.id)
  const shards = all.filter(({ job_id }) => job_id === job.id)
  const work = shards.filter(({ role }) => role === 'work')
  if (work.length !== job.shards_total) violated(`${job.id} has ${work.length} parts of ${job.shards_total}`)
  for (const row of mine) {
    const told = heard.get(row.id)?.shard
    const role = row.shard_index === job.shards_total ? 'merge' : 'work'
    if (told && (told.index !== row.shard_index || told.of !== job.shards_total || told.role !== role))
      violated(`${row.id} was told to do ${JSON.stringify(told)}`)
  }
  const classes = new Set(
    mine.filter(({ shard_index }) => shard_index < job.shards_total).map(({ device }) => device === 'cpu'),
  )
  if (classes.size > 1) violated(`the parts of ${job.id} ran on two classes of device`)
  const failed = work.filter(({ state }) => state === 'failed').length
  if (job.state !== 'succeeded') return
  if (failed > 0 && job.spec.parallelism.on_shard_failure === 'fail')
    violated(`${job.id} succeeded, and ${failed} of its parts failed`)
  const merges = shards.filter(({ role }) => role === 'merge')
  if (merges.length !== 1 || merges[0]?.state !== 'succeeded') violated(`${job.id} was not joined`)
  const done = work.filter(({ state }) => state === 'succeeded')
  const expected = done.map(({ id, index }) => {
    const last = mine.filter(({ shard_id }) => shard_id === id).at(-1)
    return partText(last?.id ?? '', { index, of: job.shards_total, role: 'work' })
  })
  const { parts } = job.result as { parts: string[] }
  if (parts.toSorted().join() !== expected.toSorted().join())
    violated(`${job.id} was joined from ${parts.join('; ')} and not from ${expected.join('; ')}`)
  if (job.deleted_at || done.length < job.shards_total) return
  const answer = await ask(`/v1/jobs/${job.id}/points?sort=point&limit=500`)
  const points = (answer.body['items'] as { point: number }[]).map(({ point }) => point)
  if (points.join() !== [...Array(sweepPoints).keys()].join())
    violated(`${job.id} has the points ${points.join(', ')}`)
}

/** Each attempt is settled once. What the ledger and the bill differ by is time that we know of. */
async function money({ monitor, db, violated }: World, { attempts, machines }: Facts): Promise<void> {
  const rows = await db.selectFrom('ledger').selectAll().where('entry', '=', 'settle').execute()
  const settled = new Map(rows.map((row) => [row.attempt_id, row]))
  for (const row of attempts) {
    const entry = settled.get(row.id)
    if (!entry) {
      violated(`attempt ${row.id} has ended and was not settled`)
      continue
    }
    const [machine, cloud] = machines.find(([{ attempt_id }]) => attempt_id === row.id) ?? []
    if (!machine || !cloud) {
      if (entry.usd_micros > 0) violated(`attempt ${row.id} cost ${entry.usd_micros} and no machine ever ran`)
      continue
    }
    const billed = billMicros(machine, cloud.account.traits)
    // From the start of the bill to the answer of the launch, and from the machine's end to our sight of it.
    const from_ms = (entry.billed_from?.getTime() ?? Number.NaN) - machine.from_ms
    const to_ms = (entry.billed_to?.getTime() ?? Number.NaN) - (machine.to_ms ?? Number.NaN)
    if (Number.isNaN(from_ms)) continue
    if (from_ms > 0) violated(`the ledger of attempt ${row.id} begins ${from_ms} ms after the bill`)
    const rate = row.usd_micros_per_hour / 3_600_000
    const least = cloud.account.traits.min_billing_s * 1_000 * rate
    const explained = billed + (to_ms - from_ms) * rate
    if (Math.abs(entry.usd_micros - Math.max(explained, least)) > least + 2)
      violated(
        `attempt ${row.id} was settled at ${entry.usd_micros}, the cloud billed ${billed}: ${from_ms} and ${to_ms} ms explain ${Math.round(explained)}`,
      )
  }
  if (monitor.settled.size !== rows.length) violated('a settlement has vanished')
}

/** Nothing stays reserved, and what is spent is what was settled. */
async function budgets({ db, violated }: World): Promise<void> {
  const rows = await db.selectFrom('budget_periods').selectAll().execute()
  const entries = await db.selectFrom('ledger').select(['entry', 'usd_micros']).execute()
  const settled = entries.reduce(
    (sum, { entry, usd_micros }) => sum + (entry === 'settle' ? usd_micros : 0),
    0,
  )
  for (const { reserved_micros, spent_micros } of rows) {
    if (reserved_micros !== 0) violated(`${reserved_micros} micro-dollars stay reserved`)
    if (spent_micros !== settled) violated(`the budget says ${spent_micros}, the ledger ${settled}`)
  }
}

/** Numbered without a gap; the last one says how it ended; each that a webhook asks for has one message. */
async function events({ db, receiver, violated }: World, job: JobRow): Promise<void> {
  const rows = await db
    .selectFrom('events')
    .selectAll()
    .where('job_id', '=', job.id)
    .orderBy('sequence')
    .execute()
  if (rows.some(({ sequence }, index) => sequence !== index + 1))
    violated(`the events of ${job.id} have a gap`)
  if (rows.at(-1)?.type !== `job.${job.state}`)
    violated(`the last event of ${job.id} is ${rows.at(-1)?.type}, not ${job.state}`)
  const ends = rows.filter(({ type }) => terminal.includes(type.slice('job.'.length)))
  if (ends.length !== 1) violated(`job ${job.id} has ended ${ends.length} times`)
  const wanted: readonly string[] = job.spec.webhook?.events ?? []
  const messages = await db
    .selectFrom('deliveries')
    .selectAll()
    .where('job_id', '=', job.id)
    .orderBy('sequence')
    .execute()
  const expected = rows.filter(({ type }) => wanted.includes(type)).map(({ sequence }) => sequence)
  if (messages.map(({ sequence }) => sequence).join() !== expected.join())
    violated(
      `job ${job.id} has messages of the events ${messages.map(({ sequence }) => sequence).join()}, not ${expected.join()}`,
    )
  for (const { id, state, url } of messages) {
    if (state === 'delivered' && !receiver.received.has(id))
      violated(`message ${id} is delivered, and nobody got it`)
    if (state === 'exhausted' && !url.endsWith('/gone')) violated(`message ${id} to ${url} is exhausted`)
  }
}

/** What a runner got an answer for is readable, in order, once. */
async function logs({ ask, heard, violated }: World, { attempts }: Facts, job_id: string): Promise<void> {
  const lines: Line[] = []
  let cursor = ''
  for (let page = 0; page < maxPages; page++) {
    const answer = await ask(`/v1/jobs/${job_id}/logs?limit=${pageSize}&cursor=${encodeURIComponent(cursor)}`)
    const items = answer.body['items'] as Line[]
    lines.push(...items)
    cursor = (answer.body['next_cursor'] as string | null) ?? ''
    if (cursor === '' || items.length === 0) break
  }
  for (const { id, number, shard_index } of attempts.filter((row) => row.job_id === job_id)) {
    const shown = lines.filter(({ shard, attempt }) => shard === shard_index && attempt === number)
    if (shown.some((line, index) => line.number !== index + 1))
      violated(`the log of ${id} is not in order, once`)
    for (const [line, text] of heard.get(id)?.logs ?? [])
      if (shown[line - 1]?.text !== text)
        violated(`line ${line} of ${id} was acknowledged and is not readable`)
  }
}

interface Line {
  shard: number
  attempt: number
  number: number
  text: string
}
const pageSize = 7
const maxPages = 200
