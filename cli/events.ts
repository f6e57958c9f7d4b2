import { type Command, Option } from 'commander'
import {
  answered,
  createClient,
  type FeedEvent,
  interruption,
  type JobEvent,
  jobId,
  longPatience_ms,
} from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { connection } from './connection.ts'
import { type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { events } from './sse.ts'
import { oneLine, table, write } from './text.ts'

const page = 500
const head = ['ID', 'AT', 'TYPE', 'JOB', 'DATA']

interface Options {
  follow?: true
  after?: string
  json?: true
}

export function addEvents(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'events [id]', 'list what has happened to a job, or in the whole project')
    .option('-f, --follow', 'without an id: go on with what comes, from now on unless --after says where')
    .addOption(new Option('--after <place>', 'without an id: after the event with this ID'))
    .action(
      action(context, (id: string | undefined, options: Options) => {
        if (id === undefined) return options.follow ? follow(io, options) : list(io, options)
        if (options.follow || options.after !== undefined)
          throw usageError('--follow and --after are for the whole project: leave the job id out')
        return ofJob(context, jobId(id), options)
      }),
    )
}

async function ofJob(context: Context, id: string, { json }: Options): Promise<ExitCode> {
  const { io } = context
  const items = await listEvents(context, id)
  if (json) await printJson(io, { items, next_cursor: null })
  else {
    const rows = items.map(({ sequence, at, type, data }) => [String(sequence), at, type, brief(data)])
    await write(io.stdout, table(['NUMBER', 'AT', 'TYPE', 'DATA'], rows, { right: ['NUMBER'] }))
  }
  return exits.ok
}

async function listEvents({ io }: Context, id: string): Promise<JobEvent[]> {
  const client = openClient(io)
  const items: JobEvent[] = []
  let cursor: string | null = null
  do {
    const query = { limit: String(page), ...(cursor !== null && { cursor }) }
    const found: { items: JobEvent[]; next_cursor: string | null } = await answered(
      client.v1.jobs[':id'].events.$get({ param: { id }, query, header: {} }),
    )
    items.push(...found.items)
    cursor = found.next_cursor
  } while (cursor !== null)
  return items
}

/** A page at a time: a project's feed may be longer than memory. */
async function list(io: Io, { after, json }: Options): Promise<ExitCode> {
  const client = openClient(io)
  let place = after ?? null
  let more = true
  for (let isFirst = true; more; isFirst = false) {
    const query = { limit: String(page), ...(place !== null && { after: place }) }
    const found: { items: FeedEvent[]; next_cursor: string | null } = await answered(
      client.v1.events.$get({ query, header: {} }),
    )
    const lines = json ? found.items.map((event) => JSON.stringify(event)) : rowsOf(found.items, isFirst)
    await write(io.stdout, lines.map((line) => `${line}\n`).join(''))
    place = found.next_cursor
    more = place !== null
  }
  return exits.ok
}

function rowsOf(items: readonly FeedEvent[], withHead: boolean): string[] {
  if (items.length === 0) return []
  const rows = items.map(({ id, at, type, job_id, data }) => [id, at, type, job_id ?? '', brief(data)])
  const lines = table(head, rows).trimEnd().split('\n')
  return withHead ? lines : lines.slice(1)
}

/** Prints each event once, whatever becomes of the connection, until Ctrl-C. */
async function follow(io: Io, { after = 'latest', json }: Options): Promise<never> {
  const on_away = (why: string) => void io.stderr.write(`${why} Trying again ...\n`)
  const client = createClient(io, connection(io), { patience_ms: longPatience_ms, on_away })
  const now = await answered(client.v1.events.$get({ query: { limit: '1', after }, header: {} }))
  // What comes while a stream is opened again must not be passed over, also before the first event.
  const start = after === 'latest' ? (now.next_cursor ?? after) : after
  const open = (last_id: string | null) =>
    client.v1.events.$get(
      { query: { after: start }, header: last_id === null ? {} : { 'last-event-id': last_id } },
      { headers: { Accept: 'text/event-stream' } },
    ) as Promise<Response>
  try {
    for await (const { data } of events({ open, signal: io.interrupted, patience_ms: longPatience_ms })) {
      const event = JSON.parse(data) as FeedEvent
      const { id, at, type, job_id } = event
      const line = json
        ? JSON.stringify(event)
        : [id, at, type, job_id ?? '', brief(event.data)].map(oneLine).join('  ').trimEnd()
      await write(io.stdout, `${line}\n`)
    }
  } catch (error) {
    if (!io.interrupted.aborted) throw error
  }
  throw interruption()
}

/** The scalar fields: what is nested is for --json. */
function brief(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null && typeof value !== 'object')
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
}
