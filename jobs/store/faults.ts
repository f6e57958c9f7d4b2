// What a database error means for whoever gave the statement.

/**
 * `lost`: the connection broke, and whether a commit took effect is unknown. `silent`: the same, noticed because no answer
 * came for so long that nobody should wait as long again. `slow`: a bound of time was passed, and nothing was written. `conflict`: two transactions got into each other's way; the same again may pass. `taken`: a
 * key is there already, perhaps by a commit of ours whose answer was lost.
 */
export type Fault = 'lost' | 'silent' | 'slow' | 'conflict' | 'taken'

/** Of PostgreSQL's SQLSTATE (its documentation, appendix A); the first two characters are a class. */
const states: Readonly<Record<string, Fault>> = {
  // Connection exceptions; the operator or a crash ends the session; too many connections and other lacks.
  '08': 'lost',
  '57P': 'lost',
  '53': 'lost',
  // Reads alone: it stands by since another took over, to which a new connection leads.
  '25006': 'lost',
  // idle_in_transaction_session_timeout ends the session.
  '25P03': 'lost',
  // statement_timeout and lock_timeout.
  '57014': 'slow',
  '55P03': 'slow',
  // Serialization failures and deadlocks.
  '40': 'conflict',
  '23505': 'taken',
}
/** What sockets say. */
const socketCodes = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]
/** What pg says that gives no code (node_modules/pg, node_modules/pg-pool). */
const said =
  /^(Connection terminated|Client (has encountered a connection error|was closed)|Postgres connection has been discarded)/
const saidLate = /^(Query read timeout|timeout exceeded when trying to connect|timeout expired)/

/** null: the statement itself is wrong, or it is no error of the database. */
export function faultOf(error: unknown): Fault | null {
  if (!(error instanceof Error)) return null
  const { code } = error as { code?: unknown }
  if (typeof code === 'string') {
    if (socketCodes.includes(code)) return 'lost'
    const known = [code, code.slice(0, 3), code.slice(0, 2)].find((each) => each in states)
    return known === undefined ? null : (states[known] ?? null)
  }
  if (saidLate.test(error.message)) return 'silent'
  return said.test(error.message) ? 'lost' : null
}
