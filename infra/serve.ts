// The server on Node: from its configuration until it is told to stop.
import { flushCompileCache } from 'node:module'
import { createApp } from '../functions/_app.ts'
import type { Provider } from '../providers/provider.ts'
import { compose } from './compose.ts'
import type { Config } from './config.ts'
import { withConsole } from './console.ts'
import { healthOf } from './health-only.ts'
import { listen } from './listen.ts'

/** Requests in flight have this long to end when the server is told to stop. */
const drain_ms = 5_000

/** Serves until it is told to stop; `accounts` are places to run besides those that the configuration names. */
export async function main(config: Config, accounts: readonly Provider[] = []): Promise<void> {
  const berth = await compose(config, accounts)
  const app = createApp(berth.deps)
  const { address, close, cut } = await listen(
    config,
    config.roles.includes('api') ? await withConsole(app.fetch, config) : healthOf(app.fetch),
    berth.deps.log,
  )
  const loops = await berth.start(address)
  if (berth.made_admin_key) console.log(`The admin key is in ${config.admin_key_file}`)
  console.log(`Berth is ready at ${address}`)
  // A process that is killed writes nothing at its end.
  flushCompileCache()
  const { promise: told, resolve } = Promise.withResolvers<void>()
  process.once('SIGTERM', () => resolve())
  process.once('SIGINT', () => resolve())
  await told
  const closed = close()
  const drained = setTimeout(cut, drain_ms)
  await loops.stop()
  await closed
  clearTimeout(drained)
  await berth.close()
}
