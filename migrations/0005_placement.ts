import { type Kysely, sql } from 'kysely'

const statements = [
  // The queue by shape: a pass looks at the head of each and scans nothing. A shard that must wait until a time
  // stands in shards_due instead.
  `drop index shards_queue`,
  `update shards set due_at = least(due_at, not_before) where state = 'waiting' and not_before is not null`,
  `create index shards_queue on shards (shape_hash, queue_key, id)
    where state = 'waiting' and not_before is null`,
  `alter table projects add column weight double precision not null default 1 check (weight > 0)`,
  `alter table jobs add column estimated_micros bigint`,
  // What the work is like (durations of the same signature foretell each other), and what the launch was chosen from.
  `alter table attempts add column kind text, add column signature text, add column ranking json`,
  `update attempts set kind = request->>'kind'`,
  `alter table attempts alter column kind set not null`,
  `create index attempts_history on attempts (project_id, signature, id) where outcome = 'succeeded'`,
  // Offers that refused a launch, and until when they are not asked again. '*' stands for a whole account.
  `create table capacity_memory (
    provider text not null,
    account text not null,
    region text not null,
    offer_id text not null,
    spot boolean not null,
    code text not null check (code in ('capacity', 'quota', 'balance', 'unauthorized')),
    failures double precision not null,
    blocked_until timestamptz not null,
    updated_at timestamptz not null,
    primary key (provider, account, region, offer_id, spot)
  )`,
  // Most attempts at once: of a project, of a kind, on an account, of a kind on one GPU, CPU or core.
  `create table limits (
    id text primary key,
    scope text not null check (scope in ('project', 'kind', 'account', 'device')),
    key text not null,
    max_running int not null check (max_running >= 0),
    updated_at timestamptz not null,
    unique (scope, key)
  )`,
  // What no job of a project may override.
  `create table policies (
    project_id text primary key references projects,
    policy jsonb not null,
    updated_at timestamptz not null
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
