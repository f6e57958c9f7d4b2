// Writes many rows in one statement. Each column travels as one array of texts, which the database reads as the type
// of the column: one statement whatever the number of rows, and what a user wrote as JSON arrives as it was written.
import { type RawBuilder, type Selectable, sql } from 'kysely'
import type { Tables, Tx } from './schema.ts'

/** Columns that are written for many rows at once, and their types. */
const types = {
  jobs: {
    id: 'text',
    project_id: 'text',
    kind: 'text',
    name: 'text',
    spec: 'json',
    priority: 'text',
    labels: 'jsonb',
    estimated_micros: 'bigint',
    cache_key: 'text',
    follows: 'text',
    dataset_id: 'text',
    created_at: 'timestamptz',
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
    project_id: 'text',
    job_id: 'text',
    index: 'int',
    role: 'text',
    state: 'text',
    shape_hash: 'text',
    queue_key: 'timestamptz',
    created_at: 'timestamptz',
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
    request: 'jsonb',
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
    sequence: 'int',
    type: 'text',
    url: 'text',
    body: 'text',
    state: 'text',
    next_attempt_at: 'timestamptz',
    created_at: 'timestamptz',
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

export type Table = keyof typeof types
export type Column<Name extends Table> = keyof (typeof types)[Name] & keyof Selectable<Tables[Name]>
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
  await insertion(table, columns, rows, { rest: onConflict }).execute(tx)
}

/**
 * The same as a part of a larger statement. `beside`: a text for each row that conditions may look at, as
 * `given.beside`; `rest`: what follows on the rows that are given, in the order of `given.n`.
 */
export function insertion<Name extends Table>(
  table: Name,
  columns: readonly Column<Name>[],
  rows: readonly Values<Name>[],
  { beside, rest }: { beside?: readonly (string | null)[]; rest: RawBuilder<unknown> },
): RawBuilder<unknown> {
  const names = sql.join(columns.map((column) => sql.ref(String(column))))
  return sql`insert into ${sql.table(table)} (${names})
    select ${sql.join(columns.map((column) => typed(table, column)))}
    from ${unnested(table, columns, rows, beside)} ${rest}`
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
    const set = columns.map((column) => sql`${sql.ref(String(column))} = ${typed(table, column)}`)
    const found = keys.map((key) => sql`stored.${sql.ref(String(key))} = ${typed(table, key)}`)
    const written = rows.map(({ key, values }) => ({ ...key, ...values }))
    await sql`update ${sql.table(table)} as stored set ${sql.join(set)}
      from ${unnested(table, [...keys, ...columns], written)} where ${sql.join(found, sql` and `)}`.execute(
      tx,
    )
  }
}

/** What of a row was changed: the columns of `after` that `before` has not, or has with another value. */
export function difference<Row extends object>(before: Partial<Row>, after: Row): Partial<Row> {
  const entries = Object.entries(after) as [keyof Row, unknown][]
  return Object.fromEntries(entries.filter(([name, value]) => before[name] !== value)) as Partial<Row>
}

function typed<Name extends Table>(table: Name, column: Column<Name>): RawBuilder<unknown> {
  const type = typeOf(table, column)
  const name = sql`given.${sql.ref(String(column))}`
  return type === 'text' ? name : sql`${name}::${sql.raw(type)}`
}

function unnested<Name extends Table>(
  table: Name,
  columns: readonly Column<Name>[],
  rows: readonly Values<Name>[],
  beside?: readonly (string | null)[],
): RawBuilder<unknown> {
  const arrays = columns.map((column) => {
    const isJson = typeOf(table, column).startsWith('json')
    return sql`${rows.map((row) => textOf(row[column] ?? null, isJson))}::text[]`
  })
  const names = columns.map((column) => sql.ref(String(column)))
  if (beside) {
    arrays.push(sql`${[...beside]}::text[]`)
    names.push(sql.ref('beside'))
  }
  return sql`unnest(${sql.join(arrays)}) with ordinality as given(${sql.join(names)}, n)`
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
