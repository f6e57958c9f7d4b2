// A cloud account over HTTP: kept by one process, called by any number, so that what was launched is counted
// outside of every server and outlives them all.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ProviderError, type ProviderErrorCode } from '../../providers/errors.ts'
import type {
  Found,
  Handle,
  LaunchRequest,
  Observation,
  Offer,
  Provider,
  ProviderTraits,
  Ref,
} from '../../providers/provider.ts'

/** More than any call of these accounts may take. */
const call_ms = 60_000
/** An inspect of hundreds of attempts with their whole requests is below this. */
const body_bytes = 16 * 1024 ** 2

export interface ServedClouds {
  url: string
  close: () => Promise<void>
}

/** Answers the calls of every account at an address of its own. */
export async function serveClouds(providers: readonly Provider[]): Promise<ServedClouds> {
  const server = createServer((request, response) => {
    serve(providers, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

async function serve(
  providers: readonly Provider[],
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const blocks: Buffer[] = []
  let bytes = 0
  for await (const block of request as AsyncIterable<Buffer>) {
    bytes += block.length
    if (bytes > body_bytes) return void response.writeHead(413).end()
    blocks.push(block)
  }
  const [, name, call = ''] = (request.url ?? '').split('/')
  const provider = providers.find((each) => each.name === name)
  const answer = provider
    ? await answerOf(provider, call, JSON.parse(Buffer.concat(blocks).toString() || 'null'))
    : { value: providers.map((each) => ({ name: each.name, account: each.account, traits: each.traits })) }
  response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
}

type Answer = { value: unknown } | { failed: { code: ProviderErrorCode; detail: string } }

async function answerOf(provider: Provider, call: string, body: unknown): Promise<Answer> {
  // A server that dies takes back nothing of what it has asked for.
  const signal = AbortSignal.timeout(call_ms)
  try {
    return { value: await carryOut(provider, call, body, signal) }
  } catch (error) {
    if (!(error instanceof ProviderError)) throw error
    return { failed: { code: error.code, detail: error.detail } }
  }
}

async function carryOut(provider: Provider, call: string, body: unknown, signal: AbortSignal) {
  if (call === 'offers') return provider.offers(signal)
  if (call === 'launch') {
    const { request, token } = body as { request: LaunchRequest; token: string }
    return provider.launch(request, { token }, signal)
  }
  if (call === 'inspect') return provider.inspect(body as Ref[], signal)
  if (call === 'stop') return (await provider.stop(body as Ref, signal)) ?? null
  if (call === 'list') return listed(provider, signal)
  throw new Error(`no cloud answers ${call}`)
}

async function listed(provider: Provider, signal: AbortSignal): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of provider.list(signal)) found.push(each)
  return found
}

/** The accounts that are served at an address, as a server is given them. */
export async function connectClouds(url: string): Promise<Provider[]> {
  const answer = (await (await fetch(url)).json()) as { value: Account[] }
  return answer.value.map((account) => connect(url, account))
}

interface Account {
  name: string
  account: string
  traits: ProviderTraits
}

function connect(url: string, { name, account, traits }: Account): Provider {
  const ask = async <Value>(call: string, body: unknown, signal: AbortSignal): Promise<Value> => {
    // Without an answer nobody knows whether a mutating call took effect.
    const lost = call === 'launch' || call === 'stop' ? 'unknown_outcome' : 'unavailable'
    let answer: { value: Value } | { failed: { code: ProviderErrorCode; detail: string } }
    try {
      const init = { method: 'POST', body: JSON.stringify(body), signal }
      answer = (await (await fetch(`${url}/${name}/${call}`, init)).json()) as typeof answer
    } catch (cause) {
      throw new ProviderError(lost, { provider: name, detail: `${call} was not answered`, cause })
    }
    if ('failed' in answer) throw new ProviderError(answer.failed.code, { provider: name, ...answer.failed })
    return answer.value
  }
  return {
    name,
    account,
    traits,
    check: () => Promise.resolve([]),
    offers: (signal) => ask<Offer[]>('offers', null, signal),
    launch: (request, { token }, signal) => ask<Handle>('launch', { request, token }, signal),
    inspect: (refs, signal) => ask<Observation[]>('inspect', refs, signal),
    stop: (ref, signal) => ask('stop', ref, signal),
    async *list(signal) {
      yield* await ask<Found[]>('list', null, signal)
    },
  }
}
