import { randomUUID } from 'node:crypto'
import { type Command, Option } from 'commander'
import { answered, createClient, type Job, type JobBody } from './client.ts'
import { action, type Context, label, printJson, subcommand, wholeNumber } from './command.ts'
import { type Connection, connection } from './connection.ts'
import { CliError, type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { type JobOptions, readJob } from './job-file.ts'
import { printJob } from './job-text.ts'
import { oneLine, write } from './text.ts'
import { exitOf, maxTimeout_s, watchJob } from './watch.ts'

interface Options extends JobOptions {
  idempotencyKey?: string
  wait?: true
  follow?: true
  timeout?: number
  json?: true
}

const help = `
FILE is JSON: a job ({"kind", "params", ...}), or with --kind its params alone, so that the spec of
"npm run backtest" can be sent as it is: berth submit --kind backtest --follow spec.json

The same --idempotency-key with the same job makes one job, however often it is sent (for 24 h). Without
the option each run has a key of its own, so that a lost answer can be asked for again safely.
`

export function addSubmit(program: Command, context: Context): void {
  subcommand(program, 'submit <file>', 'submit a job from a JSON file ("-": standard input)')
    .option('--kind <kind>', 'the file holds the params of a job of this kind')
    .option('--name <name>', 'name of the job')
    .option('--label <name=value>', 'label, any number of times', label)
    .option('--idempotency-key <key>', 'makes repeating this command safe')
    .option('--wait', 'wait until the job has ended, with a progress bar')
    .option('--follow', 'the same with its log')
    .addOption(timeoutOption())
    .addHelpText('after', help)
    .action(action(context, (file: string, options: Options) => submit(context.io, file, options)))
}

export const timeoutOption = () =>
  new Option('--timeout <seconds>', 'wait no longer than this; the job goes on').argParser(
    wholeNumber(1, maxTimeout_s),
  )

async function submit(io: Io, file: string, options: Options): Promise<ExitCode> {
  const follow = options.follow === true
  const waits = follow || options.wait === true
  if (options.timeout !== undefined && !waits) throw usageError('--timeout needs --wait or --follow')
  const to = connection(io)
  const body = await readJob(io, file, options)
  const key = options.idempotencyKey ?? `berth-cli-${randomUUID()}`
  const job = await send(io, to, body, key)
  const json = options.json === true
  if (!waits) {
    await (json ? printJson(io, job) : write(io.stdout, `${job.id}\n`))
    if (!json)
      await write(io.stderr, `${job.state}${warningsOf(job)}. Follow it: berth wait ${job.id} --follow\n`)
    return exits.ok
  }
  await write(io.stderr, `${job.id} ${job.state}${warningsOf(job)}\n`)
  const ended = await watchJob(io, to, { id: job.id, follow, json, timeout_s: options.timeout ?? null })
  await (json ? printJson(io, ended) : printJob(io, ended))
  return exitOf(ended)
}

const warningsOf = ({ warnings }: Job) =>
  warnings.map(({ message }) => oneLine(`; warning: ${message}`)).join('')

async function send(io: Io, to: Connection, body: object, key: string): Promise<Job> {
  const client = createClient(io, to)
  try {
    const request = { json: body as JobBody, header: { 'idempotency-key': key }, query: {} }
    return await answered(client.v1.jobs.$post(request))
  } catch (error) {
    if (!(error instanceof CliError) || error.problem.status !== undefined) throw error
    // Nobody knows whether it arrived; with the key asking again is safe.
    if (error.exit !== exits.unreachable && error.exit !== exits.interrupted) throw error
    const hint = `The job may have been accepted. Find out, or submit it, with the same command and --idempotency-key ${key}`
    throw new CliError(error.exit, { ...error.problem, hint }, { cause: error })
  }
}
