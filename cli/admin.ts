// Administration that needs the database itself, and so runs on the server's machine with its settings.
import { type Command, Option } from 'commander'
import { addAccounts } from './accounts.ts'
import { action, type Context, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { addOrphans } from './orphans.ts'
import { runProgram } from './program.ts'
import { write } from './text.ts'
import { addUsers } from './users.ts'

interface Options {
  name: string
  role: string
  json?: true
}

const help = `
Opens the database that the server's variables (BERTH_DATA_DIR or BERTH_DATABASE_URL) or .env name. An
embedded database is open to one process at a time: stop the server first.
`

export function addAdmin(program: Command, context: Context): void {
  const admin = program
    .command('admin')
    .description('keys, people, accounts at providers, and what is left there')
  subcommand(admin, 'create-key', 'make an API key; it is shown once')
    .requiredOption('--name <name>', 'what the key is for')
    .addOption(
      new Option('--role <role>', 'its rights').choices(['viewer', 'member', 'admin']).default('member'),
    )
    .addHelpText('after', help)
    .action(action(context, (options: Options) => createKey(context.io, options)))
  subcommand(
    admin,
    'rotate-secrets',
    'seal all secrets anew with BERTH_SECRET_KEY, while BERTH_SECRET_KEY_OTHER opens them',
  )
    .addHelpText('after', help)
    .action(action(context, ({ json }: { json?: true }) => rotateSecrets(context.io, json)))
  addUsers(admin, context, help)
  addAccounts(admin, context)
  addOrphans(admin, context)
}

/** `berth restore`: the server's machine is where a copy was put back. */
export function addRestore(program: Command, context: Context): void {
  subcommand(program, 'restore', 'say that the database was restored from a copy')
    .option('--end', 'say that everything unknown may be stopped again')
    .addHelpText('after', help)
    .action(
      action(context, async ({ end, json }: { end?: true; json?: true }) => {
        const text = await runProgram(context.io, 'restore', end ? ['--end'] : [])
        if (text === null) return exits.client
        const state = { quarantined: !end }
        await write(context.io.stdout, json ? `${JSON.stringify(state)}\n` : `${text}\n`)
        return exits.ok
      }),
    )
}

async function rotateSecrets(io: Io, json?: true): Promise<ExitCode> {
  const text = await runProgram(io, 'rotate-secret-key', [])
  if (text === null) return exits.client
  await write(io.stdout, json ? `${JSON.stringify({ rotated: true })}\n` : `${text}\n`)
  return exits.ok
}

async function createKey(io: Io, { name, role, json }: Options): Promise<ExitCode> {
  const key = await runProgram(io, 'create-key', [name, role])
  if (key === null) return exits.client
  await write(io.stdout, json ? `${JSON.stringify({ name, role, key })}\n` : `${key}\n`)
  return exits.ok
}
