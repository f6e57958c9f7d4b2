import type { Command } from 'commander'
import { answered, type ProviderAccount } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { clientError, type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { readInput } from './job-file.ts'
import { oneLine, table, write } from './text.ts'

interface AddOptions {
  settings?: string
  credentials?: string
  json?: true
}
type Patch = { enabled?: boolean; draining?: boolean; force?: boolean }

const head = ['ID', 'ACCOUNT', 'USE', 'HEALTH', 'SINCE', 'ANSWERED', 'P95 MS', 'RUNNING', 'WHY']
const credentialsHelp = `
FILE is JSON; - reads standard input. Credentials are never taken from the command line, where other users of the machine
and the shell's history see them.
`

/** `berth admin accounts`: accounts at providers. */
export function addAccounts(admin: Command, context: Context): void {
  const { io } = context
  const accounts = admin.command('accounts').description('accounts at providers, and how they do (operator)')
  subcommand(accounts, 'list', 'all of them').action(
    action(context, ({ json }: { json?: true }) => list(io, json)),
  )
  subcommand(accounts, 'add <provider> <name>', 'add one')
    .option('--settings <file>', 'its settings')
    .option('--credentials <file>', 'its credentials')
    .addHelpText('after', credentialsHelp)
    .action(
      action(context, (provider: string, name: string, options: AddOptions) =>
        add(io, provider, name, options),
      ),
    )
  subcommand(accounts, 'rotate <id>', 'give it other credentials; what runs there goes on')
    .requiredOption('--credentials <file>', 'the new ones')
    .addHelpText('after', credentialsHelp)
    .action(action(context, (id: string, options: AddOptions) => rotate(io, id, options)))
  subcommand(accounts, 'test <id>', 'try each permission that it needs, without spending').action(
    action(context, (id: string, { json }: { json?: true }) => test(io, id, json)),
  )
  const turns: [string, string, Patch][] = [
    ['enable', 'launch there again', { enabled: true, draining: false }],
    ['drain', 'launch nothing more there; what runs goes on', { draining: true }],
  ]
  for (const [name, description, patch] of turns)
    subcommand(accounts, `${name} <id>`, description).action(
      action(context, (id: string, { json }: { json?: true }) => change(io, id, patch, json)),
    )
  subcommand(accounts, 'disable <id>', 'do not use it any more')
    .option('--force', 'although attempts run there: they are watched to their end')
    .action(
      action(context, (id: string, { force, json }: { force?: true; json?: true }) =>
        change(io, id, { enabled: false, ...(force && { force }) }, json),
      ),
    )
  subcommand(accounts, 'delete <id>', 'remove one that has been disabled for a minute').action(
    action(context, async (id: string) => {
      await openClient(io).v1['provider-accounts'][':id'].$delete({ param: { id: accountId(id) } })
      return exits.ok
    }),
  )
}

async function list(io: Io, json?: true): Promise<ExitCode> {
  const page = await answered(openClient(io).v1['provider-accounts'].$get())
  if (json) await printJson(io, page)
  else if (page.items.length > 0)
    await write(io.stdout, table(head, page.items.map(row), { right: ['ANSWERED', 'P95 MS', 'RUNNING'] }))
  return exits.ok
}

function row({ id, provider, account, enabled, draining, running, health }: ProviderAccount): string[] {
  const { state, since, success_rate, p95_ms, reason, detail } = health
  return [
    id ?? '(environment)',
    `${provider}/${account}`,
    enabled ? (draining ? 'draining' : 'enabled') : 'disabled',
    state,
    since ?? '',
    success_rate === null ? '' : `${(success_rate * 100).toFixed(1)} %`,
    p95_ms === null ? '' : String(p95_ms),
    String(running),
    state === 'healthy' ? '' : oneLine(`${reason ?? ''}: ${detail ?? ''}`),
  ]
}

async function add(
  io: Io,
  provider: string,
  account: string,
  { settings, credentials, json }: AddOptions,
): Promise<ExitCode> {
  if (settings === '-' && credentials === '-')
    throw usageError('one of --settings and --credentials can be -')
  const made = await answered(
    openClient(io).v1['provider-accounts'].$post({
      json: {
        provider,
        account,
        ...(settings === undefined ? {} : { settings: await readObject(io, settings) }),
        ...(credentials === undefined ? {} : { credentials: await readObject(io, credentials) }),
      },
    }),
  )
  return show(io, made, json)
}

async function rotate(io: Io, id: string, { credentials = '-', json }: AddOptions): Promise<ExitCode> {
  const given = await readObject(io, credentials)
  const changed = openClient(io).v1['provider-accounts'][':id'].$patch({
    param: { id: accountId(id) },
    json: { credentials: given },
  })
  return show(io, await answered(changed), json)
}

async function change(io: Io, id: string, patch: Patch, json?: true): Promise<ExitCode> {
  const changed = openClient(io).v1['provider-accounts'][':id'].$patch({
    param: { id: accountId(id) },
    json: patch,
  })
  return show(io, await answered(changed), json)
}

async function show(io: Io, account: ProviderAccount, json?: true): Promise<ExitCode> {
  if (json) await printJson(io, account)
  else await write(io.stdout, table(head, [row(account)], { right: ['ANSWERED', 'P95 MS', 'RUNNING'] }))
  return exits.ok
}

/** Fails when a permission is missing. */
async function test(io: Io, id: string, json?: true): Promise<ExitCode> {
  const asked = openClient(io).v1['provider-accounts'][':id'].test.$post({ param: { id: accountId(id) } })
  const tested = await answered(asked)
  if (json) await printJson(io, tested)
  else
    for (const { name, ok, detail } of tested.checks)
      await write(io.stdout, `${ok ? 'ok  ' : 'FAIL'} ${oneLine(name)}: ${oneLine(detail)}\n`)
  return tested.ok ? exits.ok : exits.failed
}

/** A message never repeats what is in the file: it may be a secret. */
async function readObject(io: Io, file: string): Promise<Record<string, unknown>> {
  const what = file === '-' ? 'standard input' : file
  const value = parsed(what, await readInput(io, file))
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw clientError(`${what} is not a JSON object`)
  return value as Record<string, unknown>
}

function parsed(what: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw clientError(`${what} is not JSON`)
  }
}

function accountId(text: string): string {
  if (/^pac_[a-z0-9]{1,60}$/.test(text)) return text
  throw usageError(`${JSON.stringify(text)} is not the id of an account: they look like pac_01jd...`)
}
