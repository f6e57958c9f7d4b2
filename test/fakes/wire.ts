// An HTTP server that a real SDK talks to and that lies on demand, as clouds and the proxies before them do.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Fault } from '../../providers/conformance/subject.ts'

export interface WireRequest {
  method: string
  path: string
  query: URLSearchParams
  headers: IncomingMessage['headers']
  body: string
}

export interface WireAnswer {
  status: number
  headers?: Record<string, string>
  body: string
  /** The answer goes on for ever: a stream of events. */
  stays_open?: true
}

/** Kinds of Fault that every server has in the same way; the others are the vendor's own answers. */
type WireFault = Extract<Fault, 'html' | 'malformed' | 'truncated' | 'reset' | 'hang'>
const isWireFault = (fault: Fault): fault is WireFault =>
  ['html', 'malformed', 'truncated', 'reset', 'hang'].includes(fault)

export interface Wire {
  url: string
  /** Requests so far. */
  count: () => number
  /** Matching requests are answered so until calm(); the first `after` of them as ever. */
  spoil: (match: (request: WireRequest) => boolean, fault: Fault, after?: number) => void
  calm: () => void
  /** The next matching request takes effect, and its connection breaks before the answer. */
  lose: (match: (request: WireRequest) => boolean) => void
  close: () => Promise<void>
}

export interface Vendor {
  answer: (request: WireRequest) => WireAnswer
  /** The vendor's own way to refuse; null: it has none. */
  refusal: (fault: Exclude<Fault, WireFault>, request: WireRequest) => WireAnswer | null
}

export async function serveWire(vendor: Vendor): Promise<Wire> {
  type Spoiled = { match: (request: WireRequest) => boolean; fault: Fault; after: number }
  let spoiled: Spoiled | null = null
  let lost: ((request: WireRequest) => boolean) | null = null
  let count = 0
  const server = createServer({ maxHeaderSize: 262_144, keepAliveTimeout: 1_000 }, (incoming, response) => {
    void read(incoming).then((request) => {
      count++
      const fault = spoiled?.match(request) && spoiled.after-- <= 0 ? spoiled.fault : null
      if (fault !== null) return spoil(vendor, fault, request, response)
      const answer = vendor.answer(request)
      if (!lost?.(request)) return send(response, answer)
      lost = null
      response.destroy()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => count,
    spoil: (match, fault, after = 0) => (spoiled = { match, fault, after }),
    calm: () => (spoiled = null),
    lose: (match) => (lost = match),
    async close() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
}

async function read(incoming: IncomingMessage): Promise<WireRequest> {
  const blocks: Buffer[] = []
  for await (const block of incoming as AsyncIterable<Buffer>) blocks.push(block)
  const { pathname, searchParams } = new URL(incoming.url ?? '/', 'http://fake')
  const { method = 'GET', headers } = incoming
  return { method, path: pathname, query: searchParams, headers, body: Buffer.concat(blocks).toString() }
}

function send(response: ServerResponse, { status, headers, body, stays_open }: WireAnswer): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  if (stays_open) response.write(body)
  else response.end(body)
}

const page = '<html><head><title>502 Bad Gateway</title></head><body><center>nginx</center></body></html>'

function spoil(vendor: Vendor, fault: Fault, request: WireRequest, response: ServerResponse): void {
  if (!isWireFault(fault)) {
    const refusal = vendor.refusal(fault, request)
    if (refusal === null) throw new Error(`this vendor does not answer ${fault}`)
    return send(response, refusal)
  }
  switch (fault) {
    case 'html':
      return send(response, { status: 502, headers: { 'content-type': 'text/html' }, body: page })
    // It took effect, and the answer cannot be read.
    case 'malformed': {
      vendor.answer(request)
      return send(response, { status: 200, body: 'OK' })
    }
    case 'truncated': {
      const { status, headers, body } = vendor.answer(request)
      response.writeHead(status, {
        'content-type': 'application/json',
        ...headers,
        'content-length': body.length + 20,
      })
      response.write(body.slice(0, body.length / 2), () => response.destroy())
      return
    }
    case 'reset':
      response.destroy()
      return
    case 'hang':
  }
}
