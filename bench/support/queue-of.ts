// A queue of any depth: rows are copied from one job that was really submitted.
import { sql } from 'kysely'
import type { Database } from '../../jobs/store/schema.ts'

/** Rows of one statement: more would only make a longer transaction. */
const rowsAtOnce = 100_000

export interface Filled {
  jobs: number
  /** Distinct shapes that they have. */
  shapes: number
}

/** Empties the queue and what was launched from it, and fills it with copies of the job. */
export async function fillQueue(db: Database, job_id: string, { jobs, shapes }: Filled): Promise<void> {
  await sql`create table if not exists bench_job as select * from jobs where id = ${job_id}`.execute(db)
  await sql`create table if not exists bench_shard as select * from shards where job_id = ${job_id}`.execute(
    db,
  )
  await sql`truncate jobs, shards, attempts, artifacts, events, reservations, heartbeats, points, result_cache`.execute(
    db,
  )
  await addToQueue(db, { jobs, shapes })
  await sql`vacuum (analyze) jobs`.execute(db)
  await sql`vacuum (analyze) shards`.execute(db)
  await sql`analyze attempts`.execute(db)
  await sql`checkpoint`.execute(db)
}

/** Copies so many more. */
export async function addToQueue(db: Database, { jobs, shapes }: Filled): Promise<void> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from jobs`.execute(db)
  const first = rows[0]?.count ?? 0
  for (let from = first; from < first + jobs; from += rowsAtOnce) {
    const to = Math.min(from + rowsAtOnce, first + jobs)
    // Ids keep the time of the first one, and end in their number.
    const id = (column: string) => sql`left(t.${sql.ref(column)}, 20) || lpad(n::text, 10, '0')`
    await copy(db, 'jobs', 'bench_job', { id: id('id') }, from, to)
    const shape = shapes === 1 ? sql`t.shape_hash` : sql`left(md5((n % ${shapes})::text), 16)`
    const of_shard = {
      id: id('id'),
      job_id: id('job_id'),
      shape_hash: shape,
      queue_key: sql`t.queue_key + n * interval '1 ms'`,
    }
    await copy(db, 'shards', 'bench_shard', of_shard, from, to)
  }
}

async function copy(
  db: Database,
  table: string,
  template: string,
  own: Record<string, ReturnType<typeof sql>>,
  from: number,
  to: number,
): Promise<void> {
  const { rows } = await sql<{ name: string }>`
    select column_name as name from information_schema.columns where table_name = ${table}
    order by ordinal_position`.execute(db)
  const names = rows.map(({ name }) => name)
  await sql`insert into ${sql.table(table)} (${sql.join(names.map((name) => sql.ref(name)))})
    select ${sql.join(names.map((name) => own[name] ?? sql.ref(`t.${name}`)))}
    from ${sql.table(template)} t, generate_series(${from}::int, ${to - 1}::int) as n`.execute(db)
}
