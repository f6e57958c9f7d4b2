import { type Kysely, sql } from 'kysely'

const statements = [
  // A vendor that was asked too often or does not answer is remembered, too. Not valid: what is there keeps to the narrower one.
  `alter table capacity_memory drop constraint capacity_memory_code_check`,
  `alter table capacity_memory add constraint capacity_memory_code_check check (code in ('capacity', 'quota', 'balance',
    'unauthorized', 'throttled', 'unavailable')) not valid`,
  // How each account does, of the installation and not of a project: stored ones and those of the environment.
  `create table provider_health (
    /* provider/account */
    id text primary key,
    provider text not null,
    account text not null,
    state text not null check (state in ('healthy', 'open', 'parked')),
    reason text,
    detail text,
    since timestamptz not null,
    /* Whether an event has told of the state. */
    told boolean not null default false,
    /* When a parked account is tried again, and how often it was. */
    probe_at timestamptz,
    probes int not null default 0,
    error_call text,
    error_code text,
    error_detail text,
    error_at timestamptz,
    event_sequence int not null default 0,
    updated_at timestamptz not null
  ) with (fillfactor = 70)`,
  // Calls of the last hour by what they came to and how long they took. Replicas add to the same rows.
  `create table provider_calls (
    id text not null,
    call text not null,
    slot_at timestamptz not null,
    result text not null,
    bucket int not null,
    count int not null,
    primary key (id, call, slot_at, result, bucket)
  ) with (fillfactor = 50)`,
  `create index provider_calls_slot on provider_calls (slot_at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
