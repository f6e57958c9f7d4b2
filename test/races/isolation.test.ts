import { describe, expect, inject, test } from 'vitest'
import { noFaults } from '../fakes/model-cloud.ts'
import { alpha, beta } from '../simulation/accounts.ts'
import { startUsers, type Told } from '../simulation/users.ts'
import { isPostgres } from '../support/database.ts'
import { openFleet } from '../support/fleet.ts'
import { pace } from '../support/paced.ts'
import { strike } from './blows.ts'
import { judge, unrest } from './verdict.ts'

const seed = 'a'
const replicas = 3
/** What strikes alternates. */
const turns = 3
const jobsOfTurn = 20
const stretch_ms = 5_000
/** A bound against a hang: a spot machine's loss is believed after 30 s, and then its work begins anew. */
const rest_ms = 150_000

describe.skipIf(!isPostgres)(`${replicas} servers on one PostgreSQL, struck ${turns} times`, () => {
  test(
    'nothing accepted is lost, nothing is launched or settled twice, and the bill is the ledger',
    { timeout: 240_000 },
    async ({ annotate }) => {
      const server_url = inject('postgres_url')
      // Real time has no patience for a vendor without a launch token, whose lost call is repeated after minutes.
      const second = beta(noFaults)
      second.traits = { ...second.traits, launch_token: true, list_lag_ms: 1_000 }
      await using fleet = await openFleet({
        server_url,
        replicas,
        accounts: [alpha(noFaults), second],
        seed,
      })
      const owner = { name: 'admin', dead: false, paused_until_ms: 0 }
      const budget = { scope: 'project', period: 'total', limit_usd: 1_000 }
      await fleet.send(owner, { method: 'PUT', path: '/v1/budgets', key: fleet.key, body: budget })
      const told: Told[] = []
      startUsers(
        {
          ...fleet,
          draw: fleet.draw.fork('users'),
          told,
          violated: (text) => void fleet.violations.push(text),
        },
        turns * jobsOfTurn,
        turns * stretch_ms * pace,
      )
      const blows = []
      for (let turn = 0; turn < turns; turn++) blows.push(await strike(fleet, turn, stretch_ms))
      let left: string | null = null
      const quiet = async () => (left = await unrest(fleet, told)) === null
      await fleet.until(quiet, rest_ms, () => `not everything came to rest: ${left}`)
      const { violations, ...figures } = await judge(fleet, told)
      await annotate(JSON.stringify({ blows, ...figures }))
      expect(violations).toEqual([])
      expect(figures.jobs).toBe(turns * jobsOfTurn)
      for (const { killed, cut, locks } of blows) expect(Math.min(killed, cut, locks)).toBeGreaterThan(0)
    },
  )
})
