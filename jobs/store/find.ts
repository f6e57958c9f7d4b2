// Finds the jobs of a filter, newest first. Whatever the filter, a page is merged from the ends of a few streams that
// an index gives in order: nothing reads more jobs than it answers, but for those that are placed at the moment.
import { type RawBuilder, sql } from 'kysely'
import { v7 } from 'uuid'
import { TypeID } from 'typeid-js'
import { kinds } from '../spec.ts'
import { isTerminal, type JobState, jobStates } from '../state.ts'
import { fateOf, listId } from './lists.ts'
import type { Database } from './schema.ts'

export interface JobFilter {
  /** null: all of them. */
  states: readonly JobState[] | null
  kind?: string | undefined
  label?: { name: string; value: string } | undefined
  provider?: string | undefined
  created_after?: Date | undefined
  created_before?: Date | undefined
}
export interface Page {
  limit: number
  /** The last job of the page before; undefined: this is the first. */
  cursor?: string | undefined
}

/** Ids of jobs that are not deleted. */
export async function findJobs(
  db: Database,
  project_id: string,
  filter: JobFilter,
  page: Page,
): Promise<string[]> {
  const { rows } = await findQuery(project_id, filter, page).query.execute(db)
  return rows.map(({ id }) => id)
}

/** The statement itself, for who reads more of the jobs by it; its name where it is planned once for each connection. */
export function findQuery(
  project_id: string,
  filter: JobFilter,
  page: Page,
): { name: string | null; query: RawBuilder<{ id: string }> } {
  const { name, from, key, when } = streamsOf(project_id, filter)
  const { limit } = page
  const { first, end } = bounds(filter, page)
  const columns = sql.join(key.map(({ column }) => column))
  const values = sql.join(key.slice(0, -1).map(({ value }) => value))
  const newest = sql.join(key.map(({ column }) => sql`${column} desc`))
  // Compared and ordered as a whole, a key leaves the planner no other index: it takes one in the order of time for as
  // cheap where most rows match, and it is not where they are the old ones.
  // Of all filters the one without any is asked for most. A limit that is not known is planned as a tenth of all rows.
  const query = sql<{ id: string }>`
    select found.id from ${from.streams} cross join lateral (
      select ${key.at(-1)?.column} as id from ${from.table}
      where (${columns}) < (${values}, ${end}) and (${columns}) >= (${values}, ${first}) ${when}
      order by ${newest} limit ${sql.lit(limit)}) as found
    order by found.id desc limit ${sql.lit(limit)}`
  return { name: name === undefined ? null : `${name} ${limit}`, query }
}

interface Streams {
  /** Of a statement that is planned once for each connection (infra/postgres.ts). */
  name?: string
  /** The table that is read, and what is merged of it: a row for each stream. */
  from: { table: RawBuilder<unknown>; streams: RawBuilder<unknown> }
  /** The columns of the index, the id last, and what they are in one stream. */
  key: { column: RawBuilder<unknown>; value?: RawBuilder<unknown> }[]
  /** What else must hold. */
  when: RawBuilder<unknown>
}

function streamsOf(project_id: string, filter: JobFilter): Streams {
  const { states, kind, label, provider } = filter
  const tagged = label !== undefined || provider !== undefined
  if (!tagged && states === null && kind === undefined)
    return {
      name: 'list jobs',
      from: { table: sql`jobs`, streams: sql`(select 1) as stream` },
      key: [{ column: sql`jobs.project_id`, value: sql`${project_id}` }, { column: sql`jobs.id` }],
      when: sql`and deleted_at is null`,
    }
  if (!tagged || states?.every(isPlaced)) return byState(project_id, filter)
  const fates = [...new Set((states ?? jobStates).map(fateOf))]
  const lists = fates.flatMap((fate) =>
    (kind === undefined ? kinds : [kind]).map((each) =>
      listId({ project_id, kind: each, fate, provider: provider ?? null, label: label ?? null }),
    ),
  )
  return {
    from: { table: sql`job_lists`, streams: sql`unnest(${lists}::uuid[]) as stream(list)` },
    key: [{ column: sql`job_lists.list`, value: sql`stream.list` }, { column: sql`job_lists.job_id` }],
    when: holdsWhole(states) ? sql`` : sql`and ${hasState(states ?? [])}`,
  }
}

/** From the index of kind and state; the labels and providers of those that are placed are looked at one by one. */
function byState(project_id: string, { states, kind, label, provider }: JobFilter): Streams {
  const of_kinds = kind === undefined ? kinds : [kind]
  const labels = label ? sql`and labels @> ${JSON.stringify({ [label.name]: label.value })}::jsonb` : sql``
  const placed = provider === undefined ? sql`` : sql`and providers @> ${JSON.stringify([provider])}::jsonb`
  return {
    from: {
      table: sql`jobs`,
      streams: sql`unnest(${of_kinds}::text[]) as by_kind(kind)
        cross join unnest(${[...(states ?? jobStates)]}::text[]) as stream(state)`,
    },
    key: [
      { column: sql`jobs.project_id`, value: sql`${project_id}` },
      { column: sql`jobs.kind`, value: sql`by_kind.kind` },
      { column: sql`jobs.state`, value: sql`stream.state` },
      { column: sql`jobs.id` },
    ],
    when: sql`and deleted_at is null ${labels} ${placed}`,
  }
}

/** Few at a time, whatever waits and has ended: as many as there are machines. */
const isPlaced = (state: JobState) => !isTerminal(state) && state !== 'queued'

/** Whether the lists of these states hold no job of another state. */
function holdsWhole(states: readonly JobState[] | null): boolean {
  if (states === null) return true
  const open = jobStates.filter((state) => fateOf(state) === 'open')
  return states.every(isTerminal) || open.every((state) => states.includes(state))
}

const hasState = (states: readonly JobState[]) =>
  sql`(select jobs.state from jobs where jobs.id = job_lists.job_id) = any(${[...states]}::text[])`

/** Ids are made from the time of creation, to the millisecond, and sort by it. The end is not one of them. */
function bounds({ created_after, created_before }: JobFilter, { cursor }: Page) {
  const ends = [cursor, created_before && firstAt(created_before.getTime())].filter(
    (each) => each !== undefined,
  )
  const [end = firstAt(mostTime_ms)] = ends.toSorted()
  return { first: firstAt(created_after ? created_after.getTime() + 1 : 0), end }
}

/** UUIDv7 has 48 bits for the time. */
const mostTime_ms = 2 ** 48 - 1

/** The first id that a job of this time could have. */
function firstAt(at_ms: number): string {
  const msecs = Math.min(mostTime_ms, Math.max(0, at_ms))
  return TypeID.fromUUID('job', v7({ msecs, random: new Uint8Array(16), seq: 0 })).toString()
}
