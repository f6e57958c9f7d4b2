// Cloudflare Workers, and workerd on a machine of one's own: https://github.com/cloudflare/workerd
import { createEdge } from './edge.ts'
import { createRuntimeFetch } from './outbound.ts'
import type { Bindings } from './settings.ts'

/** A cron call of a minute may take fifteen minutes by the clock, and the next one comes in a minute. */
const tick = { rows: 500, ms: 40_000 }

const edge = createEdge({
  life: 'request',
  outbound: createRuntimeFetch,
  // Names are resolved by the network that it is given, at each call.
  resolve_target: async () => null,
})

// Its fetch knows no `redirect: 'error'`, by which keys are kept from going elsewhere, and must not be called as a method.
const own = globalThis.fetch
globalThis.fetch = async (input, init) => {
  if (init?.redirect !== 'error') return own(input, init)
  const response = await own(input, { ...init, redirect: 'manual' })
  if (response.status < 300 || response.status > 399 || response.status === 304) return response
  await response.body?.cancel()
  throw new TypeError('a redirect was refused')
}

interface Execution {
  waitUntil: (work: Promise<unknown>) => void
}
type Named = Bindings & { HYPERDRIVE?: { connectionString: string } }

/** Hyperdrive is Cloudflare's pooler: bound by this name, it is where the database is. */
const bindingsOf = ({ HYPERDRIVE, ...rest }: Named): Bindings => ({
  ...(HYPERDRIVE ? { BERTH_DATABASE_URL: HYPERDRIVE.connectionString } : {}),
  ...rest,
})

/** Cloudflare tells it, and lets no client say so; elsewhere it is a header like any other. */
const addressOf = (request: Request & { cf?: unknown }) =>
  request.cf === undefined ? null : request.headers.get('cf-connecting-ip')

// oxlint-disable-next-line import/no-default-export -- the runtime asks for it
export default {
  fetch: (request: Request, env: Named, context: Execution): Promise<Response> =>
    edge.fetch(bindingsOf(env), request, {
      address: addressOf(request),
      after: (work) => context.waitUntil(work),
    }),
  scheduled: async (_: unknown, env: Named): Promise<void> => {
    await edge.tick(bindingsOf(env), tick)
  },
}
