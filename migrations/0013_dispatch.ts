import { type Kysely, sql } from 'kysely'

const statements = [
  // An attempt that has not ended changes its state several times; with the state in no index these updates stay within
  // their page (HOT), if that has room for them.
  `drop index attempts_open`,
  `create index attempts_open on attempts (provider, account, offer_id) where ended_at is null`,
  // The unique key by shard and number serves for it.
  `drop index attempts_of_shard`,
  // json and not jsonb: a launch that is repeated is byte-identical to the first, the order of its fields too.
  `alter table attempts alter column request type json using request::json`,
  `alter table attempts set (fillfactor = 60)`,
  `alter table shards set (fillfactor = 60)`,
  // Every job leaves several dead versions behind: a fifth of a million of them is too many to wait for.
  ...['jobs', 'shards', 'attempts'].map(
    (table) =>
      `alter table ${table} set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)`,
  ),
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
