import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { SingleBar } from 'cli-progress'
import { type Command, Option } from 'commander'
import { answered, type Client, createClient, type Dataset, interruption, longPatience_ms } from './client.ts'
import { action, type Context, openClient, printJson, subcommand, wholeNumber } from './command.ts'
import { connection } from './connection.ts'
import { type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { bytes, oneLine, table, write } from './text.ts'

interface PushOptions {
  name?: string
  adjustment: 'none' | 'split' | 'total'
  timezone?: string
  barLabel?: 'start' | 'end'
  currency?: string
  json?: true
}

/** The server's pages hold at most this many. */
const maxPage = 500
/** A part of 16 MiB at half a megabit a second. Node's fetch waits no longer by itself. */
const part_ms = 300_000
/** A server reads, checks and writes a file at this rate at least before it is ready. */
const joined_bytes_per_ms = 10_000

export function addData(program: Command, context: Context): void {
  const data = program
    .command('data')
    .description('prices of your own: push a file once, use it from any job')
  subcommand(data, 'push <file>', 'upload a Parquet or CSV file; again, it goes on where it was broken off')
    .addOption(
      new Option('--adjustment <how>', 'what its prices are adjusted for')
        .choices(['none', 'split', 'total'])
        .makeOptionMandatory(),
    )
    .option('--name <name>', 'instead of the name of the file')
    .option('--timezone <zone>', 'of its times, like America/New_York')
    .addOption(new Option('--bar-label <end>', 'what the time of a bar is').choices(['start', 'end']))
    .option('--currency <code>', 'of its prices, like USD')
    .action(action(context, (file: string, options: PushOptions) => push(context.io, file, options)))
  subcommand(data, 'list', 'what has been pushed, newest first')
    .option('--limit <count>', 'at most so many', wholeNumber(1, maxPage), 50)
    .action(
      action(context, (options: { limit: number; json?: true }) =>
        list(context.io, options.limit, options.json),
      ),
    )
  subcommand(data, 'delete <id>', 'delete one; jobs that were submitted with it still read it').action(
    action(context, (id: string) => remove(context.io, id)),
  )
}

async function push(io: Io, file: string, options: PushOptions): Promise<ExitCode> {
  const path = resolve(io.cwd, file)
  const size = await sizeOf(path, file)
  const { adjustment, timezone, barLabel, currency, json } = options
  const hash = await watched(io, 'reading', size, (told) => sha256Of(io, path, told))
  const about = {
    name: options.name ?? basename(path),
    format: formatOf(file),
    bytes: size,
    sha256: hash,
    adjustment,
    ...(timezone === undefined ? {} : { timezone }),
    ...(barLabel === undefined ? {} : { bar_label: barLabel }),
    ...(currency === undefined ? {} : { currency }),
  }
  let dataset = await answered(openClient(io).v1.datasets.$post({ json: about }))
  if (dataset.upload) {
    const client = patientClient(io, size)
    await send(io, client, dataset, path)
    dataset = await answered(client.v1.datasets[':id'].complete.$post({ param: { id: dataset.id } }))
  }
  if (json) await printJson(io, dataset)
  else await write(io.stdout, `${dataset.id}\n`)
  if (!json) await write(io.stderr, `${oneLine(dataset.name)}: ${told(dataset)}\n`)
  return exits.ok
}

/** For what takes long, over lines that are slow and break. */
function patientClient(io: Io, size: number): Client {
  const patience_ms = longPatience_ms + size / joined_bytes_per_ms
  const on_away = (why: string) => void io.stderr.write(`${why} Trying again ...\n`)
  return createClient(io, connection(io), { patience_ms, answer_ms: part_ms, on_away })
}

async function sizeOf(path: string, file: string): Promise<number> {
  const seen = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw usageError(
      `${file} cannot be read: ${cause.code === 'ENOENT' ? 'there is no such file' : cause.message}`,
    )
  })
  if (!seen.isFile()) throw usageError(`${file} is not a file`)
  if (seen.size === 0) throw usageError(`${file} is empty`)
  return seen.size
}

function formatOf(file: string): 'parquet' | 'csv' {
  const ending = /\.(parquet|csv)$/i.exec(file)?.[1]?.toLowerCase()
  if (ending === 'parquet' || ending === 'csv') return ending
  throw usageError(`${file} must end in .parquet or .csv`)
}

async function sha256Of(io: Io, path: string, told: (bytes: number) => void): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path, { signal: io.interrupted }) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    told(chunk.byteLength)
  }
  return hash.digest('hex')
}

/** Sends the parts that have not come. */
async function send(
  io: Io,
  client: Client,
  { id, upload, bytes: size }: Dataset,
  path: string,
): Promise<void> {
  if (!upload) return
  const { part_bytes, parts, received } = upload
  const left = Array.from({ length: parts }, (_, number) => number).filter((n) => !received.includes(n))
  const file = await open(path, 'r')
  try {
    await watched(io, 'sending', size, async (told) => {
      told(Math.min(size, received.length * part_bytes))
      for (const number of left) {
        const body = await readPart(
          file,
          number * part_bytes,
          Math.min(part_bytes, size - number * part_bytes),
        )
        const param = { id, number: String(number) }
        // A part is bytes, which the routes' types do not know.
        const put = client.v1.datasets[':id'].parts[':number'].$put as unknown as (
          args: { param: typeof param },
          options: { init: RequestInit },
        ) => Promise<Response>
        await put({ param }, { init: { body } })
        told(body.byteLength)
      }
    })
  } finally {
    await file.close()
  }
}

async function readPart(file: FileHandle, start: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const part = new Uint8Array(length)
  for (let at = 0; at < length;) {
    const { bytesRead } = await file.read(part, at, length - at, start + at)
    if (bytesRead === 0) throw usageError('The file was changed while it was sent: push it again.')
    at += bytesRead
  }
  return part
}

/** Shows how far something of so many bytes has come: a bar on a terminal, else nothing. */
async function watched<Done>(
  io: Io,
  what: string,
  size: number,
  work: (told: (bytes: number) => void) => Promise<Done>,
): Promise<Done> {
  const isShown = io.stderr.isTTY === true && io.env['TERM'] !== 'dumb'
  const format = `{bar} {percentage} %  ${what} ${bytes(size)}  {duration_formatted}`
  const bar = isShown
    ? new SingleBar({ format, stream: io.stderr, clearOnComplete: true, barsize: 30 })
    : null
  bar?.start(size, 0)
  try {
    return await work((count) => bar?.increment(count))
  } catch (error) {
    if (io.interrupted.aborted) throw interruption()
    throw error
  } finally {
    bar?.stop()
  }
}

async function list(io: Io, limit: number, json?: true): Promise<ExitCode> {
  const page = await answered(openClient(io).v1.datasets.$get({ query: { limit: String(limit) } }))
  if (json) await printJson(io, page)
  else if (page.items.length > 0)
    await write(
      io.stdout,
      table(
        ['ID', 'NAME', 'SIZE', 'STATE', 'WHAT'],
        page.items.map((each) => [each.id, oneLine(each.name), bytes(each.bytes), each.state, told(each)]),
        { right: ['SIZE'] },
      ),
    )
  return exits.ok
}

/** Rows, range and columns as far as they are known. */
function told({ rows, first, last, columns }: Dataset): string {
  const range = first === null || last === null ? null : `${first.slice(0, 10)} to ${last.slice(0, 10)}`
  return [rows === null ? null : `${rows} rows`, range, columns?.join(', ') ?? null]
    .filter((each) => each !== null)
    .map(oneLine)
    .join('; ')
}

async function remove(io: Io, id: string): Promise<ExitCode> {
  if (!/^ds_[a-z0-9]{1,64}$/.test(id))
    throw usageError(`${JSON.stringify(id)} is not a dataset id: they look like ds_01jd...`)
  await openClient(io).v1.datasets[':id'].$delete({ param: { id } })
  return exits.ok
}
