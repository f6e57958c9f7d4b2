import { type Kysely, sql } from 'kysely'

// The names of states are repeated here as CHECK constraints; a test compares them with jobs/state.ts.
// Every row carries project_id. Times are database time, given by the caller: no now() in here.
// Money is in whole micro-dollars.

const tenancy = [
  `create table installation (
    one boolean primary key default true check (one),
    id text not null,
    created_at timestamptz not null
  )`,
  `create table projects (
    id text primary key,
    name text not null,
    webhook_secret_sealed text not null,
    created_at timestamptz not null
  )`,
  `create table api_keys (
    id text primary key,
    project_id text not null references projects,
    name text not null,
    prefix text not null unique,
    sha256 text not null,
    role text not null check (role in ('admin', 'member', 'viewer')),
    created_at timestamptz not null,
    expires_at timestamptz,
    revoked_at timestamptz
  )`,
  `create table idempotency (
    project_id text not null references projects,
    key text not null,
    body_sha256 text not null,
    resource_id text not null,
    created_at timestamptz not null,
    primary key (project_id, key)
  )`,
  `create index idempotency_age on idempotency (created_at)`,
  `create table replicas (
    id text primary key,
    started_at timestamptz not null,
    renewed_at timestamptz not null
  )`,
]

const work = [
  `create table jobs (
    id text primary key,
    project_id text not null references projects,
    kind text not null,
    name text,
    -- json and not jsonb: what a user or a program wrote comes back in its order.
    spec json not null,
    priority text not null check (priority in ('low', 'normal', 'high', 'urgent')),
    labels jsonb not null default '{}',
    state text not null check (state in
      ('queued', 'scheduled', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
    outcome text check (outcome in ('succeeded', 'failed', 'timed_out', 'over_budget', 'cancelled', 'stopped',
      'preempted', 'lost', 'no_capacity', 'quota', 'rejected', 'image_error')),
    error jsonb,
    warnings jsonb not null default '[]',
    result json,
    shards_total int not null,
    shards_waiting int not null,
    shards_active int not null,
    shards_running int not null default 0,
    shards_succeeded int not null default 0,
    shards_failed int not null default 0,
    shards_cancelled int not null default 0,
    event_sequence int not null default 0,
    order_kind text check (order_kind in ('stop', 'cancel')),
    order_at timestamptz,
    created_at timestamptz not null,
    started_at timestamptz,
    finished_at timestamptz,
    deleted_at timestamptz
  )`,
  `create index jobs_list on jobs (project_id, id) where deleted_at is null`,
  `create index jobs_list_state on jobs (project_id, state, id) where deleted_at is null`,
  `create index jobs_list_labels on jobs using gin (labels jsonb_path_ops) where deleted_at is null`,
  `create table shards (
    id text primary key,
    project_id text not null,
    job_id text not null references jobs,
    index int not null,
    role text not null default 'work' check (role in ('work', 'merge')),
    state text not null check (state in ('waiting', 'active', 'succeeded', 'failed', 'cancelled')),
    shape_hash text not null,
    queue_key timestamptz not null,
    /* When a pass should look next; null: nothing is left to do. */
    due_at timestamptz,
    /* A retry waits until then. */
    not_before timestamptz,
    facts_version bigint not null default 0,
    order_kind text check (order_kind in ('stop', 'cancel')),
    order_version bigint,
    waiting_since timestamptz,
    waited_ms bigint not null default 0,
    attempts int not null default 0,
    attempts_used int not null default 0,
    attempts_uncharged int not null default 0,
    attempts_without_progress int not null default 0,
    excluded_providers jsonb not null default '[]',
    checkpoint jsonb,
    lease_replica text,
    lease_token text,
    leased_until timestamptz,
    created_at timestamptz not null,
    unique (job_id, index)
  )`,
  `create index shards_queue on shards (queue_key, id) where state = 'waiting'`,
  `create index shards_due on shards (due_at) where due_at is not null`,
  `create table attempts (
    id text primary key,
    project_id text not null,
    job_id text not null references jobs,
    shard_id text not null references shards,
    shard_index int not null,
    number int not null,
    state text not null check (state in ('launching', 'starting', 'running', 'stopping', 'ended')),
    provider text not null,
    account text not null,
    region text not null,
    offer_id text not null,
    spot boolean not null,
    device text,
    usd_micros_per_hour bigint not null,
    basis text not null check (basis in ('billed', 'modelled')),
    min_billing_s int not null,
    timeout_s int not null,
    timeout_reason text not null check (timeout_reason in ('timed_out', 'over_budget')),
    request jsonb not null,
    nonce text not null,
    handle jsonb,
    launch_called_at timestamptz,
    launched_at timestamptz,
    created_at timestamptz not null,
    started_at timestamptz,
    ended_at timestamptz,
    outcome text check (outcome in ('succeeded', 'failed', 'timed_out', 'over_budget', 'cancelled', 'stopped',
      'preempted', 'lost', 'no_capacity', 'quota', 'rejected', 'image_error')),
    outcome_at timestamptz,
    exit_code int,
    error jsonb,
    stop_reason text check (stop_reason in ('cancelled', 'stopped', 'timed_out', 'over_budget', 'deadline',
      'preempted', 'start_timeout', 'sibling_failed')),
    stop_by timestamptz,
    stop_called_at timestamptz,
    /* Facts that were reported or seen; decide.ts reads them. */
    instance text,
    host jsonb,
    bound_at timestamptz,
    preempting_at timestamptz,
    finished json,
    finished_at timestamptz,
    finished_version bigint,
    seen_state text,
    seen_exit_code int,
    seen_detail text,
    seen_at timestamptz,
    gone_since timestamptz,
    exited_since timestamptz,
    unique (shard_id, number)
  )`,
  `create unique index attempts_one_open on attempts (shard_id) where outcome is null`,
  `create index attempts_open on attempts (provider, account, offer_id) where state <> 'ended'`,
  `create index attempts_of_shard on attempts (shard_id)`,
  `create index attempts_of_job on attempts (job_id, id)`,
  `create table heartbeats (
    attempt_id text primary key,
    project_id text not null,
    at timestamptz not null,
    progress double precision,
    phase text,
    step double precision,
    steps double precision,
    metrics jsonb not null default '{}',
    machine jsonb not null default '{}'
  ) with (fillfactor = 50)`,
]

const facts = [
  // Partitioned by the month of the job (events) or attempt (logs), so that one job's rows stay together,
  // a repeated log number meets its unique key, and retention drops whole partitions.
  `create table events (
    project_id text not null,
    job_id text,
    sequence int not null,
    type text not null,
    at timestamptz not null,
    data jsonb not null,
    xid xid8 not null default pg_current_xact_id(),
    id bigint generated always as identity,
    partition_at timestamptz not null
  ) partition by range (partition_at)`,
  `create unique index events_of_job on events (job_id, sequence, partition_at)`,
  `create index events_feed on events (project_id, xid, id)`,
  `create table log_chunks (
    project_id text not null,
    job_id text not null,
    attempt_id text not null,
    number int not null,
    at timestamptz not null,
    stream text not null check (stream in ('stdout', 'stderr', 'runner')),
    text text not null,
    partition_at timestamptz not null,
    primary key (attempt_id, number, partition_at)
  ) partition by range (partition_at)`,
  // A row for which no monthly partition was made in time is kept here instead of being refused.
  `create table events_rest partition of events default`,
  `create table log_chunks_rest partition of log_chunks default`,
  `create table artifacts (
    id text primary key,
    project_id text not null,
    job_id text not null references jobs,
    attempt_id text not null references attempts,
    shard_id text not null,
    name text not null,
    bytes bigint not null,
    sha256 text not null,
    content_type text not null,
    object_key text not null,
    purpose text not null check (purpose in ('artifact', 'checkpoint')),
    created_at timestamptz not null,
    unique (attempt_id, name)
  )`,
  `create index artifacts_of_job on artifacts (job_id, name)`,
  `create index artifacts_of_object on artifacts (object_key)`,
]

const money = [
  `create table ledger (
    id bigint generated always as identity primary key,
    project_id text not null references projects,
    job_id text not null,
    attempt_id text not null,
    entry text not null check (entry in ('reserve', 'release', 'settle', 'adjust')),
    usd_micros bigint not null,
    basis text not null check (basis in ('billed', 'modelled')),
    billed_from timestamptz,
    billed_to timestamptz,
    at timestamptz not null
  )`,
  `create unique index ledger_settles_once on ledger (attempt_id) where entry = 'settle'`,
  `create index ledger_of_project on ledger (project_id, at)`,
]

const webhooks = [
  `create table deliveries (
    id text primary key,
    project_id text not null references projects,
    job_id text,
    sequence int not null,
    type text not null,
    url text not null,
    body text not null,
    state text not null check (state in ('pending', 'delivered', 'exhausted')),
    attempts int not null default 0,
    next_attempt_at timestamptz,
    claimed_until timestamptz,
    created_at timestamptz not null,
    ended_at timestamptz
  )`,
  `create index deliveries_due on deliveries (next_attempt_at) where state = 'pending'`,
  `create index deliveries_of_job on deliveries (job_id)`,
  `create table delivery_attempts (
    delivery_id text not null references deliveries,
    project_id text not null,
    number int not null,
    at timestamptz not null,
    duration_ms int not null,
    status int,
    error text,
    primary key (delivery_id, number)
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...tenancy, ...work, ...facts, ...money, ...webhooks]) {
    await sql.raw(statement).execute(db)
  }
}
