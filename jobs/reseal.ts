// Secrets in rows, sealed anew with the key that is used from now on, while others go on opening them.
import { sql } from 'kysely'
import { endpointContext, secretContext } from './webhooks.ts'
import { contextOf as accountContext } from './opening.ts'
import { contextOf as ofSecret } from './secrets.ts'
import type { Sealer } from './deps.ts'
import type { OldSecret } from './store/message-tables.ts'
import type { Database } from './store/schema.ts'

/** Rows of one statement: a server that opens them meanwhile waits for no longer than these take. */
const batch = 100

interface Place {
  table: string
  column: string
  /** What names a row. */
  key: readonly string[]
  /** What its value is bound to. */
  context: (...key: string[]) => string
}

/** Every column that holds a sealed value; old secrets of webhooks are a list of them. */
const places: readonly Place[] = [
  {
    table: 'installation',
    column: 'runner_key_sealed',
    key: ['id'],
    context: () => 'runner_key_sealed',
  },
  {
    table: 'installation',
    column: 'identity_key_sealed',
    key: ['id'],
    context: () => 'identity_key_sealed',
  },
  { table: 'projects', column: 'webhook_secret_sealed', key: ['id'], context: secretContext },
  { table: 'webhooks', column: 'secret_sealed', key: ['id'], context: endpointContext },
  { table: 'provider_accounts', column: 'credentials_sealed', key: ['id'], context: accountContext },
  { table: 'secrets', column: 'sealed', key: ['project_id', 'name'], context: ofSecret },
]

interface Given {
  db: Database
  sealer: Sealer
}

/** Seals with the sealer's own key what another one sealed; answers how many. Can be broken off and begun again. */
export async function resealAll(given: Given): Promise<number> {
  let done = 0
  for (const place of places)
    for (let found = batch; found === batch; done += found) found = await resealRows(given, place)
  for (let found = batch; found === batch; done += found) found = await resealOld(given)
  return done
}

/** Keys that rows need and the sealer has not, with how many values each has sealed. */
export async function missingKeys({ db, sealer }: Given): Promise<{ key_id: string; values: number }[]> {
  const columns = places.map(
    ({ table, column }) => sql`select ${sql.ref(column)} as sealed from ${sql.table(table)}`,
  )
  const old = sql`select each ->> 'sealed' from webhooks, jsonb_array_elements(old_secrets) each`
  const { rows } = await sql<{ key_id: string; values: number }>`
    select split_part(sealed, '.', 2) as key_id, count(*)::int as values
    from (${sql.join([...columns, old], sql` union all `)}) as all_of_them(sealed)
    where sealed like 'v1.%' and split_part(sealed, '.', 2) <> all(${[...sealer.key_ids]}::text[])
    group by 1 order by 1`.execute(db)
  return rows
}

async function resealRows({ db, sealer }: Given, { table, column, key, context }: Place): Promise<number> {
  const names = key.map((name) => sql.ref(name))
  const { rows } = await sql<Record<string, string>>`
    select ${sql.join(names)}, ${sql.ref(column)} as sealed from ${sql.table(table)}
    where ${sql.ref(column)} like 'v1.%' and split_part(${sql.ref(column)}, '.', 2) <> ${sealer.key_id}
    limit ${batch}`.execute(db)
  for (const row of rows) {
    const values = key.map((name) => row[name] ?? '')
    const bound = context(...values)
    const sealed = row['sealed'] ?? ''
    const anew = sealer.seal(sealer.open(sealed, bound), bound)
    const isRow = sql.join(
      key.map((name, n) => sql`${sql.ref(name)} = ${values[n]}`),
      sql` and `,
    )
    // What was replaced meanwhile is sealed anew already.
    await sql`update ${sql.table(table)} set ${sql.ref(column)} = ${anew}
      where ${isRow} and ${sql.ref(column)} = ${sealed}`.execute(db)
  }
  return rows.length
}

async function resealOld({ db, sealer }: Given): Promise<number> {
  const { rows } = await sql<{ id: string; old_secrets: OldSecret[] }>`
    select id, old_secrets from webhooks where exists (
      select from jsonb_array_elements(old_secrets) each
      where split_part(each ->> 'sealed', '.', 2) <> ${sealer.key_id})
    limit ${batch}`.execute(db)
  for (const { id, old_secrets } of rows) {
    const bound = endpointContext(id)
    const anew = old_secrets.map(({ sealed, until }) => ({
      sealed: sealer.seal(sealer.open(sealed, bound), bound),
      until,
    }))
    await sql`update webhooks set old_secrets = ${JSON.stringify(anew)}::jsonb
      where id = ${id} and old_secrets = ${JSON.stringify(old_secrets)}::jsonb`.execute(db)
  }
  return rows.length
}
