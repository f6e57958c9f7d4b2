// Writes many rows in one statement. A column travels as one array of texts, or as one text where all rows have the
// same, which the database reads as the type of the column: what a user wrote as JSON arrives as it was written.
import { type RawBuilder, type Selectable, sql } from 'kysely'
import { columnTypes } from './column-types.ts'
import type { Database, Tables, Tx } from './schema.ts'
import type { Given } from './statement.ts'

export type Table = keyof typeof columnTypes
export type Column<Name extends Table> = keyof (typeof columnTypes)[Name] & keyof Selectable<Tables[Name]>
/** Values of columns as they are read; JSON is written as its text. */
export type Values<Name extends Table> = { [C in Column<Name>]?: Selectable<Tables[Name]>[C] | undefined }

/** Inserts rows, in their order; all have the columns of the first. */
export async function insertRows<Name extends Table>(
  db: Database,
  table: Name,
  rows: readonly Values<Name>[],
  onConflict = sql``,
): Promise<void> {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first) as Column<Name>[]
  const given = giving(table, columns, rows)
  await sql`insert into ${sql.table(table)} (${sql.join(columns.map((column) => sql.ref(String(column))))})
    select ${sql.join(columns.map(given.value))} from ${given.rows} ${onConflict}`.execute(db)
}

/** How a part of a statement (statement.ts) inserts rows. */
export interface Insertion<In, Name extends Table> {
  table: Name
  /** Columns that travel as an array of texts each. */
  each: readonly Column<Name>[]
  /** Columns that have the same value in all rows, which travels once. */
  all?: readonly Column<Name>[]
  rows: (input: In) => readonly Values<Name>[]
  /** A text for each row that conditions may look at, as `given.beside`. */
  beside?: (input: In) => readonly (string | null)[]
  /** What follows on the rows that are given, numbered as `given.n`. */
  rest: RawBuilder<unknown>
}

/** The same as a part of a statement whose text does not depend on the rows, so that it is planned once. */
export function insertion<In, Name extends Table>(
  given: Given<In>,
  { table, each, all = [], rows, beside, rest }: Insertion<In, Name>,
): RawBuilder<unknown> {
  const isJson = (column: Column<Name>) => typeOf(table, column).startsWith('json')
  const arrays = each.map(
    (column) => sql`${given((input) => textsOf(rows(input), column, isJson(column)))}::text[]`,
  )
  const names = each.map((column) => sql.ref(String(column)))
  if (beside) {
    arrays.push(sql`${given(beside)}::text[]`)
    names.push(sql.ref('beside'))
  }
  const same = all.map(
    (column) =>
      sql`${given((input) => textOf(rows(input)[0]?.[column] ?? null, isJson(column)))}::text::${sql.raw(typeOf(table, column))}`,
  )
  return sql`insert into ${sql.table(table)} (${sql.join([...each, ...all].map((column) => sql.ref(String(column))))})
    select ${sql.join([...each.map((column) => typed(column, typeOf(table, column))), ...same])}
    from unnest(${sql.join(arrays)}) with ordinality as given(${sql.join(names)}, n) ${rest}`
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
    arrays.push(sql`${texts}::text[]`)
    names.push(sql.ref(String(column)))
    values.set(column, typed(column, type))
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

const typed = (column: PropertyKey, type: string): RawBuilder<unknown> =>
  type === 'text'
    ? sql`given.${sql.ref(String(column))}`
    : sql`given.${sql.ref(String(column))}::${sql.raw(type)}`

const typeOf = <Name extends Table>(table: Name, column: Column<Name>): string => {
  const type = (columnTypes[table] as Record<string, string>)[String(column)]
  if (!type) throw new Error(`${table}.${String(column)} has no type here`)
  return type
}

function textOf(value: unknown, isJson: boolean): string | null {
  if (value === null) return null
  if (isJson) return JSON.stringify(value)
  return value instanceof Date ? value.toISOString() : String(value as string | number | boolean)
}
