import type { Command } from 'commander'
import { answered, type JobBody } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { type ExitCode, exits } from './exit.ts'
import type { Io } from './io.ts'
import { readJob } from './job-file.ts'
import { printRanking } from './ranking-text.ts'
import { oneLine, write } from './text.ts'

interface Options {
  kind?: string
  json?: true
}

export function addEstimate(program: Command, context: Context): void {
  subcommand(program, 'estimate <file>', 'where a job would go, how long and how dear; nothing is submitted')
    .option('--kind <kind>', 'the file holds the params of a job of this kind')
    .action(action(context, (file: string, options: Options) => estimate(context.io, file, options)))
}

async function estimate(io: Io, file: string, { kind, json }: Options): Promise<ExitCode> {
  const body = await readJob(io, file, kind === undefined ? {} : { kind })
  const found = await answered(openClient(io).v1.jobs.estimate.$post({ json: body as JobBody }))
  if (json) await printJson(io, found)
  else {
    await printRanking(io, found)
    for (const { message } of found.warnings) await write(io.stderr, `warning: ${oneLine(message)}\n`)
  }
  return exits.ok
}
