import { type Kysely, sql } from 'kysely'

const statements = [
  // What the vendor says of an end or of a wait, where it says so.
  `alter table attempts add column seen_reason text`,
  `alter table attempts drop constraint attempts_stop_reason_check`,
  // Not valid: what is there keeps to the narrower one, and a large table need not be read for it.
  `alter table attempts add constraint attempts_stop_reason_check check (stop_reason in ('cancelled', 'stopped',
    'timed_out', 'over_budget', 'deadline', 'preempted', 'start_timeout', 'image', 'sibling_failed')) not valid`,
  // Accounts at vendors, of the installation and not of a project. `version` is raised when settings or credentials
  // change: servers open the account anew.
  `create table provider_accounts (
    id text primary key,
    provider text not null,
    account text not null,
    settings jsonb not null,
    credentials_sealed text not null,
    credential_names jsonb not null,
    /* null: all. */
    regions jsonb,
    enabled boolean not null,
    draining boolean not null,
    version int not null,
    checks jsonb,
    checked_at timestamptz,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    unique (provider, account)
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
