// A project that has lived: jobs that waited, ran, were retried and ended over three months, with their shards,
// attempts, events and lists, written by a few set-based statements for each ten thousand.
import { randomBytes } from 'node:crypto'
import { sql } from 'kysely'
import { newId } from '../../jobs/ids.ts'
import { jobSpec, kinds } from '../../jobs/spec.ts'
import { relist } from '../../jobs/store/lists.ts'
import type { Database } from '../../jobs/store/schema.ts'
import { backtest } from './world.ts'

export interface ManyJobs {
  project_id: string
  jobs: number
  /** The newest are younger than this. */
  now: Date
  /** Told after each part. */
  progress?: (done: number) => void
}

/** Where they ran. */
export const providers = ['alibaba', 'aws', 'kubernetes', 'runpod', 'tencent'] as const
/** A label that one job alone has. */
export const needle = { name: 'ticket', value: 'Q-1' }

const lived_ms = 90 * 86_400_000
const part = 10_000

/** The newest hundredth waits, one in five hundred is placed, of the others nine in ten have succeeded. */
export async function fillJobs(db: Database, { project_id, jobs, now, progress }: ManyJobs): Promise<void> {
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
  const spec = JSON.stringify(jobSpec.parse(backtest()))
  for (let from = 0; from < jobs; from += part) {
    const numbers = Array.from({ length: Math.min(part, jobs - from) }, (_, index) => from + index)
    const times = numbers.map((n) => new Date(now.getTime() - Math.floor(((jobs - n) * lived_ms) / jobs)))
    const ids = times.map((at) => newId('job', at, random))
    await db.transaction().execute(async (tx) => {
      await sql`
        insert into jobs (id, project_id, kind, name, spec, priority, labels, providers, state, outcome, error, result,
          estimated_micros, shards_total, shards_waiting, shards_active, shards_running, shards_succeeded,
          shards_failed, shards_cancelled, event_sequence, created_at, started_at, finished_at)
        select id, ${project_id}, kind, 'sweep ' || n, ${spec}::json, 'normal', labels, to_jsonb(providers), state,
          case when fate is not null then state end,
          case when state = 'failed' then jsonb_build_object('code', 'user_code', 'message', 'it raised',
            'where', 'user', 'exit_code', 3, 'hint', null, 'log_tail', repeat('line of a log ', 20)) end,
          case when state = 'succeeded' then ${result}::json end,
          10000, shards, case when state = 'queued' then shards else 0 end,
          case when placed then shards else 0 end, case when state = 'running' then shards else 0 end,
          case when state = 'succeeded' then shards else 0 end, case when state = 'failed' then shards else 0 end,
          case when state = 'cancelled' then shards else 0 end, 4, at,
          case when state <> 'queued' then at + interval '1 min' end,
          case when fate is not null then at + interval '10 min' end
        from (
          select *, state in ('scheduled', 'running', 'cancelling') as placed,
            case when state in ('succeeded', 'failed', 'cancelled') then state end as fate,
            case when state = 'queued' then '{}' when n % 20 = 0 then array[(${[...providers]}::text[])[1 + n % 5],
              (${[...providers]}::text[])[1 + (n + 1) % 5]]
              else array[(${[...providers]}::text[])[1 + n % 5]] end as providers
          from (
            select id, n, at, (${[...kinds]}::text[])[1 + n % ${kinds.length}] as kind,
              case when n % 200 = 7 then 8 else 1 end as shards,
              jsonb_build_object('desk', 'desk-' || n % 8, 'strategy', 'strategy-' || n % 50)
                || case when n = ${Math.floor(jobs / 2)} then ${JSON.stringify({ [needle.name]: needle.value })}::jsonb
                  else '{}' end as labels,
              case when n >= ${Math.floor(jobs * 0.99)} then 'queued'
                when n >= ${Math.floor(jobs * 0.988)}
                  then (array['running', 'running', 'running', 'scheduled', 'cancelling'])[1 + n % 5]
                else (array['failed', 'cancelled', 'succeeded'])[1 + least(2, n % 20)] end as state
            from unnest(${ids}::text[], ${numbers}::int[], ${times}::timestamptz[]) as made(id, n, at)
          ) as numbered
        ) as described`.execute(tx)
      await sql`
        insert into shards (id, project_id, job_id, index, state, shape_hash, queue_key, waiting_since, attempts,
          created_at)
        select 'shd_' || substr(id, 5, 25) || index, project_id, id, index,
          case when state = 'queued' then 'waiting' when finished_at is null then 'active' else state end,
          'shape', created_at, case when state = 'queued' then created_at end, 1, created_at
        from jobs, generate_series(0, shards_total - 1) as index where id = any(${ids}::text[])`.execute(tx)
      await sql`
        insert into attempts (id, project_id, job_id, shard_id, shard_index, number, state, provider, account, region,
          offer_id, spot, device, usd_micros_per_hour, basis, min_billing_s, timeout_s, timeout_reason, request, nonce,
          kind, signature, ranking, handle, launched_at, created_at, started_at, ended_at, outcome, outcome_at, host,
          instance, bound_at)
        select 'att_' || substr(j.id, 5, 24) || s.index || number, j.project_id, j.id, s.id, s.index, number,
          case when finished_at is not null or number < tries then 'ended'
            when j.state = 'running' then 'running' when j.state = 'cancelling' then 'stopping' else 'starting' end,
          j.providers ->> (number - 1), 'main', 'EU-RO-1', 'RTX 4090', false, 'cuda', 690000, 'billed', 0, 7200,
          'timed_out', ${request}::jsonb, 'nonce', j.kind, 'signature', ${ranking}::json, '{"machine": "m-1"}',
          j.created_at + interval '30 s', j.created_at, j.started_at,
          case when number < tries then j.created_at + interval '40 s' else finished_at end,
          case when number < tries then 'preempted' else outcome end,
          case when number < tries then j.created_at + interval '40 s' else finished_at end,
          ${host}::jsonb, 'instance', j.started_at
        from jobs j join shards s on s.job_id = j.id,
          lateral (select jsonb_array_length(j.providers) as tries) as t, generate_series(1, tries) as number
        where j.id = any(${ids}::text[])`.execute(tx)
      await sql`
        insert into events (project_id, job_id, sequence, type, at, data, partition_at)
        select project_id, id, sequence, (array['job.queued', 'job.scheduled', 'job.running', 'job.succeeded'])[sequence],
          created_at, '{"state": "running", "outcome": null, "error": null}', created_at
        from jobs, generate_series(1, case when finished_at is null then 2 else 4 end) as sequence
        where id = any(${ids}::text[])`.execute(tx)
      await sql`
        insert into heartbeats (attempt_id, project_id, at, progress, phase)
        select id, project_id, created_at, 0.5, 'run' from attempts
        where job_id = any(${ids}::text[]) and state = 'running'`.execute(tx)
      const rows = await tx
        .selectFrom('jobs')
        .select(['id', 'project_id', 'kind', 'state', 'labels', 'providers'])
        .where(sql<boolean>`id = any(${ids}::text[])`)
        .execute()
      await relist(
        tx,
        rows.map((to) => ({ from: null, to })),
      )
    })
    progress?.(from + numbers.length)
  }
}

const metrics = Object.fromEntries(
  ['total_return', 'annual_return', 'sharpe', 'sortino', 'calmar', 'max_drawdown', 'trades', 'win_rate'].map(
    (name, index) => [name, 0.123456789 * (index + 1)],
  ),
)
const result = JSON.stringify({ seed: 1, best: { parameters: { fast: 10, slow: 50 }, metrics }, points: 100 })
const offers = Array.from({ length: 5 }, (_, n) => ({
  provider: 'runpod',
  account: 'main',
  region: 'EU-RO-1',
  offer: `RTX 4090 ${n}`,
  spot: false,
  usd_per_hour: 0.69,
  expected_duration_s: 60,
  expected_usd: 0.0115,
  basis: 'model',
}))
const ranking = JSON.stringify({ offers, rejected: [] })
const request = JSON.stringify({ name: 'berth-abcdef-01jd3m4k5nep7r8r9s0t1v2w3x', offer: offers[0], cpu: 2 })
const host = JSON.stringify({ gpus: [{ model: 'RTX 4090', memory_gib: 24 }], driver: '550.54', cuda: '12.4' })
