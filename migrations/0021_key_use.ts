import { type Kysely, sql } from 'kysely'

const statements = [
  // To the minute: it is written from time to time and not at each use.
  `alter table api_keys add column last_used_at timestamptz`,
  `create index api_keys_of_project on api_keys (project_id, id)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
