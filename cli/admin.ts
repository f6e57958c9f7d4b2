// Administration that needs the database itself, and so runs on the server's machine with its settings.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { addAccounts } from './accounts.ts'
import { action, type Context, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { addOrphans } from './orphans.ts'
import { write } from './text.ts'

/** Run as programs: a client of the API loads nothing of the server. */
const programOf = (name: string) => join(import.meta.dirname, '..', 'infra', `${name}.ts`)

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
  const admin = program.command('admin').description('keys, accounts at providers, and what is left there')
  subcommand(admin, 'create-key', 'make an API key; it is shown once')
    .requiredOption('--name <name>', 'what the key is for')
    .addOption(
      new Option('--role <role>', 'its rights').choices(['viewer', 'member', 'admin']).default('member'),
    )
    .addHelpText('after', help)
    .action(action(context, (options: Options) => createKey(context.io, options)))
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

async function createKey(io: Io, { name, role, json }: Options): Promise<ExitCode> {
  const key = await runProgram(io, 'create-key', [name, role])
  if (key === null) return exits.client
  await write(io.stdout, json ? `${JSON.stringify({ name, role, key })}\n` : `${key}\n`)
  return exits.ok
}

/** What the program of infra/ prints; null: it failed, and said why. */
async function runProgram(io: Io, program: string, args: string[]): Promise<string | null> {
  const child = spawn(process.execPath, [programOf(program), ...args], {
    cwd: io.cwd,
    env: { ...io.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [code, output, problem] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve)),
    textOf(child.stdout),
    textOf(child.stderr),
  ])
  await write(io.stderr, problem)
  return code === 0 ? output.trim() : null
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
