// How the installation stands, read from the database when somebody scrapes: the same at every server.
import { microsToUsd } from './cost.ts'
import type { Deps } from './deps.ts'
import { gpuGauges } from './gpu-gauges.ts'
import { listOrphans } from './orphans.ts'

export interface Gauge {
  name: string
  help: string
  labels: readonly string[]
  values: { labels: Record<string, string>; value: number }[]
}

/** Reads all of them, by indexes of what has not ended: what has costs nothing. */
export async function readGauges(deps: Deps): Promise<Gauge[]> {
  const now = deps.clock.now()
  const [queue, attempts, deliveries] = [
    await waiting(deps),
    await openAttempts(deps),
    await undelivered(deps),
  ]
  const orphans = await listOrphans(deps)
  const ageOf = (at: Date | null) => (at === null ? 0 : Math.max(0, (now.getTime() - at.getTime()) / 1_000))
  return [
    {
      name: 'berth_queue_length',
      help: 'Parts of jobs that wait for a place.',
      labels: ['kind', 'priority'],
      values: queue.map(({ kind, priority, count }) => ({
        labels: { kind, priority },
        value: Number(count),
      })),
    },
    {
      name: 'berth_queue_oldest_seconds',
      help: 'How long the one that waits longest has waited.',
      labels: ['kind', 'priority'],
      values: queue.map(({ kind, priority, since }) => ({ labels: { kind, priority }, value: ageOf(since) })),
    },
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
      name: 'berth_webhook_receivers_due',
      help: 'Receivers that a message is due for.',
      labels: [],
      values: [{ labels: {}, value: Number(deliveries.count) }],
    },
    {
      name: 'berth_webhook_lag_seconds',
      help: 'How long the message that is due longest is.',
      labels: [],
      values: [{ labels: {}, value: ageOf(deliveries.since) }],
    },
    ...(await gpuGauges(deps)),
  ]
}

const waiting = ({ db }: Deps) =>
  db
    .selectFrom('shards')
    .innerJoin('jobs', 'jobs.id', 'shards.job_id')
    .select(['jobs.kind', 'jobs.priority'])
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.min('shards.waiting_since').as('since')])
    .where('shards.state', '=', 'waiting')
    .groupBy(['jobs.kind', 'jobs.priority'])
    .execute()

const openAttempts = ({ db }: Deps) =>
  db
    .selectFrom('attempts')
    .select(['provider', 'account', 'kind', 'state'])
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.sum('usd_micros_per_hour').as('micros')])
    .where('ended_at', 'is', null)
    .groupBy(['provider', 'account', 'kind', 'state'])
    .execute()

/** By receiver: of one that is not reached, the next try is not due. */
const undelivered = ({ db, clock }: Deps) =>
  db
    .selectFrom('receivers')
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.min('due_at').as('since')])
    .where('due_at', '<=', clock.now())
    .executeTakeFirstOrThrow()
