import { type Kysely, sql } from 'kysely'

const statements = [
  // After a restore nothing is launched for a while, so that runners of launches that the copy does not know can
  // report first.
  `alter table installation add column launches_held_until timestamptz`,
  // Since when the vendor bills, and what its runner said when it reported: the shard that it works on, and the
  // nonce of its token.
  `alter table orphans add column since timestamptz, add column shard_id text, add column nonce text`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
