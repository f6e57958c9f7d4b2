// An edge function whatever its runtime: requests are answered by the app, and a trigger (a timer, a cron call, a queue) does the
// work behind it. Nothing is opened before it is needed, and what could not be opened is tried again.
import { newId } from '../../jobs/ids.ts'
import { problemBody } from '../../functions/_problem.ts'
import { type Base, compose, type Composed, openBase, type Runtime } from './compose.ts'
import { createConsoleLog } from './log.ts'
import type { Bindings } from './settings.ts'
import type { Bounds, Ticked, Ticker } from './tick.ts'

/** Who asks, as the runtime tells. */
export interface Who {
  /** null: it does not tell. */
  address: string | null
  /** Keeps the runtime from ending what is still to be done when the answer was given. */
  after: (work: Promise<unknown>) => void
}

export interface Edge {
  /** Throws where the settings, the database or its schema will not do. */
  open: (bindings: Bindings) => Promise<Composed>
  fetch: (bindings: Bindings, request: Request, who: Who) => Promise<Response>
  tick: (bindings: Bindings, bounds: Bounds) => Promise<Ticked>
  /** What was composed, if anything was. */
  close: () => Promise<void>
}

interface Opened extends Composed {
  /** Loaded with the first tick. */
  ticker: () => Promise<Ticker>
}

const retryAfter_s = 5
/** Runners speak often, and nothing of accounts and offers is asked for here. */
const ofRunners = '/v1/attempts/'

export function createEdge(runtime: Runtime): Edge {
  const opener = openerOf(runtime)
  return {
    open: opener.open,
    async fetch(bindings, request, who) {
      try {
        return await opener.within(bindings, (opened, close) =>
          answer(opened, runtime, { request, who, close }),
        )
      } catch (error) {
        return unable(error)
      }
    },
    tick: (bindings, bounds) =>
      opener.within(bindings, async ({ ticker }, close) => {
        const ticked = ticker().then(({ tick }) => tick(bounds))
        return ticked.finally(close)
      }),
    close: async () => (await opener.known())?.close(),
  }
}

/** Opened once. Where requests share no connection each makes its own try, by its own, and the first that succeeds is kept. */
function openerOf(runtime: Runtime) {
  let opened: Opened | null = null
  let opening: Promise<Opened> | null = null
  const openAlone = async (bindings: Bindings): Promise<Opened> => {
    const base = await openBase(bindings, runtime)
    try {
      return await base.database.within((close) => begin(base, runtime).finally(close))
    } catch (error) {
      await base.database.close()
      throw error
    }
  }
  const open = async (bindings: Bindings): Promise<Opened> => {
    if (opened) return opened
    opening ??= openAlone(bindings)
    try {
      return (opened = await opening)
    } catch (error) {
      opening = null
      throw error
    }
  }
  type Work<Result> = (opened: Opened, close: () => Promise<void>) => Promise<Result>
  const openWithin = async <Result>(bindings: Bindings, work: Work<Result>): Promise<Result> => {
    const base = await openBase(bindings, runtime)
    return base.database.within(async (close) => {
      const own = await begin(base, runtime).catch((error: unknown) =>
        close().then(() => Promise.reject(error)),
      )
      opened ??= own
      return work(own, close)
    })
  }
  return {
    open,
    known: async () => opened ?? opening,
    /** Does the work of one request. */
    async within<Result>(bindings: Bindings, work: Work<Result>): Promise<Result> {
      if (!opened && runtime.life === 'request') return openWithin(bindings, work)
      const known = await open(bindings)
      return known.database.within((close) => work(known, close))
    },
  }
}

async function begin(base: Base, runtime: Runtime): Promise<Opened> {
  const composed = await compose(base, runtime)
  let ticker: Ticker | null = null
  return {
    ...composed,
    async ticker() {
      const { createTicker } = await import('./tick.ts')
      return (ticker ??= createTicker(composed))
    },
  }
}

interface Asked {
  request: Request
  who: Who
  close: () => Promise<void>
}

async function answer(opened: Opened, { life }: Runtime, { request, who, close }: Asked): Promise<Response> {
  const { deps, fetch, freshen, settle } = opened
  const finish = async () => {
    await settle().catch(() => undefined)
    await close()
  }
  if (!new URL(request.url).pathname.startsWith(ofRunners)) await freshen().catch(toldBy(deps.log))
  const response = await fetch(request, { incoming: { socket: { remoteAddress: who.address ?? undefined } } })
  if (life !== 'request' || response.body === null) {
    who.after(finish())
    return response
  }
  // A stream reads on after it was answered with: its connection is closed when it has ended, or nobody reads it any more.
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  who.after(response.body.pipeTo(writable).then(finish, finish))
  return new Response(readable, response)
}

/** The route finds out by itself what the database cannot do. */
const toldBy = (log: Composed['deps']['log']) => (error: unknown) =>
  log('warn', 'what others have changed was not read', {
    error: error instanceof Error ? error.message : 'failed',
  })

/** What is wrong with the settings is for who reads the log. */
function unable(error: unknown): Response {
  const request_id = newId('req', new Date(), (bytes) => crypto.getRandomValues(new Uint8Array(bytes)))
  const log = createConsoleLog('error')
  log('error', 'the function cannot serve', {
    request_id,
    error: error instanceof Error ? error.message : 'failed',
  })
  const detail = 'This function cannot serve yet; the request id is in its log.'
  const body = problemBody({ code: 'busy', detail, errors: [] }, request_id)
  return new Response(JSON.stringify(body), {
    status: body.status,
    headers: { 'Content-Type': 'application/problem+json', 'Retry-After': String(retryAfter_s) },
  })
}
