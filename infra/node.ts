// `npm start`: the server on Node.
import { serve } from '@hono/node-server'
import type { AddressInfo } from 'node:net'
import { createApp } from '../functions/_app.ts'
import type { Provider } from '../providers/provider.ts'
import { compose } from './compose.ts'
import { type Config, loadConfig } from './config.ts'
import { withConsole } from './console.ts'

/** Requests in flight have this long to end when the server is told to stop. */
const drain_ms = 5_000

/** Serves until it is told to stop; `accounts` are places to run besides those that the configuration names. */
export async function main(config: Config, accounts: readonly Provider[] = []): Promise<void> {
  const berth = await compose(config, accounts)
  const app = createApp(berth.deps)
  const { server, address } = await listen(
    config,
    config.roles.includes('api') ? await withConsole(app.fetch) : healthOf(app.fetch),
  )
  const loops = await berth.start(address)
  if (berth.made_admin_key) console.log(`The admin key is in ${config.admin_key_file}`)
  console.log(`Berth is ready at ${address}`)
  const { promise: told, resolve } = Promise.withResolvers<void>()
  process.once('SIGTERM', () => resolve())
  process.once('SIGINT', () => resolve())
  await told
  const closed = new Promise((done) => server.close(done))
  const cut = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), drain_ms)
  await loops.stop()
  await closed
  clearTimeout(cut)
  await berth.close()
}

/** A server without the role `api` answers only whether it is well. */
function healthOf(fetch: Fetch): Fetch {
  return (request) =>
    /^\/(healthz|readyz)$/.test(new URL(request.url).pathname)
      ? fetch(request)
      : new Response(null, { status: 404 })
}

/** Node's own 5 minutes would cut an upload: the largest artifact takes six hours at 3 MB/s. */
const upload_ms = 6 * 3_600_000

type Fetch = (request: Request, env?: object) => Response | Promise<Response>

async function listen(config: Config, fetch: Fetch) {
  const { promise, resolve, reject } = Promise.withResolvers<AddressInfo>()
  const serverOptions = { requestTimeout: upload_ms }
  const server = serve({ fetch, hostname: config.host, port: config.port, serverOptions }, resolve)
  server.on('error', reject)
  try {
    const { port } = await promise
    const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host
    return { server, address: `http://${host.includes(':') ? `[${host}]` : host}:${port}` }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE')
      throw new Error(
        `port ${config.port} is in use: set BERTH_PORT to another, or stop what listens there`,
        { cause: error },
      )
    throw error
  }
}

if (import.meta.main) {
  try {
    await main(loadConfig())
    process.exit(0)
  } catch (error) {
    console.error(`berth: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
