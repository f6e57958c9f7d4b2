// Writes many rows in one statement. A column travels as one array of texts, or as one text where all rows have the
// same, which the database reads as the type of the column: what a user wrote as JSON arrives as it was written.
import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { Tables, Tx } from './schema.ts'

/** Columns that are written for many rows at once, and their types. */
const types = {
  jobs: {
    id: 'text',
    state: 'text',
    outcome: 'text',
    error: 'jsonb',
    warnings: 'jsonb',
    result: 'json',
    shards_total: 'int',
    shards_waiting: 'int',
    shards_active: 'int',
    shards_running: 'int',
    shards_succeeded: 'int',
    shards_failed: 'int',
    shards_cancelled: 'int',
    merge_state: 'text',
    device_class: 'text',
    cached_from: 'text',
    providers: 'jsonb',
    event_sequence: 'int',
    started_at: 'timestamptz',
    finished_at: 'timestamptz',
  },
  shards: {
    id: 'text',
    state: 'text',
    shape_hash: 'text',
    due_at: 'timestamptz',
    not_before: 'timestamptz',
    waiting_since: 'timestamptz',
    waited_ms: 'bigint',
    attempts: 'int',
    attempts_used: 'int',
    attempts_uncharged: 'int',
    attempts_without_progress: 'int',
    excluded_providers: 'jsonb',
    lease_replica: 'text',
    lease_token: 'text',
    leased_until: 'timestamptz',
    wait_reason: 'text',
  },
  attempts: {
    id: 'text',
    project_id: 'text',
    job_id: 'text',
    shard_id: 'text',
    shard_index: 'int',
    number: 'int',
    state: 'text',
    provider: 'text',
    account: 'text',
    region: 'text',
    offer_id: 'text',
    spot: 'boolean',
    device: 'text',
    usd_micros_per_hour: 'bigint',
    basis: 'text',
    min_billing_s: 'int',
    timeout_s: 'int',
    timeout_reason: 'text',
    request: 'json',
    nonce: 'text',
    kind: 'text',
    signature: 'text',
    ranking: 'json',
    handle: 'jsonb',
    launch_called_at: 'timestamptz',
    launched_at: 'timestamptz',
    created_at: 'timestamptz',
    started_at: 'timestamptz',
    ended_at: 'timestamptz',
    outcome: 'text',
    outcome_at: 'timestamptz',
    exit_code: 'int',
    error: 'jsonb',
    stop_reason: 'text',
    stop_by: 'timestamptz',
    instance: 'text',
    bound_at: 'timestamptz',
    seen_state: 'text',
    seen_exit_code: 'int',
    seen_detail: 'text',
    seen_at: 'timestamptz',
    gone_since: 'timestamptz',
    exited_since: 'timestamptz',
    reserved_until: 'timestamptz',
  },
  events: {
    project_id: 'text',
    job_id: 'text',
    sequence: 'int',
    type: 'text',
    at: 'timestamptz',
    data: 'jsonb',
    partition_at: 'timestamptz',
  },
  deliveries: {
    id: 'text',
    project_id: 'text',
    job_id: 'text',
    webhook_id: 'text',
    receiver_id: 'text',
    sequence: 'int',
    type: 'text',
    url: 'text',
    body: 'text',
    state: 'text',
    attempts: 'int',
    next_attempt_at: 'timestamptz',
    claimed_until: 'timestamptz',
    created_at: 'timestamptz',
    ended_at: 'timestamptz',
  },
  delivery_attempts: {
    delivery_id: 'text',
    project_id: 'text',
    number: 'int',
    at: 'timestamptz',
    duration_ms: 'int',
    status: 'int',
    error: 'text',
    response: 'text',
  },
  receivers: {
    id: 'text',
    project_id: 'text',
    webhook_id: 'text',
    room: 'int',
    failures: 'int',
    failing_since: 'timestamptz',
    closed_until: 'timestamptz',
    due_at: 'timestamptz',
    updated_at: 'timestamptz',
  },
  ledger: {
    project_id: 'text',
    job_id: 'text',
    attempt_id: 'text',
    entry: 'text',
    usd_micros: 'bigint',
    basis: 'text',
    billed_from: 'timestamptz',
    billed_to: 'timestamptz',
    at: 'timestamptz',
  },
  budget_periods: {
    budget_id: 'text',
    project_id: 'text',
    period_start: 'timestamptz',
    reserved_micros: 'bigint',
    spent_micros: 'bigint',
    warned_at: 'timestamptz',
    exhausted_at: 'timestamptz',
  },
  reservations: {
    attempt_id: 'text',
    budget_id: 'text',
    project_id: 'text',
    period_start: 'timestamptz',
    micros: 'bigint',
  },
} as const satisfies { [Table in keyof Tables]?: { [Column in keyof Tables[Table]]?: string } }

type Table = keyof typeof types
type Column<Name extends Table> = keyof (typeof types)[Name] & keyof Selectable<Tables[Name]>
/** Values of columns as they are read; JSON is written as its text. */
export type Values<Name extends Table> = { [C in Column<Name>]?: Selectable<Tables[Name]>[C] | undefined }

/** Inserts rows, in their order; all have the columns of the first. */
export async function insertRows<Name extends Table>(
  tx: Tx,
  table: Name,
  rows: readonly Values<Name>[],
  onConflict = sql``,
): Promise<void> {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first) as Column<Name>[]
  const given = giving(table, columns, rows)
  await sql`insert into ${sql.table(table)} (${sql.join(columns.map((column) => sql.ref(String(column))))})
    select ${sql.join(columns.map(given.value))} from ${given.rows} ${onConflict}`.execute(tx)
}

/** The rows that changed: what they are found by, and their columns with other values than before. */
export interface Changed<Name extends Table> {
  key: Values<Name>
  values: Values<Name>
}

/** Updates rows that the caller has locked: one statement for all that change in the same columns. */
export async function updateRows<Name extends Table>(
  tx: Tx,
  table: Name,
  changed: readonly Changed<Name>[],
): Promise<void> {
  const kinds = Map.groupBy(
    changed.filter(({ values }) => Object.keys(values).length > 0),
    ({ values }) => Object.keys(values).toSorted().join(),
  )
  for (const rows of kinds.values()) {
    const [first] = rows
    if (!first) continue
    const keys = Object.keys(first.key) as Column<Name>[]
    const columns = Object.keys(first.values).toSorted() as Column<Name>[]
    const written = rows.map(({ key, values }) => ({ ...key, ...values }))
    const given = giving(table, [...keys, ...columns], written)
    const set = columns.map((column) => sql`${sql.ref(String(column))} = ${given.value(column)}`)
    const found = keys.map((key) => sql`stored.${sql.ref(String(key))} = ${given.value(key)}`)
    await sql`update ${sql.table(table)} as stored set ${sql.join(set)}
      from ${given.rows} where ${sql.join(found, sql` and `)}`.execute(tx)
  }
}

/** What of a row was changed: the columns of `after` that `before` has not, or has with another value. */
export function difference<Row extends object>(before: Partial<Row>, after: Row): Partial<Row> {
  const entries = Object.entries(after) as [keyof Row, unknown][]
  return Object.fromEntries(entries.filter(([name, value]) => before[name] !== value)) as Partial<Row>
}

/** Rows as `given`, and how each column is named there. One that is the same in all rows travels once. */
function giving<Name extends Table>(
  table: Name,
  columns: readonly Column<Name>[],
  rows: readonly Values<Name>[],
): { rows: RawBuilder<unknown>; value: (column: Column<Name>) => RawBuilder<unknown> } {
  const values = new Map<Column<Name>, RawBuilder<unknown>>()
  const arrays: RawBuilder<unknown>[] = []
  const names: RawBuilder<unknown>[] = []
  for (const column of columns) {
    const type = typeOf(table, column)
    const texts = textsOf(rows, column, type.startsWith('json'))
    const [first = null] = texts
    if (texts.every((text) => text === first)) {
      values.set(column, type === 'text' ? sql`${first}::text` : sql`${first}::text::${sql.raw(type)}`)
      continue
    }
    const name = sql`${sql.ref(String(column))}`
    arrays.push(sql`${texts}::text[]`)
    names.push(name)
    values.set(column, type === 'text' ? sql`given.${name}` : sql`given.${name}::${sql.raw(type)}`)
  }
  const all = sql`generate_series(1, ${rows.length}::int) as given(row)`
  return {
    rows: arrays.length === 0 ? all : sql`unnest(${sql.join(arrays)}) as given(${sql.join(names)})`,
    value: (column) => values.get(column) ?? sql`null`,
  }
}

function textsOf<Name extends Table>(
  rows: readonly Values<Name>[],
  column: Column<Name>,
  isJson: boolean,
): (string | null)[] {
  let last: unknown = null
  let text: string | null = null
  return rows.map((row) => {
    const value: unknown = row[column] ?? null
    // Many rows share one value, which may be large.
    if (value !== last) text = textOf(value, isJson)
    last = value
    return text
  })
}

const typeOf = <Name extends Table>(table: Name, column: Column<Name>): string => {
  const type = (types[table] as Record<string, string>)[String(column)]
  if (!type) throw new Error(`${table}.${String(column)} has no type here`)
  return type
}

function textOf(value: unknown, isJson: boolean): string | null {
  if (value === null) return null
  if (isJson) return JSON.stringify(value)
  return value instanceof Date ? value.toISOString() : String(value as string | number | boolean)
}
