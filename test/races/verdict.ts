// What must hold when a race has come to rest. The clouds and the runners are believed; the database is compared.
import { sql } from 'kysely'
import { billMicros, type Machine, type ModelCloud } from '../fakes/model-cloud.ts'
import type { AttemptRow, JobRow } from '../../jobs/plan.ts'
import type { Told } from '../simulation/users.ts'
import type { Fleet } from '../support/fleet.ts'

export interface Verdict {
  violations: string[]
  jobs: number
  attempts: number
  machines: number
  billed_micros: number
  settled_micros: number
  /** Deadlocks that PostgreSQL had to break. */
  deadlocks: number
}

const terminal: readonly string[] = ['succeeded', 'failed', 'cancelled']

/** Whether nothing is left to happen; else what is. */
export async function unrest(fleet: Fleet, told: readonly Told[]): Promise<string | null> {
  const waiting = told.filter(({ job_id, refused }) => job_id === null && !refused).length
  if (waiting > 0) return `${waiting} clients have no answer yet`
  const jobs = await fleet.db
    .selectFrom('jobs')
    .select(['id', 'state'])
    .where('state', 'not in', ['succeeded', 'failed', 'cancelled'])
    .execute()
  if (jobs.length > 0) return `${jobs.length} jobs have not ended: ${jobs[0]?.id} is ${jobs[0]?.state}`
  const attempts = await fleet.db
    .selectFrom('attempts')
    .select(['id', 'state', 'outcome'])
    .where('state', '<>', 'ended')
    .execute()
  const [first] = attempts
  if (first)
    return `${attempts.length} attempts have not ended: ${first.id} is ${first.state} ${first.outcome}`
  const machines = fleet.clouds.flatMap((cloud) => cloud.machines.filter(({ to_ms }) => to_ms === null))
  return machines.length > 0 ? `${machines.length} machines run: ${machines[0]?.attempt_id}` : null
}

export async function judge(fleet: Fleet, told: readonly Told[]): Promise<Verdict> {
  const violations = [...fleet.violations]
  const violated = (message: string) => void violations.push(message)
  const { db, clouds } = fleet
  const jobs = await db.selectFrom('jobs').selectAll().execute()
  const attempts = await db.selectFrom('attempts').selectAll().execute()
  const machines = clouds.flatMap((cloud) => cloud.machines.map((machine) => ({ machine, cloud })))
  await kept(fleet, told, new Map(jobs.map((job) => [job.id, job])), violated)
  launches(attempts, machines, violated)
  oneAtATime(fleet, attempts, machines, violated)
  const settled_micros = await money(fleet, attempts, machines, violated)
  const { rows } = await sql<{ deadlocks: number }>`
    select deadlocks::int from pg_stat_database where datname = current_database()`.execute(db)
  return {
    violations,
    jobs: jobs.length,
    attempts: attempts.length,
    machines: machines.length,
    billed_micros: machines.reduce(
      (sum, { machine, cloud }) => sum + billMicros(machine, cloud.account.traits),
      0,
    ),
    settled_micros,
    deadlocks: rows[0]?.deadlocks ?? 0,
  }
}

type Violated = (message: string) => void
type Placed = { machine: Machine; cloud: ModelCloud }

/** What clients were told is what is: nothing accepted is lost, nothing was made twice, orders were obeyed. */
async function kept(
  { db }: Fleet,
  told: readonly Told[],
  jobs: ReadonlyMap<string, JobRow>,
  violated: Violated,
): Promise<void> {
  const keys = await db.selectFrom('idempotency').select(['key', 'resource_id']).execute()
  if (new Set(keys.map(({ resource_id }) => resource_id)).size !== jobs.size || keys.length !== jobs.size)
    violated(`${jobs.size} jobs are there for ${keys.length} keys`)
  for (const { key, job_id, order } of told) {
    const job = jobs.get(job_id ?? '')
    if (!job) {
      violated(`job ${job_id} was accepted and is lost`)
      continue
    }
    if (keys.find((each) => each.key === key)?.resource_id !== job_id)
      violated(`${key} made another job than ${job_id}`)
    if (!terminal.includes(job.state)) violated(`job ${job_id} is ${job.state}`)
    if (order?.status === 202 && order.order === 'cancel' && job.state !== 'cancelled')
      violated(`the cancel of ${job_id} was accepted, and it ${job.state}`)
    if (order && ![202, 404, 409].includes(order.status))
      violated(`an order on ${job_id} answered ${order.status}`)
  }
}

/** No launch without an intent, and one machine of an attempt. */
function launches(attempts: readonly AttemptRow[], machines: readonly Placed[], violated: Violated): void {
  const intents = new Set(attempts.map(({ id }) => id))
  const made = new Map<string, number>()
  for (const { machine } of machines) {
    if (!intents.has(machine.attempt_id)) violated(`${machine.attempt_id} was launched without an intent`)
    made.set(machine.attempt_id, (made.get(machine.attempt_id) ?? 0) + 1)
  }
  for (const [attempt_id, count] of made) if (count > 1) violated(`${attempt_id} was launched ${count} times`)
}

/** While a machine works for a shard, nothing else is started for it; and a shard's success is reported once. */
function oneAtATime(
  { heard }: Fleet,
  attempts: readonly AttemptRow[],
  machines: readonly Placed[],
  violated: Violated,
): void {
  const shardOf = new Map(attempts.map(({ id, shard_id }) => [id, shard_id]))
  const byShard = Map.groupBy(machines, ({ machine }) => shardOf.get(machine.attempt_id))
  for (const [shard_id, placed] of byShard) {
    const inOrder = placed.map(({ machine }) => machine).toSorted((a, b) => a.from_ms - b.from_ms)
    for (const [index, machine] of inOrder.entries()) {
      const next = inOrder[index + 1]
      const over_ms = heard.get(machine.attempt_id)?.finished
        ? machine.from_ms
        : Math.min(machine.stop_called_ms ?? Infinity, machine.to_ms ?? Infinity)
      if (next && next.from_ms < over_ms)
        violated(`${next.attempt_id} was launched while ${machine.attempt_id} worked for ${shard_id}`)
    }
    const successes = inOrder.filter((machine) => {
      const said = heard.get(machine.attempt_id)
      return said?.finished_ms !== null && said?.finished?.exit_code === 0 && said.finished.failure === null
    })
    if (successes.length > 1) violated(`${shard_id} was done ${successes.length} times`)
  }
}

/**
 * Each attempt is settled once, and the ledger is the bill but for the time that lies between what the cloud did and
 * our sight of it, which the ledger's own times say.
 */
async function money(
  { db }: Fleet,
  attempts: readonly AttemptRow[],
  machines: readonly Placed[],
  violated: Violated,
): Promise<number> {
  const rows = await db.selectFrom('ledger').selectAll().where('entry', '=', 'settle').execute()
  const settled = new Map(rows.map((row) => [row.attempt_id, row]))
  for (const row of attempts) {
    const entry = settled.get(row.id)
    const found = machines.find(({ machine }) => machine.attempt_id === row.id)
    if (!entry) {
      violated(`attempt ${row.id} has ended and was not settled`)
      continue
    }
    if (!found || !entry.billed_from || !entry.billed_to) {
      if (entry.usd_micros > 0) violated(`attempt ${row.id} cost ${entry.usd_micros}, and nothing ever ran`)
      continue
    }
    const { machine, cloud } = found
    const { traits } = cloud.account
    const from_ms = entry.billed_from.getTime() - machine.from_ms
    const to_ms = entry.billed_to.getTime() - (machine.to_ms ?? Number.NaN)
    const rate = row.usd_micros_per_hour / 3_600_000
    const least = traits.min_billing_s * 1_000 * rate
    const explained = billMicros(machine, traits) + (to_ms - from_ms) * rate
    // Each side is rounded up once.
    if (!(Math.abs(entry.usd_micros - Math.max(explained, least)) <= least + 2))
      violated(
        `attempt ${row.id} was settled at ${entry.usd_micros} and not at ${explained}: ${from_ms}, ${to_ms} ms`,
      )
  }
  const sum = rows.reduce((total, { usd_micros }) => total + usd_micros, 0)
  for (const { reserved_micros, spent_micros } of await db
    .selectFrom('budget_periods')
    .selectAll()
    .execute()) {
    if (reserved_micros !== 0) violated(`${reserved_micros} micro-dollars stay reserved`)
    if (spent_micros !== sum) violated(`the budget says ${spent_micros}, the ledger ${sum}`)
  }
  return sum
}
