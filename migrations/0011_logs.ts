import { type Kysely, sql } from 'kysely'

const statements = [
  // How long the log of an attempt is, once it is longer than what is kept whole: its beginning stays, and of the rest
  // the end.
  `create table log_sizes (
    attempt_id text primary key,
    project_id text not null,
    bytes bigint not null,
    /* The newest chunk that was counted: one that is sent again is not counted twice. */
    counted int not null,
    /* The last chunk of the beginning; null: all of it is kept up to now. */
    head_number int,
    /* The first chunk of the end, and the bytes from there on. */
    tail_number int,
    tail_bytes bigint not null default 0,
    dropped_bytes bigint not null default 0
  ) with (fillfactor = 50)`,
]

export async function up(db: Kysely<unknown>): Promise<void> {
  for (const statement of statements) await sql.raw(statement).execute(db)
}
