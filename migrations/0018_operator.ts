import { type Kysely, sql } from 'kysely'

const statements = [
  // Whose admins run the installation: accounts at providers, orphans and limits are no tenant's. Until now every admin could; the first
  // project is the one that the first start made.
  `alter table projects add column is_operator boolean not null default false`,
  `update projects set is_operator = true where id = (select min(id) from projects)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
