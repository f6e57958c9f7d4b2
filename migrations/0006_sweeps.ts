import { type Kysely, sql } from 'kysely'

const statements = [
  // A job of several shards: the state of the shard that joins their results (null: there is none yet), and the class
  // of device that all of them run on from the first launch on.
  `alter table jobs
    add column merge_state text check (merge_state in ('waiting', 'active', 'succeeded', 'failed', 'cancelled')),
    add column device_class text check (device_class in ('cpu', 'cuda'))`,
  // The best points of each shard, while it runs and when it has ended; all of them are in its artifacts.
  `create table points (
    project_id text not null,
    job_id text not null references jobs,
    shard_index int not null,
    point bigint not null,
    objective double precision,
    /* json and not jsonb: parameters come back in the order in which they were given. */
    parameters json not null,
    metrics json not null,
    primary key (job_id, point)
  )`,
  `create index points_best on points (job_id, objective desc nulls last, point)`,
  `create index points_of_shard on points (job_id, shard_index)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
