// Statements of one text: it is made at the first call, for making it costs as much as what differs, the parameters.
import { type CompiledQuery, type RawBuilder, sql } from 'kysely'
import type { Database } from './schema.ts'

/** A parameter of such a statement, which is read of the input of each call. */
export type Given<In> = (read: (input: In) => unknown) => RawBuilder<unknown>

/** What `write` says, for any input: it says the same of all, but for what is given. Answers the rows. */
export function statement<In, Row>(
  write: (given: Given<In>) => RawBuilder<Row>,
): (db: Database, input: In) => Promise<Row[]> {
  let made: CompiledQuery<Row> | undefined
  return async (db, input) => {
    made ??= write((read) => sql`${new Parameter(read)}`).compile(db)
    const parameters = made.parameters.map((each) => (each instanceof Parameter ? each.read(input) : each))
    const { rows } = await db.executeQuery<Row>({ ...made, parameters })
    return rows
  }
}

class Parameter<In> {
  readonly read: (input: In) => unknown
  constructor(read: (input: In) => unknown) {
    this.read = read
  }
}
