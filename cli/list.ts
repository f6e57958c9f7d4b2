import type { Command } from 'commander'
import { answered, type Client, type Job, type JobPage } from './client.ts'
import { action, type Context, label, openClient, printJson, subcommand, wholeNumber } from './command.ts'
import { exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { duration, table, usd, write } from './text.ts'

/** The server's pages hold at most this many. */
const maxPage = 500
/** Longer lists are for the API and its cursor. */
const maxListed = 100_000

interface Options {
  state?: Job['state']
  kind?: string
  label?: Record<string, string>
  limit: number
  json?: true
}

export function addList(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'list', 'list jobs, newest first')
    .option('--state <state>', 'only those in this state')
    .option('--kind <kind>', 'only those of this kind')
    .option('--label <name=value>', 'only those with this label', label)
    .option('--limit <count>', 'at most so many', wholeNumber(1, maxListed), 50)
    .action(
      action(context, async (options: Options) => {
        const found = await listJobs(openClient(io), options)
        await (options.json ? printJson(io, found) : printTable(io, found, options.limit))
        return exits.ok
      }),
    )
}

async function listJobs(
  client: Client,
  { state, kind, label: labels = {}, limit }: Options,
): Promise<JobPage> {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}:${value}`)
  if (pairs.length > 1) throw usageError('list takes one --label')
  const filters = { ...(state && { state }), ...(kind && { kind }), ...(pairs[0] && { label: pairs[0] }) }
  const items: Job[] = []
  let next_cursor: string | null = null
  do {
    const page: JobPage = await answered(
      client.v1.jobs.$get({
        query: {
          ...filters,
          limit: String(Math.min(maxPage, limit - items.length)),
          ...(next_cursor !== null && { cursor: next_cursor }),
        },
      }),
    )
    items.push(...page.items)
    next_cursor = page.next_cursor
  } while (next_cursor !== null && items.length < limit)
  return { items, next_cursor }
}

async function printTable(io: Io, { items, next_cursor }: JobPage, limit: number): Promise<void> {
  if (items.length === 0) {
    await write(io.stderr, 'No jobs.\n')
    return
  }
  const now = Date.now()
  const rows = items.map((job) => [
    job.id,
    job.state,
    job.kind,
    job.name ?? '',
    `${Math.floor(job.progress * 100)} %`,
    usd(job.cost.actual_usd),
    duration(now - Date.parse(job.created_at)),
  ])
  const head = ['ID', 'STATE', 'KIND', 'NAME', 'DONE', 'COST', 'AGE']
  const options = { width: io.stdout.columns, flexible: 'NAME', right: ['DONE', 'COST', 'AGE'] }
  await write(io.stdout, table(head, rows, options))
  if (next_cursor !== null) await write(io.stderr, `There are more than ${limit}: give --limit.\n`)
}
