// What strikes real servers in one stretch of a race: killed processes, cut connections, statements that wait.
import pg from 'pg'
import { type CloudFaults, noFaults } from '../fakes/model-cloud.ts'
import { calmRunners, type RunnerFaults } from '../simulation/runner.ts'
import type { Fleet } from '../support/fleet.ts'

/** Statements wait this long at most behind a lock of ours. */
const longestLock_ms = 600
const tables = ['shards', 'attempts', 'jobs', 'budget_periods', 'replicas', 'ledger']

type Rates<Name extends string> = Partial<Record<Name, readonly [number, number]>>

/**
 * What the clouds do wrong, in turn: ranges of the rates that a seed draws from. A machine whose launch was not
 * answered and that is taken away is missed for a minute and a half before that is believed, so these two do not
 * come together; nor does here what alone needs minutes of patience.
 */
const cloudRates: readonly Rates<keyof CloudFaults>[] = [
  { lost_answer: [0.1, 0.3], error_but_created: [0.1, 0.3], slow_call: [0.05, 0.2], slow_boot: [0.05, 0.2] },
  { reclaim_with_notice: [0.1, 0.3], reclaim: [0.05, 0.15], glitch: [0.1, 0.3], slow_call: [0.05, 0.2] },
]
const runnerRates: Rates<keyof RunnerFaults> = {
  fails: [0.05, 0.15],
  late: [0.1, 0.3],
  duplicate: [0.1, 0.3],
  offline: [0.05, 0.2],
  wrong_clock: [0.3, 1],
}

export interface Blows {
  killed: number
  cut: number
  locks: number
}

/** Strikes for a time, then leaves everything calm. */
export async function strike(fleet: Fleet, turn: number, lasts_ms: number): Promise<Blows> {
  const draw = fleet.draw.fork(`blows ${turn}`)
  const rates = <Name extends string>(ranges: Rates<Name>) =>
    Object.fromEntries(
      Object.entries<readonly [number, number] | undefined>(ranges).map(([name, range = [0, 0]]) => [
        name,
        range[0] + draw.share() * (range[1] - range[0]),
      ]),
    )
  for (const { account } of fleet.clouds)
    account.faults = {
      ...noFaults,
      ...(rates(cloudRates[turn % cloudRates.length] ?? {}) as Partial<CloudFaults>),
    }
  fleet.faults.runners = { ...calmRunners, ...(rates(runnerRates) as Partial<RunnerFaults>) }
  fleet.faults.loss = 0.02 + draw.share() * 0.08
  const done: Blows = { killed: 0, cut: 0, locks: 0 }
  const client = new pg.Client({ connectionString: fleet.database_url, application_name: 'blows' })
  await client.connect()
  const end_ms = performance.now() + lasts_ms
  const rounds = [
    rounds_of('killed', [1_500, 4_000], async () => {
      done.killed++
      await fleet.kill(draw.between(0, 99))
    }),
    rounds_of('cut', [200, 900], async () => {
      done.cut += await cut(client, draw.between(1, 3))
    }),
    rounds_of('locks', [100, 700], async () => {
      done.locks++
      await lock(fleet.database_url, draw.pick(tables), draw.between(50, longestLock_ms))
    }),
  ]
  await Promise.all(rounds)
  await client.end()
  for (const cloud of fleet.clouds) cloud.calm()
  fleet.faults.runners = calmRunners
  fleet.faults.loss = 0
  return done

  /** Each strikes once at least, however slow the machine is. */
  async function rounds_of(
    kind: keyof Blows,
    pause_ms: readonly [number, number],
    blow: () => Promise<void>,
  ): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, draw.between(...pause_ms)))
      if (performance.now() > end_ms && done[kind] > 0) return
      await blow()
    }
  }
}

/** Ends the connections of some servers, whatever they are about. */
async function cut(client: pg.Client, most: number): Promise<number> {
  const { rowCount } = await client.query(
    `select pg_terminate_backend(pid) from (
       select pid from pg_stat_activity
       where datname = current_database() and application_name in ('berth', 'berth nudges')
       order by query_start desc limit $1) busiest`,
    [most],
  )
  return rowCount ?? 0
}

/** Lets every write to a table wait. */
async function lock(database_url: string, table: string, ms: number): Promise<void> {
  const client = new pg.Client({ connectionString: database_url, application_name: 'blows' })
  await client.connect()
  try {
    // A bound against a hang: it waits behind the statements of servers that may stand still.
    await client.query(`set statement_timeout = '60s'`)
    await client.query('begin')
    await client.query(`lock table ${table} in share mode`)
    await client.query('select pg_sleep($1)', [ms / 1_000])
    await client.query('commit')
  } finally {
    await client.end()
  }
}
