// The server's socket: plain, or TLS 1.3 with a certificate that can be renewed while it serves.
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { serve } from '@hono/node-server'
import type { Log } from '../jobs/deps.ts'
import type { Config } from './config.ts'

/** Node's own 5 minutes would cut an upload: the largest artifact takes six hours at 3 MB/s. */
const upload_ms = 6 * 3_600_000

/** `env`: the socket of a request, which some guards look at. */
export type Fetch = (request: Request, env?: object) => Response | Promise<Response>

/** Throws with a message that says what to do. */
export async function listen(
  { host, port: wanted, tls }: Pick<Config, 'host' | 'port' | 'tls'>,
  fetch: Fetch,
  log: Log,
) {
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>()
  const where = { fetch, hostname: host, port: wanted }
  const bounds = { requestTimeout: upload_ms }
  const server = tls
    ? serve({ ...where, createServer, serverOptions: { ...bounds, ...readTls(tls) } }, resolve)
    : serve({ ...where, serverOptions: bounds }, resolve)
  if (tls) renewAtSignal(server as Server, tls, log)
  server.on('error', reject)
  try {
    const { port } = await promise
    const named = ['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host
    const authority = `${named.includes(':') ? `[${named}]` : named}:${port}`
    return { server, address: `${tls ? 'https' : 'http'}://${authority}` }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new Error(`port ${wanted} is in use: set BERTH_PORT to another, or stop what listens there`, {
        cause: error,
      })
    throw error
  }
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
