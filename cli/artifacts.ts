import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { finished, pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { answered, type Artifact, type Client, firstPause_ms, interruption, jobId } from './client.ts'
import { action, type Context, openClient, printJson, subcommand } from './command.ts'
import { CliError, clientError, type ExitCode, exits, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { bytes, oneLine, table, write } from './text.ts'

/** A download that breaks off is begun again; five breaks on one file are a broken line. */
const maxTries = 5
const segment = /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/

interface Options {
  download?: string
  json?: true
}

export function addArtifacts(program: Command, context: Context): void {
  subcommand(program, 'artifacts <id> [names...]', 'list the files of a job, or those named')
    .option('--download <folder>', 'save them there, each compared with its sha256')
    .action(
      action(context, (id: string, names: string[], options: Options) =>
        artifacts(context.io, jobId(id), names, options),
      ),
    )
}

async function artifacts(io: Io, id: string, names: string[], options: Options): Promise<ExitCode> {
  const client = openClient(io)
  const { items } = await answered(client.v1.jobs[':id'].artifacts.$get({ param: { id } }))
  const wanted = names.length === 0 ? items : names.map((name) => named(items, id, name))
  if (options.download === undefined) {
    await (options.json ? printJson(io, { items: wanted, next_cursor: null }) : printTable(io, wanted))
    return exits.ok
  }
  const folder = resolve(io.cwd, options.download)
  for (const artifact of wanted) {
    const path = pathIn(folder, artifact.name)
    await save(io, client, id, artifact, path)
    if (!options.json) await write(io.stdout, `${path}\n`)
  }
  if (options.json)
    await printJson(io, { items: wanted.map((each) => ({ ...each, path: pathIn(folder, each.name) })) })
  return exits.ok
}

function named(items: readonly Artifact[], id: string, name: string): Artifact {
  const found = items.find((item) => item.name === name)
  if (found) return found
  const known = items.length === 0 ? 'none' : items.map((item) => item.name).join(', ')
  const message = `${id} has no file ${JSON.stringify(name)}; it has ${known}.`
  throw new CliError(exits.not_found, { code: 'not_found', message })
}

async function printTable(io: Io, items: readonly Artifact[]): Promise<void> {
  const rows = items.map((each) => [each.name, bytes(each.bytes), each.content_type, each.sha256])
  await write(io.stdout, table(['NAME', 'SIZE', 'TYPE', 'SHA256'], rows, { right: ['SIZE'] }))
}

/** A name comes from a server, perhaps a hostile one: it must stay in the folder. */
function pathIn(folder: string, name: string): string {
  if (!name.split('/').every((each) => segment.test(each)))
    throw usageError(
      `The server names a file ${JSON.stringify(name)}, which is not saved: it could be anywhere.`,
    )
  return join(folder, name)
}

/** Streams to a temporary file beside the target, which appears only whole and with the right sha256. */
async function save(io: Io, client: Client, id: string, artifact: Artifact, path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const part = `${path}.part-${process.pid}`
  try {
    for (let tried = 1; ; tried++) {
      const got = await fetchTo(io, client, id, artifact, part)
      if (got.whole) {
        if (got.sha256 !== artifact.sha256)
          throw clientError(
            `${oneLine(artifact.name)} arrived damaged: its sha256 is ${got.sha256}, not ${artifact.sha256}. Try again.`,
          )
        await rename(part, path)
        return
      }
      if (tried === maxTries)
        throw new CliError(exits.unreachable, {
          code: 'unreachable',
          message: `The download of ${oneLine(artifact.name)} broke off ${maxTries} times: try again later.`,
        })
      await sleep(firstPause_ms * 2 ** tried, undefined, { signal: io.interrupted }).catch(() => undefined)
    }
  } finally {
    await rm(part, { force: true })
  }
}

async function fetchTo(io: Io, client: Client, id: string, artifact: Artifact, part: string) {
  const response = (await client.v1.jobs[':id'].artifacts[':name'].$get({
    param: { id, name: encodeURIComponent(artifact.name) },
  })) as Response
  const hash = createHash('sha256')
  const file = createWriteStream(part)
  let size = 0
  let broken: unknown = null
  try {
    await pipeline(async function* () {
      // What fails here failed on the way; what fails in writing is this machine's and is thrown.
      try {
        for await (const chunk of response.body ?? []) {
          hash.update(chunk)
          size += chunk.byteLength
          if (size > artifact.bytes) return
          yield chunk
        }
      } catch (error) {
        broken = error
      }
    }, file)
  } finally {
    file.destroy()
    await finished(file).catch(() => undefined)
  }
  if (io.interrupted.aborted) throw interruption()
  return { whole: broken === null && size >= artifact.bytes, sha256: hash.digest('hex') }
}
