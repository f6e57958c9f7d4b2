import { type Kysely, sql } from 'kysely'

// How servers share the bounds on requests. Nothing here is worth a write-ahead log: after a crash all of it is made anew within a
// second.

const statements = [
  `create unlogged table gateways (
    id text primary key,
    seen_at timestamptz not null
  )`,
  // servers: who has a share, of how many requests a second, how many come there, and until when the share is theirs.
  `create unlogged table rate_shares (
    bucket text primary key,
    servers jsonb not null,
    until timestamptz not null
  )`,
  `create index rate_shares_age on rate_shares (until)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
