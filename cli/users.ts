// `berth admin users`: people, from the server's machine, where no mail can be sent to them.
import type { Command } from 'commander'
import { action, type Context, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import { runProgram } from './program.ts'
import { table, write } from './text.ts'

interface User {
  id: string
  email: string
  name: string
  created_at: string
}

export function addUsers(admin: Command, context: Context, help: string): void {
  const users = admin.command('users').description('people who log in')
  const { io } = context
  subcommand(users, 'list', 'who there is')
    .addHelpText('after', help)
    .action(action(context, ({ json }: { json?: true }) => list(context, json)))
  subcommand(users, 'create', 'make a user; prints the link to choose a password, good for an hour')
    .requiredOption('--email <address>', 'what they log in with')
    .requiredOption('--name <name>', 'what they are called')
    .addHelpText('after', help)
    .action(
      action(context, ({ email, name, json }: { email: string; name: string; json?: true }) =>
        link(io, ['create', email, name], json),
      ),
    )
  subcommand(users, 'reset', 'print a link to choose a new password, good for an hour')
    .requiredOption('--email <address>', 'of whom')
    .addHelpText('after', help)
    .action(
      action(context, ({ email, json }: { email: string; json?: true }) => link(io, ['reset', email], json)),
    )
}

async function link(io: Context['io'], args: string[], json?: true): Promise<ExitCode> {
  const text = await runProgram(io, 'users', args)
  if (text === null) return exits.client
  await write(io.stdout, json ? `${JSON.stringify({ link: text })}\n` : `${text}\n`)
  return exits.ok
}

async function list({ io }: Context, json?: true): Promise<ExitCode> {
  const text = await runProgram(io, 'users', ['list'])
  if (text === null) return exits.client
  const users = JSON.parse(text) as User[]
  const rows = users.map(({ id, email, name, created_at }) => [id, email, name, created_at])
  await write(io.stdout, json ? `${text}\n` : table(['ID', 'EMAIL', 'NAME', 'SINCE'], rows))
  return exits.ok
}
