// Events: appended in the transaction of what they tell, and read as a feed that passes none over.
//
// An event stands in the feed at (xid, id), and is shown once everything older than its xid has ended: whatever is
// committed after somebody has read is then behind what was read. xid is that of its transaction, or that of the event
// before it of the same job if that is later, so that the feed has the events of a job in their order.
import { type RawBuilder, sql } from 'kysely'
import type { JobRow } from '../plan.ts'
import type { EventType } from '../state.ts'
import type { Values } from './rows.ts'
import type { Database, Tx } from './schema.ts'

export type NewEvent = Values<'events'> & { type: EventType }

/** Where a reader of the feed stands: after the event of this place. */
export interface Position {
  xid: number
  id: number
}
export const start: Position = { xid: 0, id: 0 }

export interface FeedRow extends Position {
  job_id: string | null
  sequence: number
  type: string
  at: Date
  data: Record<string, unknown>
}

/** What the feed of a project is like now. */
export interface Feed {
  /** Of this life of the database. */
  epoch: number
  /** The last place of which an event was dropped. */
  floor: Position
  /** Everything before it has ended. */
  settled: number
  /** Nothing from it on has begun. */
  next: number
}

/** The row of a job's event; it is appended under the job's lock. */
export function eventRow(
  job: Pick<JobRow, 'id' | 'project_id' | 'created_at'>,
  {
    sequence,
    type,
    at,
    data,
  }: { sequence: number; type: EventType; at: Date; data: Record<string, unknown> },
): NewEvent {
  const { id: job_id, project_id, created_at: partition_at } = job
  return { project_id, job_id, sequence, type, at, data, partition_at }
}

/** Appends events in their order; those of jobs under the locks of their jobs. */
export async function appendEvents(tx: Tx, events: readonly NewEvent[]): Promise<void> {
  if (events.length === 0) return
  const column = (name: keyof NewEvent, type: string): RawBuilder<unknown> =>
    sql`${events.map((event) => textOf(event[name]))}::text[]::${sql.raw(type)}[]`
  await sql`/* append events */
    insert into events (project_id, job_id, sequence, type, at, data, partition_at, xid)
    select project_id, job_id, sequence, type, at, data, partition_at,
      case when sequence > 1 and job_id is not null then greatest(pg_current_xact_id(), (
        select xid from events as before where before.job_id = given.job_id
          and before.partition_at = given.partition_at and before.sequence < given.sequence
        order by before.sequence desc limit 1))
      else pg_current_xact_id() end
    from unnest(${column('project_id', 'text')}, ${column('job_id', 'text')}, ${column('sequence', 'int')},
      ${column('type', 'text')}, ${column('at', 'timestamptz')}, ${column('data', 'jsonb')},
      ${column('partition_at', 'timestamptz')})
      as given(project_id, job_id, sequence, type, at, data, partition_at)`.execute(tx)
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  return typeof value === 'object' ? JSON.stringify(value) : String(value as string | number)
}

/** Gives events of no job their numbers, which count up for each thing that they tell of. */
export async function numberEvents(
  tx: Tx,
  table: 'budgets' | 'webhooks' | 'provider_health',
  events: readonly NewEvent[],
): Promise<NewEvent[]> {
  const subjects = events.map(({ data }) => (data as { subject: { id: string } }).subject.id)
  const ids = [...new Set(subjects)].toSorted()
  const last = new Map<string, number>()
  for (const id of ids) {
    const count = subjects.filter((each) => each === id).length
    const row = await tx
      .updateTable(table)
      .set(({ eb }) => ({ event_sequence: eb('event_sequence', '+', count) }))
      .where('id', '=', id)
      .returning('event_sequence')
      .executeTakeFirst()
    last.set(id, (row?.event_sequence ?? count) - count)
  }
  return events.map((event, index) => {
    const id = subjects[index] ?? ''
    const sequence = (last.get(id) ?? 0) + 1
    last.set(id, sequence)
    return { ...event, sequence }
  })
}

export async function readFeedState(db: Database, project_id: string): Promise<Feed> {
  const { rows } = await sql<{
    epoch: number
    settled: string
    next: string
    xid: string | null
    id: number
  }>`/* state of the feed */
    select feed_epoch as epoch, pg_snapshot_xmin(pg_current_snapshot())::text as settled,
      pg_snapshot_xmax(pg_current_snapshot())::text as next, floors.xid::text as xid, floors.id
    from installation left join feed_floors as floors on floors.project_id = ${project_id}`.execute(db)
  const [row] = rows
  if (!row) throw new Error('the installation has no row')
  return {
    epoch: row.epoch,
    floor: row.xid === null ? start : { xid: Number(row.xid), id: row.id },
    settled: Number(row.settled),
    next: Number(row.next),
  }
}

/** Events after a place; `held`: there are more, which are shown when what began before them has ended. */
export async function readFeedRows(
  db: Database,
  project_id: string,
  after: Position,
  limit: number,
): Promise<{ rows: FeedRow[]; held: boolean }> {
  const { rows } = await sql<Omit<FeedRow, 'xid'> & { xid: string; settled: boolean }>`/* read feed */
    select job_id, sequence, type, at, data, xid::text as xid, id,
      xid < pg_snapshot_xmin(pg_current_snapshot()) as settled
    from events
    where project_id = ${project_id} and (xid, id) > (${String(after.xid)}::text::xid8, ${after.id}::bigint)
    order by events.xid, id limit ${limit}`.execute(db)
  const shown = rows.filter(({ settled }) => settled)
  return {
    rows: shown.map((row) => ({ ...row, xid: Number(row.xid) })),
    held: shown.length < rows.length,
  }
}

/**
 * In a database that was put back from a copy the numbers of transactions may begin anew: events with numbers to come are
 * given one of now, in their order, and all positions that were given to readers end.
 */
export async function renumberFeed(db: Database): Promise<boolean> {
  return db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ project_id: string }>`
      select projects.id as project_id from projects where exists (
        select from events
        where project_id = projects.id and xid >= pg_snapshot_xmax(pg_current_snapshot()))`.execute(tx)
    if (rows.length === 0) return false
    await sql`update events set xid = pg_current_xact_id()
      where xid >= pg_snapshot_xmax(pg_current_snapshot())`.execute(tx)
    await endPositions(tx)
    return true
  })
}

/** From now on readers begin anew: what they have read may not be what there is. */
export async function endPositions(db: Database | Tx): Promise<void> {
  await sql`update installation set feed_epoch = feed_epoch + 1`.execute(db)
}

/** Notes for each project up to where a partition of events goes, before it is dropped. */
export async function raiseFloors(tx: Tx, partition: string): Promise<void> {
  await sql`
    insert into feed_floors (project_id, xid, id)
    select projects.id, newest.xid, newest.id from projects, lateral (
      select xid, id from ${sql.table(partition)} where project_id = projects.id
      order by xid desc, id desc limit 1) as newest
    on conflict (project_id) do update set xid = excluded.xid, id = excluded.id
      where (feed_floors.xid, feed_floors.id) < (excluded.xid, excluded.id)`.execute(tx)
}
