// Statements that PostgreSQL parses and plans once: a simulation runs the same few hundred a million times.
import { messages, type PGlite, parse, protocol, type Results } from '@electric-sql/pglite'

const { serialize } = protocol

interface Statement {
  name: string
  /** Types of its parameters, by which values are written. */
  oids: number[]
  /** What its rows look like; null: it has none. */
  row: messages.RowDescriptionMessage | null
}

/** Lists of ids make a statement for each length; beyond this all are forgotten and made anew. */
const maxStatements = 1_000

export interface RunOptions {
  /** Opens a transaction first. */
  begins: boolean
  onNotice: (message: string) => void
}
export type Run = (
  text: string,
  parameters: readonly unknown[],
  options: RunOptions,
) => Promise<Results<Record<string, unknown>>>

/** Runs statements of one PGlite, one at a time: the caller waits for each. */
export function prepared(pglite: PGlite): Run {
  const statements = new Map<string, Statement>()
  let made = 0
  const prepare = async (text: string): Promise<Statement> => {
    if (statements.size >= maxStatements) {
      statements.clear()
      await pglite.exec('deallocate all')
    }
    const name = `s${++made}`
    const { messages: said } = await pglite.execProtocol(
      joined([serialize.parse({ name, text }), serialize.describe({ type: 'S', name }), serialize.sync()]),
      { syncToFs: false },
    )
    const statement: Statement = {
      name,
      oids: parse.parseDescribeStatementResults(said),
      row: said.find((message) => message instanceof messages.RowDescriptionMessage) ?? null,
    }
    statements.set(text, statement)
    return statement
  }
  const written = (value: unknown, oid: number | undefined) => {
    if (value === null || value === undefined) return null
    const write = oid === undefined ? undefined : pglite.serializers[oid]
    return write ? write(value) : String(value as string | number | boolean)
  }
  const find = async (text: string) => statements.get(text) ?? (await prepare(text))
  return async (text, parameters, { begins, onNotice }) => {
    const begin = begins ? await find('begin') : null
    const { name, oids, row } = await find(text)
    const values = parameters.map((value, index) => written(value, oids[index]))
    const { messages: said } = await pglite.execProtocol(
      joined([
        ...(begin ? [serialize.bind({ statement: begin.name }), serialize.execute({})] : []),
        serialize.bind({ statement: name, values }),
        serialize.execute({}),
        serialize.sync(),
      ]),
      { syncToFs: false, onNotice: ({ message }) => message !== undefined && onNotice(message) },
    )
    if (begin) said.splice(0, said.findIndex((message) => message.name === 'commandComplete') + 1)
    const [result] = parse.parseResults(row ? [row, ...said] : said, pglite.parsers)
    if (!result) throw new Error(`no result of ${text}`)
    return result as Results<Record<string, unknown>>
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}
