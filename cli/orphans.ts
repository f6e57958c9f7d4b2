import type { Command } from 'commander'
import { answered, type OrphanPage } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { table, write } from './text.ts'

const head = ['ID', 'PROVIDER', 'NAME', 'USD/H', 'USD', 'SEEN SINCE', 'STOP CALLED']

/** `berth admin orphans`: what costs money at providers and no attempt accounts for. */
export function addOrphans(admin: Command, context: Context): void {
  const { io } = context
  const orphans = admin
    .command('orphans')
    .description('what is left at providers without an attempt (operator)')
  subcommand(orphans, 'list', 'all of them, over all accounts, with their cost').action(
    action(context, async ({ json }: { json?: true }) =>
      show(io, await answered(openClient(io).v1.orphans.$get()), json),
    ),
  )
  subcommand(orphans, 'stop <id>', 'stop one now').action(
    action(context, async (id: string, { json }: { json?: true }) => {
      if (!/^orp_[a-z0-9]{1,60}$/.test(id))
        throw usageError(`${JSON.stringify(id)} is not the id of an orphan: they look like orp_01jd...`)
      const stopped = openClient(io).v1.orphans[':id'].stop.$post({ param: { id } })
      return show(io, await answered(stopped), json)
    }),
  )
}

async function show(io: Io, page: OrphanPage, json?: true): Promise<ExitCode> {
  if (json) await printJson(io, page)
  else {
    const rows = page.items.map((each) => [
      each.id,
      `${each.provider}/${each.account}`,
      each.name,
      each.usd_per_hour.toFixed(4),
      each.usd_so_far.toFixed(4),
      each.first_seen_at,
      each.stop_called_at ?? '',
    ])
    if (rows.length > 0) await write(io.stdout, table(head, rows, { right: ['USD/H', 'USD'] }))
    const held = page.quarantined ? '; the database is a restored copy, so they are only shown' : ''
    await write(io.stdout, `at risk: ${page.at_risk_usd_per_hour.toFixed(4)} USD an hour${held}\n`)
  }
  return exits.ok
}
