import { type Kysely, sql } from 'kysely'

const statements = [
  // cache_key: equal for jobs with one result; null: it may differ each time. follows: the job whose result this one
  // waits for. cached_from: the job whose result this one was given.
  `alter table jobs add column cache_key text, add column follows text references jobs, add column cached_from text
    references jobs`,
  `create index jobs_leading on jobs (project_id, cache_key)
    where cache_key is not null and follows is null and finished_at is null`,
  `create index jobs_following on jobs (follows) where follows is not null and finished_at is null`,
  `create index jobs_cached on jobs (cached_from) where cached_from is not null`,
  `alter table shards drop constraint if exists shards_wait_reason_check`,
  `alter table shards add constraint shards_wait_reason_check check (wait_reason in ('budget', 'follows'))`,
  `create table result_cache (
    project_id text not null references projects,
    key text not null,
    job_id text not null references jobs,
    created_at timestamptz not null,
    used_at timestamptz not null,
    primary key (project_id, key)
  )`,
  `create index result_cache_age on result_cache (created_at)`,
  `create index result_cache_use on result_cache (used_at)`,
  `create index result_cache_of_job on result_cache (job_id)`,
  // Since when the artifacts, points and logs of a deleted job are gone.
  `alter table jobs add column purged_at timestamptz`,
  `create index jobs_to_purge on jobs (deleted_at) where deleted_at is not null and purged_at is null`,
  // Artifacts of one content are stored once.
  `create index artifacts_of_content on artifacts (project_id, sha256) where purpose = 'artifact'`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
