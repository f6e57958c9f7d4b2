import { type Kysely, sql } from 'kysely'

const statements = [
  // When this database was last known to be the newest one, and until when nothing unknown is stopped because
  // it may be an older copy.
  `alter table installation add column high_water_at timestamptz, add column quarantine_until timestamptz`,
  // Things at providers that carry our installation's tag and match no live attempt. They belong to the
  // installation: whose they were may not be known.
  `create table orphans (
    id text primary key,
    provider text not null,
    account text not null,
    name text not null,
    attempt_id text,
    handle jsonb not null,
    usd_micros_per_hour bigint not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    stop_called_at timestamptz,
    gone_at timestamptz,
    unique (provider, account, name)
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
