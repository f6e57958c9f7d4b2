import { type Kysely, sql } from 'kysely'

const statements = [
  // A machine whose user data others can read holds a token for one exchange: when it was used, by which machine (a sha256 of what it
  // made up itself), and when somebody else was refused.
  `alter table attempts add column bootstrapped_at timestamptz, add column bootstrap_machine text,
    add column bootstrap_refused_at timestamptz`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
