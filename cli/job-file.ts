// A job as a file holds it: whole, or the params of a kind alone.
import { createReadStream } from 'node:fs'
import { resolve } from 'node:path'
import { CliError, clientError, usageError } from './exit.ts'
import type { Io } from './io.ts'
import { oneLine } from './text.ts'

/** More than the server takes; so that a wrong file is not read to its end. */
const maxInput_bytes = 8 * 1024 ** 2
/** `params` is the kind's own; the server knows the kinds. */
const looksLikeBacktest = ['data', 'strategy']

export interface JobOptions {
  /** The file holds the params of this kind. */
  kind?: string
  name?: string
  label?: Record<string, string>
}

/** Reads the body of a submission; "-" is standard input. Throws CliError. */
export async function readJob(io: Io, file: string, options: JobOptions): Promise<object> {
  return jobOf(parseJson(await readInput(io, file), file), options)
}

function jobOf(value: unknown, options: JobOptions): object {
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw usageError('The file must hold a JSON object: a job, or with --kind its params.')
  const isJob = 'kind' in value && 'params' in value
  if (options.kind !== undefined && isJob)
    throw usageError('The file holds a whole job with its kind: leave out --kind.')
  if (options.kind === undefined && !isJob && looksLikeBacktest.every((name) => name in value))
    throw usageError('The file looks like a backtest spec, not like a whole job: add --kind backtest.')
  const job: Record<string, unknown> =
    options.kind === undefined ? { ...value } : { kind: options.kind, params: value }
  if (options.name !== undefined) job['name'] = options.name
  if (options.label !== undefined) job['labels'] = { ...(job['labels'] as object), ...options.label }
  return job
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw usageError(`${nameOf(file)} is not valid JSON: ${oneLine((error as Error).message)}`)
  }
}

const nameOf = (file: string) => (file === '-' ? 'Standard input' : file)

/** The text of a file; "-" is standard input. Throws CliError. */
export async function readInput(io: Io, file: string): Promise<string> {
  const parts: Uint8Array[] = []
  let bytes = 0
  try {
    for await (const part of file === '-' ? io.stdin : createReadStream(resolve(io.cwd, file))) {
      parts.push(part as Uint8Array)
      bytes += (part as Uint8Array).byteLength
      if (bytes > maxInput_bytes) throw usageError(`${nameOf(file)} is larger than ${maxInput_bytes} bytes.`)
    }
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw usageError(`${file} does not exist.`)
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') throw usageError(`${nameOf(file)} is not UTF-8 text.`)
    if (error instanceof CliError) throw error
    throw clientError(`${nameOf(file)} cannot be read: ${(error as Error).message}`, error)
  }
}
