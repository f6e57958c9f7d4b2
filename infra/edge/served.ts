// A program that lives long: the work behind the API goes on by itself, in bounded calls one after the other.
import { topics } from '../../jobs/deps.ts'
import { environment } from '../config.ts'
import { createOutboundFetch, resolveTarget } from '../outbound.ts'
import { createEdge, type Who } from './edge.ts'

/** Of one call; the next one follows at once where there is more. */
const tick = { rows: 5_000, ms: 5_000 }
/** Without a nudge the work is looked at this often, as on Node. */
const poll_ms = 1_000
/** Requests in flight have this long to end when the program is told to stop. */
const drain_ms = 5_000

export interface Socket {
  address: string
  /** Resolves when what was asked has been answered; `cut` closes what has not. */
  close: () => Promise<unknown>
  cut: () => void
}
type Answer = (request: Request, address: string | null) => Promise<Response>

/** `listen`: the runtime's own server, on BERTH_HOST and BERTH_PORT. Serves until it is told to stop. */
export async function serve(
  listen: (where: { hostname: string; port: number }, answer: Answer) => Promise<Socket>,
): Promise<void> {
  const edge = createEdge({
    life: 'process',
    outbound: createOutboundFetch,
    resolve_target: resolveTarget,
  })
  const after: Who['after'] = () => undefined
  const env = environment()
  const { promise: told, resolve } = Promise.withResolvers<void>()
  process.once('SIGTERM', () => resolve())
  process.once('SIGINT', () => resolve())
  const opened = await edge.open(env)
  const { config, deps } = opened
  const where = { hostname: config.host, port: config.port }
  const socket = await listen(where, (request, address) => edge.fetch(env, request, { address, after }))
  console.log(`Berth is ready at ${socket.address}`)
  const ended = new AbortController()
  const working = work()
  await told
  ended.abort()
  const cut = setTimeout(socket.cut, drain_ms)
  await Promise.all([working, socket.close()])
  clearTimeout(cut)
  await edge.close()
  process.exit(0)

  async function work(): Promise<void> {
    while (!ended.signal.aborted) {
      await edge.tick(env, tick).catch((error: unknown) =>
        deps.log('error', 'the work behind the API failed', {
          error: error instanceof Error ? (error.stack ?? error.message) : String(error),
        }),
      )
      await deps.waker.wait(topics.pass, poll_ms, ended.signal)
    }
  }
}

/** Ends with a message that says what to do. */
export async function main(listen: Parameters<typeof serve>[0]): Promise<void> {
  try {
    await serve(listen)
  } catch (error) {
    console.error(`berth: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
