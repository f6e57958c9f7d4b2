import type { Command } from 'commander'
import { answered, jobId } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { exits } from './exit.ts'
import { printRanking } from './ranking-text.ts'
import { oneLine, write } from './text.ts'

export function addExplain(program: Command, context: Context): void {
  const { io } = context
  subcommand(program, 'explain <id>', 'why a job waits, or why it went where it is').action(
    action(context, async (id: string, { json }: { json?: true }) => {
      const client = openClient(io)
      const told = await answered(client.v1.jobs[':id'].explain.$get({ param: { id: jobId(id) } }))
      if (json) {
        await printJson(io, told)
        return exits.ok
      }
      const { state, reason, since, queue_position, next_try_at, attempts } = told
      const lines = [
        `${state}: ${reason.text} (${reason.code}, since ${since})`,
        ...(queue_position === null ? [] : [`place ${queue_position} among those that wait for the same`]),
        ...(next_try_at === null ? [] : [`next try at ${next_try_at}`]),
        ...attempts.map(({ id: attempt, text }) => `${attempt}: ${text}`),
      ]
      await write(io.stdout, `${lines.map(oneLine).join('\n')}\n\n`)
      await printRanking(io, told)
      return exits.ok
    }),
  )
}
