import { type Kysely, sql } from 'kysely'

const statements = [
  // What the machine of an attempt said over its life, thinned so that it stays small: jobs/heartbeats.ts.
  `alter table heartbeats
    add column samples jsonb not null default '[]',
    add column sampled_at timestamptz,
    add column sample_s int not null default 0`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
