import { type Kysely, sql } from 'kysely'

const statements = [
  // What a request under an idempotency key made, in its order: a job, or the problem in its place.
  `alter table idempotency alter column resource_id drop not null, add column items json`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
