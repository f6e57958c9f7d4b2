import { type Kysely, sql } from 'kysely'

const statements = [
  // Seconds of the vendor's bill that an attempt's share of its job's budget pays for; null: no such budget.
  `alter table attempts add column paid_s int`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
