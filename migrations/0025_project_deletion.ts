import { type Kysely, sql } from 'kysely'

// A project that is deleted lets nobody in from then on; what it has goes piece by piece, and purged_at says that nothing is left but what
// the books need.

const statements = [
  `alter table projects add column deleted_at timestamptz, add column purged_at timestamptz`,
  `create index projects_to_purge on projects (deleted_at) where deleted_at is not null and purged_at is null`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
