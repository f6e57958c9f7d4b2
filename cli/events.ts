import type { Command } from 'commander'
import { answered, type JobEvent, jobId } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { exits } from './exit.ts'
import { table, write } from './text.ts'

const page = 500

export function addEvents(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'events <id>', 'list what has happened to a job').action(
    action(context, async (id: string, { json }: { json?: true }) => {
      const items = await listEvents(context, jobId(id))
      if (json) await printJson(io, { items, next_cursor: null })
      else {
        const rows = items.map(({ sequence, at, type, data }) => [String(sequence), at, type, brief(data)])
        await write(io.stdout, table(['NUMBER', 'AT', 'TYPE', 'DATA'], rows, { right: ['NUMBER'] }))
      }
      return exits.ok
    }),
  )
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

/** The scalar fields: what is nested is for --json. */
function brief(data: Record<string, unknown>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null && typeof value !== 'object')
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(' ')
}
