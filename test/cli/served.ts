// The real API behind a real socket, with faults on demand, and the client run against it in this process.
import { mkdtempSync, rmSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable, Writable } from 'node:stream'
import { type Http2Bindings, type HttpBindings, serve } from '@hono/node-server'
import type { Io } from '../../cli/io.ts'
import { run } from '../../cli/run.ts'
import { patience_ms } from '../support/patience.ts'
import { backtest, openTestWorld } from '../support/world.ts'

export interface Wire {
  request: Request
  /** Breaks the connection. */
  cut: () => void
  /** What the API answers; the request has then been carried out. */
  answer: () => Promise<Response>
}
/** Stands between client and API; null: nothing special. */
export type Fault = (wire: Wire) => Promise<Response | null> | Response | null

export interface Options {
  env?: Record<string, string>
  stdin?: string
  tty?: boolean
  columns?: number
  interrupted?: AbortSignal
  /** Filled while the client runs. */
  live?: { stderr: string; stdout?: string }
}

export interface Outcome {
  code: number
  stdout: string
  stderr: string
}

export type Served = Awaited<ReturnType<typeof openServed>>

export async function openServed() {
  const world = await openTestWorld()
  const folder = mkdtempSync(join(tmpdir(), 'berth-cli-'))
  // Requests that wait on the server do so by the world's clock.
  const ticker = setInterval(() => world.advance(0.02), 20)
  const faults: Fault[] = []
  const seen: Request[] = []
  const { promise, resolve } = Promise.withResolvers<AddressInfo>()
  const server = serve(
    {
      port: 0,
      hostname: '127.0.0.1',
      fetch: async (request: Request, bindings: HttpBindings | Http2Bindings) => {
        seen.push(request)
        const wire = {
          request,
          cut: () => (bindings.incoming as IncomingMessage).socket.destroy(),
          answer: async () => world.app.fetch(request),
        }
        for (const fault of faults) {
          const answer = await fault(wire)
          if (answer) return answer
        }
        return wire.answer()
      },
    },
    resolve,
  )
  const { port } = await promise
  const url = `http://127.0.0.1:${port}`
  return {
    world,
    url,
    folder,
    /** Requests in the order they came. */
    seen,
    fault: (fault: Fault) => void faults.push(fault),
    env: { BERTH_URL: url, BERTH_API_KEY: world.key },
    /** Runs the client to its end. */
    cli: (argv: string[], options: Options = {}) =>
      runCli(argv, { ...options, env: { BERTH_URL: url, BERTH_API_KEY: world.key, ...options.env } }, folder),
    async submitted(more: object = {}): Promise<string> {
      const answer = await world.request('POST', '/v1/jobs', { body: backtest({ ...more }) })
      return ((await answer.json()) as { id: string }).id
    },
    async [Symbol.asyncDispose]() {
      clearInterval(ticker)
      const closed = new Promise((done) => server.close(done))
      if ('closeAllConnections' in server) server.closeAllConnections()
      await closed
      rmSync(folder, { recursive: true, force: true })
      await world[Symbol.asyncDispose]()
    },
  }
}

export async function runCli(argv: string[], options: Options = {}, cwd = tmpdir()): Promise<Outcome> {
  const out = collector(
    options,
    (text) => options.live && (options.live.stdout = (options.live.stdout ?? '') + text),
  )
  const err = collector(options, (text) => options.live && (options.live.stderr += text))
  const io: Io = {
    // What somebody has logged in to is not of a test.
    env: { HOME: cwd, ...options.env },
    cwd,
    stdin: Readable.from([Buffer.from(options.stdin ?? '')]),
    stdout: out.stream,
    stderr: err.stream,
    interrupted: options.interrupted ?? new AbortController().signal,
    fetch,
  }
  const code = await run(argv, io)
  return { code, stdout: out.text(), stderr: err.text() }
}

function collector({ tty = false, columns = 100 }: Options, seen: (text: string) => void) {
  const parts: string[] = []
  const stream = new Writable({
    decodeStrings: false,
    write(part: string | Uint8Array, _encoding, done) {
      parts.push(String(part))
      seen(String(part))
      done()
    },
  })
  return {
    stream: Object.assign(stream, tty ? { isTTY: true, columns } : {}),
    text: () => parts.join(''),
  }
}

/** Launches the newest waiting job and answers as its runner. */
export async function startRunner({ world }: Served) {
  await world.pass()
  const [attempt_id = '', machine] = [...world.model.machines].at(-1) ?? []
  const key = machine?.token ?? ''
  const post = async (path: string, body: unknown) => {
    const answer = await world.request('POST', `/v1/attempts/${attempt_id}/${path}`, { key, body })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  let number = 0
  await post('report', { type: 'started', instance: 'one' })
  await world.pass()
  return {
    log: (text: string, stream: 'stdout' | 'stderr' | 'runner' = 'stdout') =>
      post('logs', { number: ++number, at: '2026-03-02T09:00:01Z', stream, text }),
    progress: (progress: number, phase: string) => post('report', { type: 'heartbeat', progress, phase }),
    async put(name: string, body: string) {
      const path = `/v1/attempts/${attempt_id}/artifacts/${encodeURIComponent(name)}`
      await world.app.request(path, { method: 'PUT', body, headers: { authorization: `Bearer ${key}` } })
    },
    async finish(exit_code: number, result: object | null = { ok: true }) {
      const failure = exit_code === 0 ? null : 'user_code'
      await post('report', { type: 'finished', exit_code, failure, result })
      await world.settle(3)
    },
  }
}

/** Waits for something that happens elsewhere; bounded, so that a fault is a failure and not a hang. */
export async function until<Value>(
  look: () => Value | Promise<Value>,
  what: string,
): Promise<NonNullable<Value>> {
  for (const until_ms = performance.now() + patience_ms; performance.now() < until_ms;) {
    const found = await look()
    if (found) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`it did not happen: ${what}`)
}
