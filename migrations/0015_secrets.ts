import { type Kysely, sql } from 'kysely'

const statements = [
  // Named by the jobs that use them; written, and never read by a client.
  `create table secrets (
    project_id text not null references projects,
    name text not null,
    type text not null check (type in ('value', 'registry')),
    sealed text not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    primary key (project_id, name)
  )`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
