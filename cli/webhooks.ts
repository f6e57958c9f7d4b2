import { randomUUID } from 'node:crypto'
import { type Command, InvalidArgumentError } from 'commander'
import { answered, type Webhook, type WebhookBody } from './client.ts'
import { action, type Context, openClient, printJson, subcommand, wholeNumber } from './command.ts'
import { type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { oneLine, table, write } from './text.ts'

interface CreateOptions {
  event?: string[]
  description?: string
  json?: true
}
interface RotateOptions {
  grace?: number
  json?: true
}

const maxGrace_s = 7 * 86_400
const head = ['ID', 'STATE', 'EVENTS', 'FAILURES', 'URL']

export function addWebhooks(program: Command, context: Context): void {
  const { io } = context
  const webhooks = program
    .command('webhooks')
    .description('endpoints that are told of what happens in the project')
  subcommand(webhooks, 'list', 'the endpoints, newest first').action(
    action(context, ({ json }: { json?: true }) => list(io, json)),
  )
  subcommand(webhooks, 'create <url>', 'register one; its secret is shown once')
    .option(
      '--event <type>',
      'a type that it is told of, like job.failed; again for more; left out: all',
      add,
    )
    .option('--description <text>', 'what it is for')
    .action(action(context, (url: string, options: CreateOptions) => create(io, url, options)))
  subcommand(webhooks, 'enable <id>', 'let it begin anew').action(
    action(context, (id: string, { json }: { json?: true }) => turn(io, id, true, json)),
  )
  subcommand(webhooks, 'disable <id>', 'tell it nothing more; what waits is given up').action(
    action(context, (id: string, { json }: { json?: true }) => turn(io, id, false, json)),
  )
  subcommand(webhooks, 'delete <id>', 'delete it; what waits is given up').action(
    action(context, (id: string) => remove(io, id)),
  )
  subcommand(webhooks, 'test <id>', 'send it a test message now, and say what it answers').action(
    action(context, (id: string, { json }: { json?: true }) => test(io, id, json)),
  )
  subcommand(webhooks, 'rotate <id>', 'make a new secret, which is shown once; the old one signs beside it')
    .option('--grace <seconds>', 'for how long; 0: not at all', wholeNumber(0, maxGrace_s), 86_400)
    .action(action(context, (id: string, options: RotateOptions) => rotate(io, id, options)))
}

function add(type: string, before: string[] = []): string[] {
  if (/^[a-z]+\.[a-z]+$/.test(type)) return [...before, type]
  throw new InvalidArgumentError('It must look like job.succeeded.')
}

async function list(io: Io, json?: true): Promise<ExitCode> {
  const page = await answered(openClient(io).v1.webhooks.$get())
  if (json) await printJson(io, page)
  else if (page.items.length > 0)
    await write(io.stdout, table(head, page.items.map(row), { right: ['FAILURES'] }))
  return exits.ok
}

function row({ id, state, disabled_reason, events, failures, url }: Webhook): string[] {
  const why = disabled_reason === null || disabled_reason === 'user' ? '' : ` (${disabled_reason})`
  return [id, `${state}${why}`, events?.join(',') ?? 'all', String(failures), url]
}

async function create(io: Io, url: string, { event, description, json }: CreateOptions): Promise<ExitCode> {
  const made = await answered(
    openClient(io).v1.webhooks.$post({
      json: {
        url,
        // The server knows its types and refuses others by name.
        ...(event === undefined ? {} : { events: event as NonNullable<WebhookBody['events']> }),
        ...(description === undefined ? {} : { description }),
      },
      header: { 'idempotency-key': randomUUID() },
    }),
  )
  return showSecret(io, made, json)
}

async function rotate(io: Io, id: string, { grace, json }: RotateOptions): Promise<ExitCode> {
  const made = await answered(
    openClient(io).v1.webhooks[':id'].rotate.$post({
      param: { id: webhookId(id) },
      json: grace === undefined ? {} : { grace_s: grace },
    }),
  )
  return showSecret(io, made, json)
}

/** The secret alone on standard output, so that scripts can keep it. */
async function showSecret(io: Io, made: { id: string; secret: string }, json?: true): Promise<ExitCode> {
  if (json) await printJson(io, made)
  else {
    await write(io.stderr, `${made.id}: keep its secret, it is not shown again.\n`)
    await write(io.stdout, `${made.secret}\n`)
  }
  return exits.ok
}

async function turn(io: Io, id: string, enabled: boolean, json?: true): Promise<ExitCode> {
  const changed = await answered(
    openClient(io).v1.webhooks[':id'].$patch({ param: { id: webhookId(id) }, json: { enabled } }),
  )
  if (json) await printJson(io, changed)
  else await write(io.stdout, `${changed.id} ${changed.state}\n`)
  return exits.ok
}

async function remove(io: Io, id: string): Promise<ExitCode> {
  await openClient(io).v1.webhooks[':id'].$delete({ param: { id: webhookId(id) } })
  return exits.ok
}

/** Fails when the endpoint does not take it. */
async function test(io: Io, id: string, json?: true): Promise<ExitCode> {
  const told = await answered(openClient(io).v1.webhooks[':id'].test.$post({ param: { id: webhookId(id) } }))
  const { state, last_attempt } = told
  if (json) await printJson(io, told)
  else {
    const { status, error, response, duration_ms } = last_attempt ?? {}
    const what = error ?? `answered ${status}`
    await write(io.stdout, `${state}: ${oneLine(what)} after ${duration_ms} ms\n`)
    if (response) await write(io.stdout, `${oneLine(response)}\n`)
  }
  return state === 'delivered' ? exits.ok : exits.failed
}

function webhookId(text: string): string {
  if (/^whk_[a-z0-9]{1,60}$/.test(text)) return text
  throw usageError(`${JSON.stringify(text)} is not a webhook id: they look like whk_01jd...`)
}
