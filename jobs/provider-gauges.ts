// What runs at providers, what it costs, and how the accounts there do.
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import type { Gauge } from './gauges.ts'
import { listOrphans } from './orphans.ts'

export async function providerGauges(deps: Deps): Promise<Gauge[]> {
  const [attempts, accounts] = [await openAttempts(deps), await knownAccounts(deps)]
  const orphans = await listOrphans(deps)
  return [
    {
      name: 'berth_attempts',
      help: 'Attempts that have not ended.',
      labels: ['provider', 'account', 'kind', 'state'],
      values: attempts.map(({ provider, account, kind, state, count }) => ({
        labels: { provider, account, kind, state },
        value: Number(count),
      })),
    },
    {
      name: 'berth_spend_usd_per_hour',
      help: 'What the attempts that have not ended cost an hour.',
      labels: ['provider', 'account', 'kind', 'state'],
      values: attempts.map(({ provider, account, kind, state, micros }) => ({
        labels: { provider, account, kind, state },
        value: microsToUsd(Number(micros)),
      })),
    },
    {
      name: 'berth_at_risk_usd_per_hour',
      help: 'What an hour costs of orphans, of stops that are not confirmed, and of attempts that nobody has seen for two minutes.',
      labels: [],
      values: [{ labels: {}, value: orphans.at_risk_usd_per_hour }],
    },
    {
      name: 'berth_orphans',
      help: 'Things at providers that no attempt accounts for.',
      labels: [],
      values: [{ labels: {}, value: orphans.items.length }],
    },
    {
      name: 'berth_accounts',
      help: 'Accounts at providers that have been called, by their state.',
      labels: ['provider', 'account', 'state'],
      values: accounts.map(({ provider, account, state }) => ({
        labels: { provider, account, state },
        value: 1,
      })),
    },
  ]
}

const openAttempts = ({ db }: Deps) =>
  db
    .selectFrom('attempts')
    .select(['provider', 'account', 'kind', 'state'])
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum('usd_micros_per_hour').as('micros')])
    .where('ended_at', 'is', null)
    .groupBy(['provider', 'account', 'kind', 'state'])
    .execute()

const knownAccounts = ({ db }: Deps) =>
  db.selectFrom('provider_health').select(['provider', 'account', 'state']).execute()
