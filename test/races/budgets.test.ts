import { sql } from 'kysely'
import { describe, expect, inject, test } from 'vitest'
import { billMicros, noFaults } from '../fakes/model-cloud.ts'
import { alpha } from '../simulation/accounts.ts'
import { calmRunners } from '../simulation/runner.ts'
import { isPostgres } from '../support/database.ts'
import { type Fleet, openFleet } from '../support/fleet.ts'
import { backtest } from '../support/world.ts'

const submissions = 200
/** 0.72 USD an hour for a metering period of 60 s and a stop of 150 s. */
const first_micros = 42_000
const metering_micros = 12_000
/** What has room: in the project, and of that in the label. */
const [room, roomOfLabel] = [30, 8]
/** A bound against a hang. */
const patience_ms = 90_000
const admin = { name: 'admin', dead: false, paused_until_ms: 0 }

describe.skipIf(!isPostgres)(`budgets under ${submissions} submissions at once, on three servers`, () => {
  test(
    'launch what fits and no more, for the project and for a label; the rest waits with that reason',
    { timeout: 240_000 },
    async () => {
      await using fleet = await openCalmFleet()
      const limits = { project: room * first_micros, label: roomOfLabel * first_micros }
      await put(fleet, { scope: 'project', limit_usd: limits.project / 1e6 })
      await put(fleet, { scope: 'label', label: desk, limit_usd: limits.label / 1e6 })
      await delayIntents(fleet)
      const watching = new AbortController()
      const most = watch(fleet, limits, watching.signal)
      const ids = await Promise.all(Array.from({ length: submissions }, (_, n) => submit(fleet, n)))
      await fleet.until(
        () => isDecided(fleet),
        patience_ms,
        () => counts(fleet).then(JSON.stringify),
      )
      const { active, waiting_for_budget } = await counts(fleet)
      // As many as there is room for, but for what a label's full budget keeps out.
      expect(active).toBe(room)
      expect(waiting_for_budget).toBe(submissions - room)

      const answers = await Promise.all(ids.map((id) => order(fleet, id)))
      expect(new Set(answers)).toEqual(new Set([202]))
      await fleet.until(
        () => isOver(fleet),
        patience_ms,
        () => counts(fleet).then(JSON.stringify),
      )
      watching.abort()
      await most
      const machines = fleet.clouds.flatMap(({ machines: made }) => made)
      expect(new Set(machines.map(({ attempt_id }) => attempt_id)).size).toBe(machines.length)
      expect(await settled(fleet)).toEqual({ reserved: 0, unequal: 0, deadlocks: 0 })
    },
  )
})

const desk = { name: 'desk', value: 'alpha' }

function openCalmFleet() {
  const account = alpha(noFaults)
  for (const offer of account.offers) offer.slots = null
  return openFleet({
    server_url: inject('postgres_url'),
    replicas: 3,
    accounts: [account],
    seed: 'budgets',
  }).then((fleet) => {
    // Work that lasts: what is launched stays until it is cancelled.
    fleet.faults.runners = { ...calmRunners, hangs: 1 }
    return fleet
  })
}

/** A database under load: between the look at a budget and what is taken from it lies a while. */
async function delayIntents({ db }: Fleet): Promise<void> {
  await sql`create function delay() returns trigger language plpgsql
    as 'begin perform pg_sleep(0.05); return new; end'`.execute(db)
  await sql`create trigger delay before insert on attempts for each row execute function delay()`.execute(db)
}

async function put(fleet: Fleet, body: object): Promise<void> {
  const request = { method: 'PUT', path: '/v1/budgets', key: fleet.key, body: { period: 'total', ...body } }
  expect((await fleet.send(admin, request))?.status).toBe(200)
}

/** Half of them carry the label. */
async function submit(fleet: Fleet, n: number): Promise<string> {
  const body = backtest({ cache: false, ...(n % 2 === 0 ? { labels: { desk: 'alpha' } } : {}) })
  const answer = await fleet.send(admin, { method: 'POST', path: '/v1/jobs', key: fleet.key, body })
  expect(answer?.status).toBe(201)
  return String(answer?.body['id'])
}

const order = async (fleet: Fleet, id: string) =>
  (await fleet.send(admin, { method: 'POST', path: `/v1/jobs/${id}/cancel`, key: fleet.key }))?.status

/** Looks all the time: what is reserved and spent is within each limit, and the clouds' bill within the bound. */
async function watch(fleet: Fleet, limits: { project: number; label: number }, signal: AbortSignal) {
  while (!signal.aborted) {
    const held = await fleet.db
      .selectFrom('budget_periods')
      .innerJoin('budgets', 'budgets.id', 'budget_id')
      .select(['scope', 'reserved_micros', 'spent_micros'])
      .execute()
    for (const { scope, reserved_micros, spent_micros } of held)
      if (reserved_micros + spent_micros > limits[scope])
        fleet.violations.push(`the ${scope} holds ${reserved_micros} and ${spent_micros} of ${limits[scope]}`)
    const billed = fleet.clouds.flatMap(({ machines, account }) =>
      machines.map((machine) =>
        billMicros(
          { ...machine, to_ms: machine.to_ms ?? performance.timeOrigin + performance.now() },
          account.traits,
        ),
      ),
    )
    const sum = billed.reduce((total, micros) => total + micros, 0)
    if (sum > limits.project + billed.length * metering_micros)
      fleet.violations.push(`the cloud asks for ${sum} of ${limits.project}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(fleet.violations).toEqual([])
}

async function counts(fleet: Fleet) {
  const { rows } = await sql<{ active: number; waiting: number; waiting_for_budget: number }>`
    select count(*) filter (where state = 'active')::int as active,
      count(*) filter (where state = 'waiting')::int as waiting,
      count(*) filter (where state = 'waiting' and wait_reason = 'budget')::int as waiting_for_budget
    from shards`.execute(fleet.db)
  return rows[0] ?? { active: 0, waiting: 0, waiting_for_budget: 0 }
}

async function isDecided(fleet: Fleet): Promise<boolean> {
  const { active, waiting, waiting_for_budget } = await counts(fleet)
  return active + waiting === submissions && waiting === waiting_for_budget
}

async function isOver(fleet: Fleet): Promise<boolean> {
  const { active, waiting } = await counts(fleet)
  const open = await fleet.db.selectFrom('attempts').select('id').where('state', '<>', 'ended').execute()
  return active + waiting + open.length === 0
}

async function settled(fleet: Fleet) {
  const { rows } = await sql<{ reserved: number; unequal: number; deadlocks: number }>`
    select coalesce(sum(reserved_micros), 0)::int as reserved,
      (select deadlocks::int from pg_stat_database where datname = current_database()) as deadlocks,
      (count(*) filter (where scope = 'project' and spent_micros <>
        (select sum(usd_micros) from ledger where entry = 'settle')))::int as unequal
    from budget_periods join budgets on budgets.id = budget_id`.execute(fleet.db)
  return rows[0]
}
