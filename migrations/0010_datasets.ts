import { type Kysely, sql } from 'kysely'

const statements = [
  // Prices that a project has uploaded: named, and stored once by their content.
  `create table datasets (
    id text primary key,
    project_id text not null references projects,
    name text not null,
    format text not null check (format in ('parquet', 'csv')),
    bytes bigint not null,
    sha256 text not null,
    /* How its prices are to be read: adjustment, timezone, bar_label, currency. */
    reading jsonb not null,
    state text not null check (state in ('uploading', 'ready')),
    object_key text,
    /* null where the file does not tell. */
    columns json,
    rows bigint,
    first text,
    last text,
    created_at timestamptz not null,
    ready_at timestamptz,
    deleted_at timestamptz
  )`,
  `create index datasets_list on datasets (project_id, id) where deleted_at is null`,
  `create index datasets_content on datasets (project_id, sha256) where object_key is not null`,
  `create index datasets_gone on datasets (deleted_at) where deleted_at is not null and object_key is not null`,
  `create table dataset_parts (
    dataset_id text not null references datasets,
    project_id text not null,
    number int not null,
    bytes bigint not null,
    sha256 text not null,
    object_key text not null,
    created_at timestamptz not null,
    primary key (dataset_id, number)
  )`,
  `create index dataset_parts_age on dataset_parts (created_at)`,
  `alter table jobs add column dataset_id text references datasets`,
  `create index jobs_of_dataset on jobs (dataset_id) where dataset_id is not null and finished_at is null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
