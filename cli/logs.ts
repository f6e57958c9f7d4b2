import type { Command } from 'commander'
import { answered, type Client, createClient, jobId, type LogLine, longPatience_ms } from './client.ts'
import { action, type Context, openClient, subcommand } from './command.ts'
import { connection } from './connection.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { createLogLines } from './log-lines.ts'
import { write } from './text.ts'
import { leftRunning, logEvents } from './watch.ts'

/** The server's pages hold at most this many chunks. */
const page = 500

interface Options {
  follow?: true
  json?: true
}

export function addLogs(program: Command, context: Context): void {
  subcommand(program, 'logs <id>', 'print a job’s log; with --json one chunk a line')
    .option('-f, --follow', 'go on until the job has ended')
    .action(action(context, (id: string, options: Options) => logs(context.io, jobId(id), options)))
}

async function logs(io: Io, id: string, { follow, json }: Options): Promise<ExitCode> {
  const lines = createLogLines()
  const chunks = follow ? followed(io, id) : pages(openClient(io), id)
  try {
    for await (const chunk of chunks)
      await write(io.stdout, json ? `${JSON.stringify(chunk)}\n` : lines.take(chunk))
  } catch (error) {
    throw io.interrupted.aborted && follow ? leftRunning(id, null) : error
  }
  if (!json) await write(io.stdout, lines.rest())
  return exits.ok
}

async function* followed(io: Io, id: string): AsyncGenerator<LogLine> {
  const on_away = (why: string) => void io.stderr.write(`${why} Trying again ...\n`)
  const client = createClient(io, connection(io), { patience_ms: longPatience_ms, on_away })
  for await (const { data } of logEvents(client, id, io.interrupted)) yield JSON.parse(data) as LogLine
}

async function* pages(client: Client, id: string): AsyncGenerator<LogLine> {
  let cursor: string | null = null
  do {
    const found = await readPage(client, id, cursor)
    yield* found.items
    cursor = found.next_cursor
  } while (cursor !== null)
}

async function readPage(client: Client, id: string, cursor: string | null) {
  const query = { limit: String(page), ...(cursor !== null && { cursor }) }
  const found = await answered(client.v1.jobs[':id'].logs.$get({ param: { id }, query, header: {} }))
  if (typeof found === 'string') throw new TypeError('asked for JSON, the server sent text')
  return found
}
