// The queue: shards that wait for a place. Shards of one shape (project, kind, resources, placement, bounds) find a
// place or none together, so a pass looks at the head of each shape and never scans the backlog.
import { sql } from 'kysely'
import { canonicalSha256 } from '../canonical.ts'
import type { Change, JobRow } from '../plan.ts'
import { type DeviceClass, type Role, shardSpec } from '../shards.ts'
import type { JobSpec } from '../spec.ts'
import type { Priority } from '../state.ts'
import { waitBound } from '../wait.ts'
import { type Claimed, free, leaseFor } from './claim.ts'
import type { Values } from './rows.ts'
import type { Database } from './schema.ts'

/** Shapes that one look sees. With more, the next one goes on among them. */
const maxShapes = 1_000

/** How far ahead of its time a job stands in the queue; the same bonus ages a lower priority past it. */
const bonus_s: Record<Priority, number> = { low: -3_600, normal: 0, high: 3_600, urgent: 86_400 }

export const queueKeyOf = ({ created_at, priority }: Pick<JobRow, 'created_at' | 'priority'>): Date =>
  new Date(created_at.getTime() - bonus_s[priority] * 1_000)

/** A shard that waits from now on, in its job's place in the queue. */
export function newShard(
  job: Pick<
    JobRow,
    'id' | 'project_id' | 'spec' | 'shards_total' | 'device_class' | 'created_at' | 'priority'
  >,
  shard: { id: string; role: Role; index: number },
  now: Date,
): Values<'shards'> {
  return {
    ...shard,
    project_id: job.project_id,
    job_id: job.id,
    state: 'waiting',
    shape_hash: shapeOf(job.project_id, shardSpec(job, shard.role)),
    queue_key: queueKeyOf(job),
    due_at: waitBound({ job, shard: { waited_ms: 0, waiting_since: now, created_at: now } }),
    not_before: null,
    waiting_since: now,
    wait_reason: null,
    excluded_providers: [],
    created_at: now,
  }
}

/** Shards of equal shape wait for the same places. */
function shapeOf(project_id: string, spec: JobSpec): string {
  const { kind, resources, placement, budget_usd, deadline_at } = spec
  // A policy may name the images that its project runs.
  const image = spec.kind === 'custom' ? { image: spec.params.image } : {}
  const shape = { project_id, kind, resources, placement, budget_usd, deadline_at, ...image }
  return canonicalSha256(shape).slice(0, 16)
}

/** The shape of a shard that was tried: what it spent and where it may not go make it differ from the others. */
export function retriedShape(
  shape_hash: string,
  attempts: number,
  excluded_providers: readonly string[],
): string {
  return canonicalSha256({ shape_hash, attempts, excluded_providers }).slice(0, 16)
}

/** What waits for places on one class of device alone. */
export const shapeOnClass = (shape_hash: string, device_class: DeviceClass): string =>
  canonicalSha256({ shape_hash, device_class }).slice(0, 16)

export interface Head {
  shape_hash: string
  project_id: string
  /** Of the project: its share of what runs. */
  weight: number
  job_id: string
  role: Role
  excluded_providers: string[]
  spec: JobSpec
  device_class: DeviceClass | null
  shards_total: number
  shards_waiting: number
}

/** Heads in the order of their shapes, and the last shape that was looked at where there are more. */
export interface Heads {
  heads: Head[]
  next: string | null
}

/** One waiting shard of each shape after a shape; '' begins with the first. */
export async function queueHeads(db: Database, after: string): Promise<Heads> {
  const heads = await headsAfter(db, after)
  if (heads.length <= maxShapes) return { heads, next: null }
  const some = heads.slice(0, maxShapes)
  return { heads: some, next: some.at(-1)?.shape_hash ?? null }
}

/** The same for who does not remember where to go on: from anywhere, and around. */
export async function anyHeads(db: Database, start: string): Promise<Heads> {
  const { heads, next } = await queueHeads(db, start)
  if (next !== null) return { heads, next }
  const before = (await headsAfter(db, '')).filter(({ shape_hash }) => shape_hash <= start)
  return { heads: [...heads, ...before.slice(0, maxShapes - heads.length)], next: null }
}

async function headsAfter(db: Database, after: string): Promise<Head[]> {
  const first = (known: ReturnType<typeof sql>) => sql`(
    select shape_hash, id from shards
    where state = 'waiting' and not_before is null and shape_hash > ${known}
    order by shape_hash, queue_key, id limit 1)`
  const { rows } = await sql<Head>`
    with recursive heads(shape_hash, id, n) as (
      (select shape_hash, id, 1 from ${first(sql`${after}`)} as first)
      union all
      select step.shape_hash, step.id, heads.n + 1
      from heads, lateral ${first(sql`heads.shape_hash`)} as step
      where heads.n <= ${maxShapes}
    )
    select heads.shape_hash, s.project_id, p.weight, s.job_id, s.role, s.excluded_providers,
      j.spec, j.device_class, j.shards_total, j.shards_waiting
    from heads join shards s on s.id = heads.id join jobs j on j.id = s.job_id
    join projects p on p.id = s.project_id
    order by heads.n`.execute(db)
  return rows
}

/** Changes of a plan after which the queue is worth another look. */
export const movesQueue: ReadonlySet<Change['change']> = new Set([
  'launched',
  'conclude',
  'end',
  'requeue',
  'finish',
  'queue',
  'refused',
  'taken',
] as const)

/** A shape whose turn it is. */
export interface Turn {
  shape_hash: string
  project_id: string
  weight: number
  /** Most shards of the shape that would find a place. */
  room: number
}

/** Of each shape of a project that has several, beside its share: what is looked at first. */
const firstOfShape = 8

/**
 * Leases shards of these shapes, in the order of their turns. Between projects whoever has the least running for its
 * weight comes first; within a project the oldest by queue key, which is the time of submission less the bonus of the
 * priority.
 */
export async function claimQueue(
  db: Database,
  replica: string,
  token: string,
  now: Date,
  options: { limit: number; turns: readonly Turn[]; running: ReadonlyMap<string, number> },
): Promise<Claimed[]> {
  const { limit, turns, running } = options
  if (turns.length === 0) return []
  const projects = Map.groupBy(turns, ({ project_id }) => project_id)
  const quotas = quotasOf(projects, running, limit)
  const quotaOf = ({ project_id }: Turn) => quotas.get(project_id) ?? 0
  const first = turns.map((turn) => {
    const shapes = projects.get(turn.project_id)?.length ?? 1
    return shapes === 1 ? 0 : Math.ceil(quotaOf(turn) / shapes) + firstOfShape
  })
  const of_shape = (turn: string, count: ReturnType<typeof sql>, until = sql``) => sql`
    select id, queue_key from shards
    where state = 'waiting' and not_before is null and shape_hash = ${sql.ref(turn)}.shape_hash
      and ${free(now)} ${until}
    order by queue_key, id limit ${count}`
  // Of many shapes of one project only those up to its share are read: the few first of each shape tell how far.
  const { rows } = await sql<{ id: string }>`
    with turn as (
      select * from unnest(${turns.map((turn) => turn.shape_hash)}::text[],
        ${turns.map((turn) => turn.project_id)}::text[], ${turns.map((turn) => Math.min(limit, turn.room))}::int[],
        ${turns.map(quotaOf)}::int[], ${first}::int[])
        as turn(shape_hash, project_id, room, quota, first)
      where quota > 0
    ), early as (
      select turn.project_id, quota, queue_key,
        row_number() over (partition by turn.project_id order by queue_key) as place
      from turn, lateral (${of_shape('turn', sql`least(turn.first, turn.room)`)}) as s where first > 0
    ), share as (
      select turn.*, early.queue_key as until from turn
      left join early on early.project_id = turn.project_id and early.place = early.quota
    ), heads as (
      select s.id, share.project_id, s.queue_key from share, lateral (
        ${of_shape('share', sql`least(share.room, share.quota)`, sql`and queue_key <= coalesce(share.until, 'infinity')`)}
      ) as s
    ), ordered as (
      select h.id, h.queue_key,
        (coalesce(r.running, 0) + row_number() over (partition by h.project_id order by h.queue_key, h.id))
          / p.weight as turn
      from heads h join projects p on p.id = h.project_id
      left join unnest(${[...running.keys()]}::text[], ${[...running.values()]}::int[]) as r(project_id, running)
        on r.project_id = h.project_id
    ), leased as (
      update shards set ${leaseFor(replica, token, now)}
      where id in (
      select id from shards
      where id in (select id from ordered order by turn, queue_key, id limit ${limit})
        and state = 'waiting' and ${free(now)}
      for update skip locked)
    returning id)
    select ordered.id from ordered join leased on leased.id = ordered.id
    order by turn, queue_key, ordered.id`.execute(db)
  return rows.map(({ id }) => ({ shard_id: id, lease: { replica, token } }))
}

/**
 * How many shards of each project are among the next so many, if it has that many: as many as have a turn up to the
 * same, which is found by halves.
 */
function quotasOf(
  projects: ReadonlyMap<string, readonly Turn[]>,
  running: ReadonlyMap<string, number>,
  limit: number,
): Map<string, number> {
  const shares = [...projects].map(([id, turns]) => ({
    id,
    running: running.get(id) ?? 0,
    weight: turns[0]?.weight ?? 1,
    room: Math.min(
      limit,
      turns.reduce((sum, { room }) => sum + room, 0),
    ),
  }))
  const quotas = (turn: number) =>
    shares.map(({ id, running: open, weight, room }) => {
      const due = Math.floor(turn * weight) - open
      return [id, Math.max(0, Math.min(room, due))] as const
    })
  const sum = (turn: number) => quotas(turn).reduce((all, [, quota]) => all + quota, 0)
  let [few, enough] = [0, Math.max(...shares.map((share) => (share.running + limit + 1) / share.weight))]
  for (let step = 0; step < halvings; step++) {
    const middle = (few + enough) / 2
    if (sum(middle) < limit) few = middle
    else enough = middle
  }
  return new Map(quotas(enough))
}
/** Of the span of turns: finer than two of them differ. */
const halvings = 60
