import type { Command } from 'commander'
import { jobId } from './client.ts'
import { action, type Context, printJson, subcommand } from './command.ts'
import { connection } from './connection.ts'
import type { ExitCode } from './exit.ts'
import type { Io } from './io.ts'
import { printJob } from './job-text.ts'
import { timeoutOption } from './submit.ts'
import { exitOf, watchJob } from './watch.ts'

interface Options {
  follow?: true
  timeout?: number
  json?: true
}

export function addWait(program: Command, context: Context): void {
  subcommand(program, 'wait <id>', 'wait until a job has ended; the exit code tells how')
    .option('--follow', 'show its log too')
    .addOption(timeoutOption())
    .action(action(context, (id: string, options: Options) => wait(context.io, id, options)))
}

async function wait(io: Io, id: string, options: Options): Promise<ExitCode> {
  const json = options.json === true
  const job = await watchJob(io, connection(io), {
    id: jobId(id),
    follow: options.follow === true,
    json,
    timeout_s: options.timeout ?? null,
  })
  await (json ? printJson(io, job) : printJob(io, job))
  return exitOf(job)
}
