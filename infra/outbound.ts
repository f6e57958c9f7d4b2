// Calls to addresses that tenants choose (webhooks), safe against server-side request forgery: what is
// connected to is exactly the address that was checked, so a name that changes its answer gains nothing.
import { lookup as resolveByDns } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import type { Client } from './outbound-client.ts'
import {
  type Address,
  checkTarget,
  hostOf,
  isAllowed,
  OutboundError,
  type OutboundOptions,
  privateName,
  readBounded,
  toOutboundError,
} from './targets.ts'

/**
 * A fetch that follows no redirect (a 3xx is returned), uses no proxy and no kept connection, and whose
 * answer is complete when it resolves, cut at 64 KiB.
 * @throws OutboundError
 */
export function createOutboundFetch(options: OutboundOptions): typeof fetch {
  const { allow_private, timeout_ms, resolve = resolveAll } = options
  const connect = { lookup: createLookup(resolve, allow_private), timeout: timeout_ms }
  // Loaded with the first call: a function that starts has an answer to give first.
  let opened: Promise<Client> | null = null
  const open = () => (opened ??= import('./outbound-client.ts').then(({ openClient }) => openClient(connect)))
  return async (input, init) => {
    const url = input instanceof Request ? input.url : String(input)
    const reason = checkTarget(url, { allow_private })
    if (reason !== null) throw new OutboundError('refused', reason)
    const request = new Request(input, init)
    const signal = AbortSignal.any([request.signal, AbortSignal.timeout(timeout_ms)])
    try {
      const { send, dispatcher } = await open()
      const answer = await send(url, {
        method: request.method,
        headers: [...request.headers],
        body: request.body === null ? null : new Uint8Array(await request.arrayBuffer()),
        redirect: 'manual',
        signal,
        dispatcher,
      })
      const body = await readBounded(answer.body as ReadableStream<Uint8Array> | null)
      return new Response(body, {
        status: answer.status,
        statusText: answer.statusText,
        headers: [...answer.headers],
      })
    } catch (error) {
      throw toOutboundError(error, timeout_ms)
    }
  }
}

/**
 * Whether what the name of an allowed URL leads to now may be called. A name without an answer is no reason: it may have
 * one later, and is checked at every call.
 */
export async function resolveTarget(
  text: string,
  options: Omit<OutboundOptions, 'timeout_ms'>,
): Promise<string | null> {
  const { allow_private, resolve = resolveAll } = options
  const url = URL.parse(text)
  if (url === null || isIP(hostOf(url.hostname)) !== 0) return null
  const addresses = await within(registration_ms, resolve(url.hostname)).catch(() => [])
  return addresses.every(({ address }) => isAllowed(address, allow_private)) ? null : privateName
}

/** Who registers a target waits for the resolver this long. */
const registration_ms = 3_000
async function within<Value>(ms: number, work: Promise<Value>): Promise<Value> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new Error('too late')), ms)
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer))
}

// A custom lookup is not called for an address literal: checkTarget has seen those.
function createLookup(
  resolve: (hostname: string) => Promise<Address[]>,
  allow_private: boolean,
): LookupFunction {
  return (hostname, { all }, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses
        if (first === undefined) return callback(new OutboundError('failed', 'the name has no address'), '')
        // One bad address refuses them all: which one is connected to is not ours to choose.
        if (!addresses.every(({ address }) => isAllowed(address, allow_private))) {
          return callback(new OutboundError('refused', privateName), '')
        }
        return all ? callback(null, addresses) : callback(null, first.address, first.family)
      },
      (error: unknown) => callback(error as Error, ''),
    )
  }
}

async function resolveAll(hostname: string): Promise<Address[]> {
  return await resolveByDns(hostname, { all: true })
}
