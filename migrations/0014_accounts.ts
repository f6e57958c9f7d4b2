import { type Kysely, sql } from 'kysely'

const statements = [
  // What the vendor says of an end or of a wait, where it says so.
  `alter table attempts add column seen_reason text`,
  `alter table attempts drop constraint attempts_stop_reason_check`,
  // Not valid: what is there keeps to the narrower one, and a large table need not be read for it.
  `alter table attempts add constraint attempts_stop_reason_check check (stop_reason in ('cancelled', 'stopped',
    'timed_out', 'over_budget', 'deadline', 'preempted', 'start_timeout', 'image', 'sibling_failed')) not valid`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
