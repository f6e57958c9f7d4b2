// Bodies are bounded before they are parsed: in bytes, in depth, and to characters that can be stored.
import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../jobs/errors.ts'
import { streamOf } from '../jobs/stream.ts'
import type { Env } from './_env.ts'

/** A job with a strategy of thousands of lines fits. */
export const maxJson_bytes = 1024 ** 2
/** A thousand jobs of 8 KiB each, several times what one usually is. */
const maxBatch_bytes = 8 * 1024 ** 2
const batch = '/v1/jobs/batch'
/** Deeper than any spec; shallow enough for every recursive reader behind us. */
const maxDepth = 32
const maxNodes = 200_000
const maxBatchNodes = 1_000_000
/** Names in one object: labels, variables, settings of a library. A thousand is more than any of them has. */
const maxNames = 1_000
/** Characters of a name. */
const maxName = 1_000
/** The largest body arrives in that time at half a megabit a second; who takes longer holds a place for nothing. */
const body_ms = 120_000

/** Reads a JSON body within bounds and leaves its text for the validator. */
export function boundedJson(
  max_bytes: number,
  text_from: 'client' | 'program' = 'client',
  within_ms = body_ms,
): MiddlewareHandler<Env> {
  return async (c, next) => {
    if (!hasBody(c)) return next()
    const isBatch = c.req.path === batch
    const sent = await inTime(readText(c, isBatch ? maxBatch_bytes : max_bytes), within_ms)
    c.req.bodyCache.text = Promise.resolve(sent) as never
    // An order like POST .../cancel has no body, whatever its Content-Type says.
    if (sent === '') return next()
    const type = c.req.header('content-type') ?? ''
    if (!/^application\/([\w.+-]+\+)?json\b/i.test(type))
      throw new AppError('unsupported_media_type', 'Send the body as "Content-Type: application/json".')
    const text = text_from === 'program' ? storable(sent) : sent
    const value = parse(text)
    // In a batch what cannot be stored is a problem of its own job.
    const isClients = text_from === 'client'
    checkJson(value, isBatch ? wholeBatch : isClients ? clientsBody : wholeBody)
    c.req.bodyCache.text = Promise.resolve(text) as never
    return next()
  }
}

// A length is looked for first: asking for the stream makes one, which costs more than a small body.
const hasBody = (c: Context<Env>) =>
  ['POST', 'PUT', 'PATCH'].includes(c.req.method) &&
  (c.req.header('content-length') !== undefined || c.req.raw.body !== null)

async function inTime<Value>(reading: Promise<Value>, within_ms: number): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = () => reject(new AppError('too_slow', `The body must arrive within ${within_ms} ms.`))
  const timer = setTimeout(late, within_ms)
  return Promise.race([reading, promise]).finally(() => clearTimeout(timer))
}

async function readText(c: Context<Env>, max_bytes: number): Promise<string> {
  const tooLarge = () => new AppError('body_too_large', `The body may have at most ${max_bytes} bytes.`)
  const declared = c.req.header('content-length')
  if (Number(declared ?? 0) > max_bytes) throw tooLarge()
  // No more than was declared arrives.
  const bytes =
    declared === undefined
      ? await readStream(bodyOf(c), max_bytes, tooLarge)
      : new Uint8Array(await c.req.raw.arrayBuffer().catch(brokeOff))
  if (bytes.byteLength > max_bytes) throw tooLarge()
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new AppError('malformed_json', 'The body is not valid UTF-8.', { cause })
  }
}
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The body as it comes. */
export const bodyOf = (c: Context<Env>): ReadableStream<Uint8Array> => streamOf(piecesOf(c.req.raw.body))

async function* piecesOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  try {
    if (body) yield* body
  } catch (cause) {
    brokeOff(cause)
  }
}

/** What Node says then looks like a connection to the database that broke. */
function brokeOff(cause: unknown): never {
  throw new AppError('malformed_request', 'The body broke off before its end.', { cause })
}

async function readStream(
  body: ReadableStream<Uint8Array>,
  max_bytes: number,
  tooLarge: () => AppError,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > max_bytes) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : 'not valid'
    throw new AppError('malformed_json', `The body is not valid JSON: ${detail.slice(0, 200)}`, { cause })
  }
}

// What a program printed is kept, with a mark where it cannot be stored; what a client sends is refused.
function storable(text: string): string {
  if (!/\\u(0000|d[89a-f])/i.test(text)) return text
  const clean = (_: string, value: unknown) =>
    typeof value === 'string' ? value.replaceAll('\0', '\uFFFD').toWellFormed() : value
  return JSON.stringify(parse(text), clean)
}

interface BodyBounds {
  nodes: number
  /** Of one object. */
  names: number
  storable: boolean
}
/** What a program reports is its own: it may have as many names as values. */
const wholeBody: BodyBounds = { nodes: maxNodes, names: maxNodes, storable: true }
export const clientsBody: BodyBounds = { ...wholeBody, names: maxNames }
/** Its jobs are looked at one by one. */
const wholeBatch: BodyBounds = { nodes: maxBatchNodes, names: maxBatchNodes, storable: false }

/**
 * Refuses what is too deep or has too many values, and, where `storable`, what PostgreSQL does not store: NUL and half
 * a surrogate pair, which are mistakes wherever they come from. Throws AppError.
 */
export function checkJson(root: unknown, bounds = wholeBody): void {
  const stack: { value: unknown; path: string; depth: number }[] = [{ value: root, path: '', depth: 0 }]
  for (let nodes = 0, item = stack.pop(); item; nodes++, item = stack.pop()) {
    const { value, path, depth } = item
    if (nodes > bounds.nodes)
      throw new AppError('body_too_large', `The body may have at most ${bounds.nodes} values.`)
    if (bounds.storable && typeof value === 'string') checkText(value, path)
    if (bounds.storable && typeof value === 'number' && !Number.isFinite(value))
      refuse(path, 'is too large for a number')
    if (value === null || typeof value !== 'object') continue
    if (depth >= maxDepth) refuse(path, `is nested deeper than ${maxDepth} levels`)
    if (!Array.isArray(value)) checkNames(Object.keys(value), path, bounds)
    for (const [name, each] of Object.entries(value)) {
      const below = path === '' ? name : `${path}.${name}`
      stack.push({ value: each, path: below, depth: depth + 1 })
    }
  }
}

function checkNames(names: readonly string[], path: string, bounds: BodyBounds): void {
  // Readers of objects pass it over, and what was asked for under it would be left out without a word.
  if (names.includes('__proto__')) refuse(path, 'has the name "__proto__", which is not allowed')
  if (bounds.storable) for (const name of names) checkText(name, path)
  if (names.length > bounds.names) refuse(path, `has more than ${bounds.names} names`)
  if (bounds.names <= maxNames && names.some((name) => name.length > maxName))
    refuse(path, `has a name of more than ${maxName} characters`)
}

function checkText(text: string, path: string) {
  if (text.includes('\0')) refuse(path, 'holds a NUL character')
  if (!text.isWellFormed()) refuse(path, 'holds half a surrogate pair')
}

function refuse(path: string, message: string): never {
  const shown = path.slice(0, 200)
  throw new AppError('invalid_request', `${shown} ${message}`.trim(), { errors: [{ path: shown, message }] })
}
