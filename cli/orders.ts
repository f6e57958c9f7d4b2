// stop, cancel, delete: what is asked of a job that exists.
import type { Command } from 'commander'
import { answered, type Client, type Job, jobId } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { exits } from './exit.ts'
import { write } from './text.ts'

export function addOrders(program: Command, context: Context): void {
  addOrder(program, context, 'stop', 'end a job; the best so far is kept', (client, id) =>
    answered(client.v1.jobs[':id'].stop.$post({ param: { id } })),
  )
  addOrder(program, context, 'cancel', 'end a job; its result is discarded', (client, id) =>
    answered(client.v1.jobs[':id'].cancel.$post({ param: { id } })),
  )
  const { io } = context
  subcommand(program, 'delete <id>', 'delete a finished job').action(
    action(context, async (text: string, { json }: { json?: true }) => {
      const id = jobId(text)
      await openClient(io).v1.jobs[':id'].$delete({ param: { id } })
      await (json ? printJson(io, { id, deleted: true }) : write(io.stdout, `${id} deleted\n`))
      return exits.ok
    }),
  )
}

function addOrder(
  program: Command,
  context: Context,
  name: 'stop' | 'cancel',
  description: string,
  order: (client: Client, id: string) => Promise<Job>,
): void {
  const { io } = context
  subcommand(program, `${name} <id>`, description).action(
    action(context, async (id: string, { json }: { json?: true }) => {
      const job = await order(openClient(io), jobId(id))
      await (json ? printJson(io, job) : write(io.stdout, `${job.id} ${job.state}, the order is recorded\n`))
      return exits.ok
    }),
  )
}
