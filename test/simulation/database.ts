// One PGlite for all: a transaction is one step, and every statement tells what it changed when it is committed.
import { PGlite, types } from '@electric-sql/pglite'
import {
  type CompiledQuery,
  type DatabaseConnection,
  Kysely,
  PGliteDialect,
  type QueryResult,
  type TransactionSettings,
} from 'kysely'
import { migrate } from '../../infra/db.ts'
import type { Database, Tables } from '../../jobs/store/schema.ts'
import { awaitPoint } from './points.ts'
import { prepared, type Run } from './prepared.ts'

/** What a committed statement did to one row; only the columns that invariants speak of. */
export interface RowChange {
  table: string
  before: Record<string, unknown> | null
  after: Record<string, unknown>
}

/** Where the owner of a connection waits: before a transaction, and after it has happened. */
export interface Gate {
  /** The label names the place in the code. */
  enter: (label: string) => Promise<void>
  leave: (label: string) => Promise<void>
  hold: () => () => void
  committed: (changes: readonly RowChange[]) => void
}

const watched = {
  jobs: `'id', n.id, 'state', n.state, 'outcome', n.outcome, 'order_kind', n.order_kind, 'sequence', n.event_sequence,
    'counters', array[n.shards_total, n.shards_waiting, n.shards_active, n.shards_running, n.shards_succeeded,
      n.shards_failed, n.shards_cancelled], 'result', n.result, 'finished_at', n.finished_at,
    'merge_state', n.merge_state, 'cached_from', n.cached_from, 'follows', n.follows`,
  shards: `'id', n.id, 'job_id', n.job_id, 'state', n.state, 'facts_version', n.facts_version, 'attempts', n.attempts,
    'attempts_used', n.attempts_used, 'order_kind', n.order_kind`,
  attempts: `'id', n.id, 'provider', n.provider, 'offer_id', n.offer_id, 'shard_id', n.shard_id, 'job_id', n.job_id, 'state', n.state, 'outcome', n.outcome,
    'nonce', n.nonce, 'spot', n.spot, 'stop_reason', n.stop_reason, 'instance', n.instance,
    'finished_version', n.finished_version, 'exit_code', n.finished->>'exit_code', 'ended_at', n.ended_at, 'exited_since', n.exited_since,
    'request', md5(n.request::text), 'launch_called_at', n.launch_called_at, 'kind', n.kind`,
  deliveries: `'id', n.id, 'job_id', n.job_id, 'state', n.state, 'type', n.type, 'body', md5(n.body), 'attempts', n.attempts`,
  ledger: `'attempt_id', n.attempt_id, 'entry', n.entry, 'usd_micros', n.usd_micros`,
  orphans: `'id', n.id, 'attempt_id', n.attempt_id, 'stop_called_at', n.stop_called_at, 'gone_at', n.gone_at`,
  limits: `'id', n.id, 'scope', n.scope, 'key', n.key, 'max_running', n.max_running`,
  budgets: `'id', n.id, 'limit_micros', n.limit_micros`,
  budget_periods: `'budget_id', n.budget_id, 'reserved_micros', n.reserved_micros, 'spent_micros', n.spent_micros`,
} as const

/** Leases and looks come and go with every pass; nothing is promised about them. */
const told = 'state, facts_version, attempts, attempts_used, order_kind'

/** The database of all processes of a world, and the one way to it. */
export interface SharedDatabase {
  pglite: PGlite
  run: Run
}

export async function openSimulationDatabase(): Promise<SharedDatabase> {
  const pglite = await PGlite.create({ parsers: { [types.INT8]: Number } })
  const db = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
  await migrate(db)
  for (const [table, columns] of Object.entries(watched)) {
    const row = (name: string) => `json_build_object(${columns.replaceAll('n.', `${name}.`)})`
    await pglite.exec(`
      create function tell_${table}() returns trigger language plpgsql as $$
      begin
        raise notice '%', json_build_object('table', '${table}',
          'before', case when tg_op = 'UPDATE' then ${row('old')} end, 'after', ${row('new')});
        return new;
      end $$;
      create trigger tell_${table} after insert or update ${table === 'shards' ? `of ${told}` : ''} on ${table}
        for each row execute function tell_${table}()`)
  }
  // Plans are made once, and not for each set of values: planning costs more than these statements do.
  await pglite.exec('set plan_cache_mode = force_generic_plan')
  return { pglite, run: prepared(pglite) }
}

/** Empties every table, as it was after the migration. */
export async function emptyDatabase({ pglite }: SharedDatabase): Promise<void> {
  const { rows } = await pglite.query<{ name: string }>(`
    select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition and c.relname not like 'kysely%'
    order by 1`)
  // The audit log refuses to be emptied.
  await pglite.exec(`set session_replication_role = replica;
    truncate ${rows.map(({ name }) => name).join(', ')} restart identity cascade;
    set session_replication_role = origin`)
}

/** The database as one process sees it. */
export function connect({ pglite, run }: SharedDatabase, gate: Gate): Database {
  const dialect = new PGliteDialect({ pglite })
  dialect.createDriver = () => driver(run, gate)
  return new Kysely<Tables>({ dialect })
}

/** The database as the observer sees it: outside of the history. */
export const observer = (database: SharedDatabase, committed: Gate['committed']): Database =>
  connect(database, {
    enter: () => Promise.resolve(),
    leave: () => Promise.resolve(),
    hold: () => () => undefined,
    committed,
  })

interface Connection extends DatabaseConnection {
  label: string
  end: () => void
}

function driver(statement: Run, gate: Gate) {
  // `begins`: a transaction opens with its first statement.
  let open: boolean | 'begins' = false
  let changes: RowChange[] = []
  const query = (text: string, parameters: readonly unknown[] = []) => {
    const begins = open === 'begins'
    open &&= true
    return statement(text, parameters, {
      begins,
      onNotice: (message) => {
        if (message.startsWith('{')) changes.push(JSON.parse(message) as RowChange)
      },
    })
  }
  const tell = () => {
    const said = changes
    changes = []
    if (said.length > 0) gate.committed(said)
  }
  const run = async <Row>({ sql: text, parameters }: CompiledQuery): Promise<QueryResult<Row>> => {
    try {
      const { affectedRows, rows } = await query(text, parameters)
      if (!open) tell()
      return {
        ...(affectedRows === undefined ? {} : { numAffectedRows: BigInt(affectedRows) }),
        rows: rows as Row[],
      }
    } catch (error) {
      changes = []
      throw error
    }
  }
  return {
    init: () => Promise.resolve(),
    destroy: () => Promise.resolve(),
    async acquireConnection(): Promise<DatabaseConnection> {
      const label = awaitPoint('sql')
      await gate.enter(label)
      const connection: Connection = {
        label,
        end: gate.hold(),
        executeQuery: run,
        streamQuery: () => {
          throw new Error('streams are not simulated')
        },
      }
      return connection
    },
    beginTransaction(_: DatabaseConnection, settings: TransactionSettings) {
      if (settings.isolationLevel)
        throw new Error('isolation levels are not simulated: there is one connection')
      open = 'begins'
      return Promise.resolve()
    },
    async commitTransaction() {
      if (open === true) await query('commit')
      open = false
      tell()
    },
    async rollbackTransaction() {
      if (open === true) await query('rollback')
      open = false
      changes = []
    },
    async releaseConnection(connection: DatabaseConnection) {
      const { label, end } = connection as Connection
      end()
      await gate.leave(label)
    },
  }
}
