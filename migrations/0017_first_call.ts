import { type Kysely, sql } from 'kysely'

const statements = [
  // When the vendor's bill of an attempt may have begun: at the first call for it, whichever of them was answered.
  `alter table attempts add column first_called_at timestamptz`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
