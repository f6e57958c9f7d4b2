// The server's socket: plain, or TLS 1.3 with a certificate that can be renewed while it serves.
import { readFileSync } from 'node:fs'
import { type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { createAdaptorServer } from '@hono/node-server'
import type { Log } from '../jobs/deps.ts'
import { type ProblemCode, problems } from '../jobs/errors.ts'
import type { Config } from './config.ts'
import { openDoors } from './doors.ts'

/** Node's own 5 minutes would cut an upload: the largest artifact takes six hours at 3 MB/s. */
const upload_ms = 6 * 3_600_000
/** Of a request's line and headers together: a token of 2 KiB, a long filter and what proxies add fit several times. */
const maxHeader_bytes = 16 * 1024
/** Headers are sent at once; who takes longer holds a connection for nothing. `check_ms`: how often it is looked for those who do. */
const patience = { headers_ms: 20_000, check_ms: 5_000 }
type Patience = typeof patience

/** `bindings`: the connection, by which it is known who asks. */
export type Fetch = (request: Request, bindings?: object) => Response | Promise<Response>

export interface Listening {
  address: string
  /** Takes no new connections; resolves when all have ended. */
  close: () => Promise<void>
  /** Ends those that are left. */
  cut: () => void
}

/** Throws with a message that says what to do. */
export async function listen(
  { host, port: wanted, tls }: Pick<Config, 'host' | 'port' | 'tls'>,
  fetch: Fetch,
  log: Log,
  { headers_ms, check_ms }: Patience = patience,
): Promise<Listening> {
  const bounds = {
    requestTimeout: upload_ms,
    maxHeaderSize: maxHeader_bytes,
    headersTimeout: headers_ms,
    connectionsCheckingInterval: check_ms,
  }
  const where = { fetch, hostname: host }
  const server = tls
    ? createAdaptorServer({ ...where, createServer, serverOptions: { ...bounds, ...readTls(tls) } })
    : createAdaptorServer({ ...where, serverOptions: bounds })
  if (tls) renewAtSignal(server as Server, tls, log)
  server.on('clientError', refuseConnection)
  const letGo = lettingGo(server as Server)
  try {
    const { at, close, cut } = await openDoors(server, { host, port: wanted, tls: tls !== null })
    const named = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
    const authority = `${named.includes(':') ? `[${named}]` : named}:${at.port}`
    return {
      address: `${tls ? 'https' : 'http'}://${authority}`,
      close() {
        letGo()
        return close()
      },
      cut,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new Error(`port ${wanted} is in use: set BERTH_PORT to another, or stop what listens there`, {
        cause: error,
      })
    throw error
  }
}

/**
 * Answers what says, from now on, that a connection ends with its answer. Who keeps one busy, as a balancer does, would else send request
 * after request, and be cut in the middle of one.
 */
function lettingGo(server: Server): () => void {
  const underWay = new Set<ServerResponse>()
  let isStopping = false
  const letGo = (answer: ServerResponse) => {
    if (!answer.headersSent) answer.setHeader('Connection', 'close')
  }
  server.prependListener('request', (_, answer) => {
    if (isStopping) return letGo(answer)
    underWay.add(answer)
    answer.once('close', () => underWay.delete(answer))
  })
  return () => {
    isStopping = true
    for (const answer of underWay) letGo(answer)
  }
}

/** What Node could not read as a request is answered as every other problem is, if nothing has been answered on its connection. */
function refuseConnection(error: NodeJS.ErrnoException, socket: Duplex): void {
  const [code, detail] = refusals[error.code ?? ''] ?? refusals.default
  const { status, title } = problems[code]
  const body = JSON.stringify({
    type: 'about:blank',
    title,
    status,
    detail,
    code,
    errors: [],
    request_id: '',
  })
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ]
  const { _httpMessage: answered } = socket as { _httpMessage?: { headersSent: boolean } | null }
  if (socket.writable && !answered?.headersSent) socket.write(`${head.join('\r\n')}\r\n\r\n${body}`)
  socket.destroy(error.code === 'ECONNRESET' ? undefined : error)
}

const refusals: Record<string, [ProblemCode, string]> & { default: [ProblemCode, string] } = {
  HPE_HEADER_OVERFLOW: [
    'headers_too_large',
    `The line and headers of a request may have at most ${maxHeader_bytes} bytes together.`,
  ],
  ERR_HTTP_REQUEST_TIMEOUT: [
    'too_slow',
    `The headers of a request must arrive within ${patience.headers_ms / 1_000} seconds, the body within six hours.`,
  ],
  default: ['malformed_request', 'This is no request of HTTP/1.1.'],
}

type Files = NonNullable<Config['tls']>

function readTls({ cert, key }: Files) {
  return { cert: readFileSync(cert), key: readFileSync(key), minVersion: 'TLSv1.3' as const }
}

/** Certificates are renewed every few weeks; a new one that cannot be used leaves the old one. */
function renewAtSignal(server: Server, files: Files, log: Log): void {
  const renew = () => {
    try {
      server.setSecureContext(readTls(files))
      log('info', 'the certificate was read again')
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown'
      log('error', 'the new certificate cannot be used: the old one is', { error: code })
    }
  }
  process.on('SIGHUP', renew)
  server.on('close', () => process.off('SIGHUP', renew))
}
