// The HTTP API of Nomad: one place where requests are made, bounded and refused.
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

export interface Connection {
  /** `https://nomad.example.com:4646` */
  url: string
  /** ACL token with read-job, submit-job and read-logs in the namespace, and node:read. */
  token: string
  namespace: string
  fetch: typeof fetch
  /** A cluster answers in milliseconds; one that elects a leader in seconds. */
  call_ms?: number
}

/** A thousand allocations with their events are about 10 MB. */
const body_most = 64 * 1024 ** 2
/** Of a list; more would be an endless one. */
const pages_most = 1_000

export async function listOf<Item>(
  connection: Connection,
  path: string,
  signal: AbortSignal,
): Promise<Item[]> {
  const items: Item[] = []
  let next: string | null = null
  for (let page = 0; page < pages_most; page++) {
    const from: string =
      next === null ? path : `${path}${path.includes('?') ? '&' : '?'}next_token=${encodeURIComponent(next)}`
    const { text, response } = await call(connection, 'GET', from, signal)
    items.push(...parse<Item[]>(text, path))
    next = response.headers.get('x-nomad-nexttoken')
    if (next === null) return items
  }
  throw failure('unavailable', 'a list without an end')
}

type Accepted = 'exists' | 'not_found' | 'rejected'

/** Its text; errors are typed here and nowhere else. `accepted`: refusals that are an answer to this call. */
export async function call(
  connection: Connection,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  signal: AbortSignal,
  body?: object,
  accepted: readonly Accepted[] = [],
): Promise<{ text: string; response: Response }> {
  // Without an answer that can be read nobody knows whether a change took effect.
  const lost = method === 'GET' ? 'unavailable' : 'unknown_outcome'
  const what = `${method} ${path.split('?')[0]}`
  const url = new URL(`/v1/${path}`, connection.url)
  url.searchParams.set('namespace', connection.namespace)
  const headers = { 'x-nomad-token': connection.token, 'content-type': 'application/json' }
  const bound = AbortSignal.any([signal, AbortSignal.timeout(connection.call_ms ?? 20_000)])
  let response: Response
  let text: string
  try {
    const init = {
      method,
      headers,
      signal: bound,
      redirect: 'error',
      ...(body && { body: JSON.stringify(body) }),
    } as const
    response = await connection.fetch(url, init)
    text = await textOf(response)
  } catch (error) {
    // Not as its cause: what fetch throws may show what was sent.
    throw failure(lost, `${what} was not answered (${(error as Error).name})`)
  }
  if (response.ok && method !== 'GET') parse(text, what, lost)
  if (response.ok) return { text, response }
  const refusal = refusalOf(response.status, text)
  if (accepted.some((each) => each === refusal)) return { text, response }
  // Nomad repeats parts of the job in its messages, so they are not shown.
  throw failure(refusal === 'exists' || refusal === null ? lost : refusal, `${what}: HTTP ${response.status}`)
}

/** null: nothing is known. https://developer.hashicorp.com/nomad/api-docs#http-response-codes */
function refusalOf(
  status: number,
  text: string,
): Exclude<ProviderErrorCode, 'unknown_outcome'> | 'exists' | null {
  if (status === 500 && text.startsWith('Enforcing job modify index 0: job already exists')) return 'exists'
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 404) return 'not_found'
  if (status === 429) return 'throttled'
  return status >= 400 && status < 500 ? 'rejected' : null
}

function parse<Value>(text: string, what: string, code: ProviderErrorCode = 'unavailable'): Value {
  try {
    return JSON.parse(text) as Value
  } catch {
    throw failure(code, `${what}: the answer is not JSON`)
  }
}

async function textOf(response: Response): Promise<string> {
  const blocks: Uint8Array[] = []
  let bytes = 0
  for await (const block of response.body ?? []) {
    bytes += block.length
    if (bytes > body_most) throw new Error('the answer is too long')
    blocks.push(block)
  }
  return Buffer.concat(blocks).toString()
}

const failure = (code: ProviderErrorCode, detail: string) =>
  new ProviderError(code, { provider: 'nomad', detail })
