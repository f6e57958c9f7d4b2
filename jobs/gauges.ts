// How the installation stands, read from the database when somebody scrapes: the same at every server.
import type { Deps } from './deps.ts'
import { gpuGauges } from './gpu-gauges.ts'
import { providerGauges } from './provider-gauges.ts'

export interface Gauge {
  name: string
  help: string
  labels: readonly string[]
  values: { labels: Record<string, string>; value: number }[]
}

/** Reads all of them, by indexes of what has not ended: what has costs nothing. */
export async function readGauges(deps: Deps): Promise<Gauge[]> {
  const now = deps.clock.now()
  const [queue, deliveries] = [await waiting(deps), await undelivered(deps)]
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
    ...(await providerGauges(deps)),
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

/** By receiver: of one that is not reached, the next try is not due. */
const undelivered = ({ db, clock }: Deps) =>
  db
    .selectFrom('receivers')
    .select(({ fn }) => [fn.countAll<number>().as('count'), fn.min('due_at').as('since')])
    .where('due_at', '<=', clock.now())
    .executeTakeFirstOrThrow()
