import { type Kysely, sql } from 'kysely'

/** Puts the jobs there are into their lists, by the names that jobs/store/lists.ts gives them. */
export const fillLists = `insert into job_lists
  select encode(substring(sha256(convert_to(
      concat_ws(chr(10), project_id, kind, fate, provider, label), 'UTF8')) from 1 for 16), 'hex')::uuid,
    id, project_id
  from (
    select j.id, j.project_id, j.kind, coalesce(p.provider, '') as provider, coalesce(l.label, '') as label,
      case when state in ('succeeded', 'failed', 'cancelled') then state else 'open' end as fate
    from jobs j
    cross join lateral (select null as provider union all select jsonb_array_elements_text(j.providers)) as p
    cross join lateral (
      select null as label union all
      select octet_length(convert_to(key, 'UTF8')) || ':' || key || value from jsonb_each_text(j.labels)) as l
    where deleted_at is null and (p.provider is not null or l.label is not null)) as listed`

const statements = [
  // What a request under an idempotency key made, in its order: a job, or the problem in its place.
  `alter table idempotency alter column resource_id drop not null, add column items json`,
  // Where a job has been launched.
  `alter table jobs add column providers jsonb not null default '[]'`,
  `update jobs set providers = placed.providers
    from (select job_id, jsonb_agg(distinct provider) as providers from attempts group by job_id) as placed
    where jobs.id = placed.job_id`,
  // Every filter of the list of jobs is served in the order of the list: jobs/store/find.ts.
  `drop index jobs_list_state`,
  `drop index jobs_list_labels`,
  `create index jobs_list_kind on jobs (project_id, kind, state, id) where deleted_at is null`,
  `create table job_lists (
    /* Of jobs/store/lists.ts. */
    list uuid not null,
    job_id text not null,
    project_id text not null,
    primary key (list, job_id)
  )`,
  fillLists,
  // Counts what may give a waiting shard a place: jobs/store/queue.ts.
  `create sequence queue_changes`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
