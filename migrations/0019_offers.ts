import { type Kysely, sql } from 'kysely'

const statements = [
  // What each account offered when it was last asked: one server asks, all read. `version` is raised when its rows in `offers` change;
  // `account_version` is that of the settings that it was asked with; who has the claim asks until `claimed_until`.
  `create table offer_sources (
    provider text not null,
    account text not null,
    account_version int not null,
    version bigint not null,
    due_at timestamptz not null,
    claim text,
    claimed_until timestamptz,
    tried_at timestamptz,
    /* When it last answered. */
    asked_at timestamptz,
    failures int not null default 0,
    error text,
    missing json not null default '[]',
    refused json not null default '[]',
    primary key (provider, account)
  )`,
  `create table offers (
    provider text not null,
    account text not null,
    region text not null,
    offer_id text not null,
    spot boolean not null,
    /* json and not jsonb: it is compared with the next answer as text. */
    offer json not null,
    /* When it was last confirmed, if its part of the account could not be asked since; null: by the last answer. */
    stale_at timestamptz,
    /* The last row of its history. */
    noted_usd_micros bigint not null,
    noted_available bigint,
    noted_at timestamptz not null,
    primary key (provider, account, region, offer_id, spot)
  )`,
  // Changes of price and stock alone: each holds until the next one of its offer. A row that is not listed says that the offer is gone.
  `create table offer_history (
    id bigint generated always as identity primary key,
    provider text not null,
    account text not null,
    region text not null,
    offer_id text not null,
    spot boolean not null,
    at timestamptz not null,
    usd_micros_per_hour bigint not null,
    currency text not null,
    /* In that currency. */
    per_hour double precision not null,
    available bigint,
    listed boolean not null
  )`,
  `create index offer_history_of_offer on offer_history (offer_id, provider, account, region, spot, at)`,
  `create index offer_history_at on offer_history (at)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
