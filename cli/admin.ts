// Administration that needs the database itself, and so runs on the server's machine with its settings.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { type Command, Option } from 'commander'
import { action, type Context, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { write } from './text.ts'

/** Run as a program: a client of the API loads nothing of the server. */
const createKeyProgram = join(import.meta.dirname, '..', 'infra', 'create-key.ts')

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
    .description('what needs the database itself, on the server’s machine')
  subcommand(admin, 'create-key', 'make an API key; it is shown once')
    .requiredOption('--name <name>', 'what the key is for')
    .addOption(
      new Option('--role <role>', 'its rights').choices(['viewer', 'member', 'admin']).default('member'),
    )
    .addHelpText('after', help)
    .action(action(context, (options: Options) => createKey(context.io, options)))
}

async function createKey(io: Io, { name, role, json }: Options): Promise<ExitCode> {
  const child = spawn(process.execPath, [createKeyProgram, name, role], {
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
  if (code !== 0) return exits.client
  const key = output.trim()
  await write(io.stdout, json ? `${JSON.stringify({ name, role, key })}\n` : `${key}\n`)
  return exits.ok
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const parts: Uint8Array[] = []
  for await (const part of stream) parts.push(part)
  return Buffer.concat(parts).toString('utf8')
}
