import type { Command } from 'commander'
import { jobId } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { exits } from './exit.ts'
import { printJob } from './job-text.ts'
import { readJob } from './watch.ts'

export function addGet(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'get <id>', 'show a job').action(
    action(context, async (id: string, { json }: { json?: true }) => {
      const job = await readJob(openClient(io), jobId(id))
      await (json ? printJson(io, job) : printJob(io, job))
      return exits.ok
    }),
  )
}
