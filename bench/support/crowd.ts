// Thousands of attempts that run, and their runners: rows are copied from one real attempt, and each runner reports
// over HTTP on a connection of its own, when the last answer told it to.
import { randomBytes } from 'node:crypto'
import { request as send } from 'node:http'
import { sql } from 'kysely'
import type { Database } from '../../jobs/store/schema.ts'
import { newId } from '../../jobs/ids.ts'
import { runnerToken } from '../../jobs/tokens.ts'
import { realBacktest } from '../../test/support/desk.ts'
import type { RunningServer } from '../../test/support/server.ts'
import type { SteadyCloud } from './steady-cloud.ts'

export interface Member {
  attempt_id: string
  token: string
}

/** Submits one job, and answers for its runner that it has started. */
export async function runOne(server: RunningServer, { launches }: SteadyCloud, db: Database): Promise<void> {
  const post = async (path: string, key: string, body: object) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
    const answer = await fetch(server.url + path, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
  }
  await post('/v1/jobs', server.key, realBacktest({ timeout_s: 86_400 }))
  await until(() => launches.length > 0)
  const { request, token } = launches[0] as SteadyCloud['launches'][number]
  await post(`/v1/attempts/${request.attempt_id}/report`, token, { type: 'started', instance: 'bench' })
  await until(async () => (await running(db)) === 1)
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await holds()); tries++) {
    if (tries > 600) throw new Error('the first job does not run')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

export async function running(db: Database): Promise<number> {
  const rows = await db
    .selectFrom('attempts')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', 'running')
    .execute()
  return Number(rows[0]?.count)
}

/** Copies the only job of a database, which must run, so that `size` of them run. */
export async function copyJob(db: Database, runner_key: Uint8Array, size: number): Promise<Member[]> {
  const {
    id: attempt,
    shard_id: shard,
    job_id: job,
    nonce,
  } = await db
    .selectFrom('attempts')
    .select(['id', 'shard_id', 'job_id', 'nonce'])
    .where('state', '=', 'running')
    .executeTakeFirstOrThrow()
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
  const at = new Date()
  const ids = (prefix: 'job' | 'shd' | 'att') =>
    Array.from({ length: size - 1 }, () => newId(prefix, at, random))
  const [jobs, shards, attempts] = [ids('job'), ids('shd'), ids('att')]
  await db.transaction().execute(async (tx) => {
    await sql`insert into jobs select (jsonb_populate_record(t, jsonb_build_object('id', new.job))).*
      from jobs t, unnest(${jobs}::text[]) as new(job) where t.id = ${job}`.execute(tx)
    // Looked at in turn, and not all in one second.
    await sql`insert into shards select (jsonb_populate_record(t, jsonb_build_object('id', new.shard,
        'job_id', new.job, 'lease_token', null, 'due_at', clock_timestamp() + random() * interval '10 s'))).*
      from shards t, unnest(${jobs}::text[], ${shards}::text[]) as new(job, shard)
      where t.id = ${shard}`.execute(tx)
    await sql`insert into attempts select (jsonb_populate_record(t, jsonb_build_object('id', new.attempt,
        'job_id', new.job, 'shard_id', new.shard))).*
      from attempts t, unnest(${jobs}::text[], ${shards}::text[], ${attempts}::text[])
        as new(job, shard, attempt) where t.id = ${attempt}`.execute(tx)
  })
  await sql`analyze`.execute(db)
  const member = (attempt_id: string, shard_id: string): Member => ({
    attempt_id,
    token: runnerToken(runner_key, { attempt_id, shard_id, nonce }),
  })
  return [member(attempt, shard), ...attempts.map((id, n) => member(id, shards[n] ?? ''))]
}

export interface Crowd {
  /** Since the last call: how long each answer took, how many reports failed; and the interval last asked for. */
  take: () => { answered_ms: number[]; failed: number; interval_ms: number }
  stop: () => void
}

/** Lets every member report; the first reports are spread over `spread_ms`. */
export function startCrowd(url: string, members: readonly Member[], spread_ms: number): Crowd {
  const { hostname, port } = new URL(url)
  let seen = { answered_ms: [] as number[], failed: 0, interval_ms: 0 }
  let stopped = false
  const beat = (member: Member, step: number) => {
    if (stopped) return
    const body = JSON.stringify({
      type: 'heartbeat',
      progress: 0.5,
      phase: 'run',
      step,
      steps: 1e6,
      ...figures,
    })
    const from_ms = performance.now()
    const again = (after_ms: number) => setTimeout(beat, after_ms, member, step + 1)
    const failed = () => {
      seen.failed++
      again(retry_ms)
    }
    const request = send(
      {
        hostname,
        port,
        method: 'POST',
        path: `/v1/attempts/${member.attempt_id}/report`,
        agent: false,
        timeout: patience_ms,
        headers: {
          authorization: `Bearer ${member.token}`,
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => (text += chunk))
        response.on('error', failed)
        response.on('end', () => {
          if (response.statusCode !== 200) return failed()
          const { next_heartbeat_ms } = JSON.parse(text) as { next_heartbeat_ms: number }
          seen.interval_ms = next_heartbeat_ms
          seen.answered_ms.push(performance.now() - from_ms)
          again(next_heartbeat_ms)
        })
      },
    )
    request.on('timeout', () => request.destroy(new Error('no answer')))
    request.on('error', failed)
    request.end(body)
  }
  for (const [index, member] of members.entries())
    setTimeout(beat, (index * spread_ms) / members.length, member, 1)
  return {
    take() {
      const taken = seen
      seen = { answered_ms: [], failed: 0, interval_ms: taken.interval_ms }
      return taken
    },
    stop() {
      stopped = true
    },
  }
}

const patience_ms = 30_000
const retry_ms = 1_000
const figures = {
  metrics: { best: 1.25 },
  machine: {
    cpu: 0.7,
    memory: 0.4,
    gpus: [{ utilization: 0.9, memory_used_gib: 18.2, temperature_c: 66, power_w: 310 }],
  },
}
