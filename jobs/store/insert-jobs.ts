// The statement that new jobs are written by: their keys, and of those whose key was free, or that have none, the jobs
// themselves with all that belongs to them. It is a transaction by itself.
import { sql } from 'kysely'
import { type Claims, claiming, nameIn } from '../idempotency.ts'
import type { Entry } from './lists.ts'
import { type Column, insertion, type Table, type Values } from './rows.ts'
import { type Given, statement } from './statement.ts'

export interface NewRows extends Claims {
  /** What is given of each. */
  jobs: readonly Values<'jobs'>[]
  /** The name of the key of each job; null: it has none. */
  keys: readonly (string | null)[]
  shards: readonly Values<'shards'>[]
  /** They are numbered in this order. */
  events: readonly Values<'events'>[]
  deliveries: readonly Values<'deliveries'>[]
  entries: readonly Entry[]
}

/** The columns that are written; the others have the value of a column that is left out. */
const columns = {
  jobs: [
    'id',
    'project_id',
    'kind',
    'name',
    'spec',
    'priority',
    'labels',
    'warnings',
    'estimated_micros',
    'shards_total',
    'shards_waiting',
    'cache_key',
    'dataset_id',
  ],
  shards: ['id', 'project_id', 'job_id', 'index', 'shape_hash', 'queue_key', 'due_at'],
  events: ['project_id', 'job_id'],
  deliveries: [
    'id',
    'project_id',
    'job_id',
    'sequence',
    'type',
    'webhook_id',
    'url',
    'body',
    'state',
    'next_attempt_at',
    'created_at',
  ],
} as const satisfies Columns

/** Those that jobs of one moment share as long as none has an earlier one's result, or waits for it. */
const shared = {
  jobs: [
    'state',
    'outcome',
    'result',
    'shards_active',
    'shards_succeeded',
    'event_sequence',
    'device_class',
    'follows',
    'cached_from',
    'created_at',
    'finished_at',
  ],
  shards: ['role', 'state', 'not_before', 'waiting_since', 'wait_reason', 'created_at'],
  events: ['sequence', 'type', 'at', 'data', 'partition_at'],
} as const satisfies Columns

type Columns = { [Name in Table]?: readonly Column<Name>[] }

/** Writes jobs that begin on their own. Answers the names of the keys that were free. */
export const insertFresh = statement<NewRows, { name: string }>(
  (given) => sql`/* write new jobs */ ${inserting(given, true)}`,
)
/** The same for jobs of which some have an earlier one's result, or wait for it. */
export const insertMixed = statement<NewRows, { name: string }>(
  (given) => sql`/* write jobs from cache */ ${inserting(given, false)}`,
)

function inserting(given: Given<NewRows>, are_fresh: boolean) {
  const into = <C>(each: readonly C[], all: readonly C[]) =>
    are_fresh ? { each, all } : { each: [...each, ...all] }
  const rest = sql`where given.job_id in (select id from stored_jobs) order by given.n`
  return sql<{ name: string }>`
    with taken as (${claiming(given)} returning ${nameIn}),
    stored_jobs as (${insertion(given, {
      table: 'jobs',
      ...into<Column<'jobs'>>(columns.jobs, shared.jobs),
      rows: ({ jobs }) => jobs,
      beside: ({ keys }) => keys,
      rest: sql`where given.beside is null or given.beside in (select name from taken) returning id`,
    })}),
    stored_shards as (${insertion(given, {
      table: 'shards',
      ...into<Column<'shards'>>(columns.shards, shared.shards),
      rows: ({ shards }) => shards,
      rest,
    })}),
    stored_lists as (insert into job_lists (list, job_id, project_id)
      select list, job_id, project_id from unnest(${given(({ entries }) => entries.map(({ list }) => list))}::uuid[],
        ${given(({ entries }) => entries.map(({ job_id }) => job_id))}::text[],
        ${given(({ entries }) => entries.map(({ project_id }) => project_id))}::text[])
        as given(list, job_id, project_id)
      where given.job_id in (select id from stored_jobs) on conflict do nothing),
    stored_events as (${insertion(given, {
      table: 'events',
      ...into<Column<'events'>>(columns.events, shared.events),
      rows: ({ events }) => events,
      rest,
    })}),
    stored_deliveries as (${insertion(given, {
      table: 'deliveries',
      each: columns.deliveries,
      rows: ({ deliveries }) => deliveries,
      rest,
    })})
    select name from taken`
}
