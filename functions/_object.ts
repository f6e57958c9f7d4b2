// Stored bytes as an answer: by an address at the store where it has one, else streamed, whole or in a range.
import type { Context } from 'hono'
import type { ObjectStore } from '../jobs/deps.ts'
import { octets } from './_schemas.ts'

/** What a route answers that sends an object. */
export const objectAnswers = {
  200: octets('Its bytes'),
  206: octets('Those that were asked for by Range'),
  307: {
    description:
      'Where they are, for some minutes: follow it without the bearer, with the same Range. Only where the server keeps objects in an S3-compatible store.',
  },
  416: { description: 'The range begins behind its end' },
} as const

export interface StoredObject {
  object_key: string
  bytes: number
  name: string
  content_type?: string
}

interface Sending {
  /** Whether the store may give the bytes itself. */
  redirect?: boolean
  /** Of an answer with bytes. */
  headers?: Record<string, string>
}

/** null: the store has no such object. */
export async function sendObject(
  c: Context,
  store: ObjectStore,
  object: StoredObject,
  { redirect = true, headers: own = {} }: Sending = {},
): Promise<Response | null> {
  const { object_key, bytes, name, content_type = 'application/octet-stream' } = object
  const headers = { 'Content-Type': content_type, 'Accept-Ranges': 'bytes', ...own }
  // An address is signed for one method; HEAD is answered from what is known.
  if (c.req.method === 'HEAD') return c.body(null, 200, { ...headers, 'Content-Length': String(bytes) })
  const file = name.slice(name.lastIndexOf('/') + 1)
  const location = redirect ? await store.link(object_key, { name: file, content_type }) : null
  // Whoever has the address has the bytes: no cache keeps it.
  if (location !== null) return c.body(null, 307, { Location: location, 'Cache-Control': 'no-store' })
  const range = rangeOf(c.req.header('range'), c.req.header('if-range'), own['ETag'], bytes)
  if (range === 'behind') return c.body(null, 416, { 'Content-Range': `bytes */${bytes}` })
  const found = await store.get(object_key, range ?? undefined)
  if (found === null) return null
  if (range === null) return c.body(found.body, 200, { ...headers, 'Content-Length': String(bytes) })
  return c.body(found.body, 206, {
    ...headers,
    'Content-Length': String(range.end - range.start),
    'Content-Range': `bytes ${range.start}-${range.end - 1}/${bytes}`,
  })
}

/** One range of bytes (RFC 9110, 14); null: the whole, which is also what an unknown range comes to. */
function rangeOf(
  range: string | undefined,
  if_range: string | undefined,
  etag: string | undefined,
  bytes: number,
): { start: number; end: number } | 'behind' | null {
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(range ?? '') ?? []
  if (first === undefined || last === undefined || `${first}${last}` === '') return null
  if (if_range !== undefined && if_range !== etag) return null
  const start = first === '' ? Math.max(bytes - Number(last), 0) : Number(first)
  const end = first === '' || last === '' ? bytes : Math.min(Number(last) + 1, bytes)
  if (first !== '' && last !== '' && Number(last) < start) return null
  return start < end ? { start, end } : 'behind'
}
