import { type Kysely, sql } from 'kysely'

const feed = [
  // Raised whenever the database was found to be a copy: positions that were given before mean nothing any more.
  `alter table installation add column feed_epoch int not null default 0`,
  // Up to which position events of a project have been dropped: who stands before it may have missed some.
  `create table feed_floors (
    project_id text primary key references projects,
    xid xid8 not null,
    id bigint not null
  )`,
  `alter table budgets add column event_sequence int not null default 0`,
]

const webhooks = [
  `create table webhooks (
    id text primary key,
    project_id text not null references projects,
    url text not null,
    description text not null,
    /* null: all types but those that must be asked for. */
    events jsonb,
    secret_sealed text not null,
    /* Secrets before it that still sign beside it: [{ sealed, until }], the newest first. */
    old_secrets jsonb not null default '[]',
    disabled_reason text check (disabled_reason in ('user', 'gone', 'failing')),
    disabled_at timestamptz,
    event_sequence int not null default 0,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    deleted_at timestamptz
  )`,
  `create index webhooks_list on webhooks (project_id, id) where deleted_at is null`,
  // Where messages go to: a registered endpoint, or what jobs of a project call at one origin. What is known of how it
  // answers is this one row, and the index holds only those that have something to look at: the backlog of one that is
  // down is not touched.
  `create table receivers (
    id text primary key,
    project_id text not null references projects,
    webhook_id text references webhooks,
    /* Most messages in flight at once. */
    room int not null,
    failures int not null default 0,
    failing_since timestamptz,
    /* Nothing is sent before then. */
    closed_until timestamptz,
    /* null: nothing waits. */
    due_at timestamptz,
    updated_at timestamptz not null
  ) with (fillfactor = 70)`,
  `create index receivers_due on receivers (due_at) where due_at is not null`,
  `create index receivers_idle on receivers (updated_at) where webhook_id is null`,
  // receiver_id: null until a sender has seen it. round: the attempts before it was asked for again. No reference to
  // the webhook: it would let every commit lock its row.
  `alter table deliveries add column webhook_id text, add column receiver_id text,
    add column round int not null default 0`,
  `drop index deliveries_due`,
  `create index deliveries_fresh on deliveries (id) where receiver_id is null and state = 'pending'`,
  `create index deliveries_waiting on deliveries (receiver_id, next_attempt_at)
    where state = 'pending' and receiver_id is not null`,
  `create index deliveries_claimed on deliveries (receiver_id) where claimed_until is not null`,
  `create index deliveries_of_webhook on deliveries (webhook_id, id) where webhook_id is not null`,
  `create index deliveries_ended on deliveries (ended_at) where ended_at is not null`,
  // The beginning of what a receiver answered.
  `alter table delivery_attempts add column response text`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of [...feed, ...webhooks]) await sql.raw(statement).execute(db)
}
