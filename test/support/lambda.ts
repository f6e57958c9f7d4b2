// AWS Lambda as a function URL shows it: events of its recorded shape go to sandboxes, each a fresh process with the bundle, one event
// at a time, and what they stream comes back over HTTP.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const folder = join(import.meta.dirname, '..', 'edge')
const recorded = JSON.parse(readFileSync(join(folder, 'function-url-event.json'), 'utf8')) as {
  headers: Record<string, string>
  requestContext: { http: object }
}

interface Told {
  ready?: true
  prelude?: { statusCode: number; headers: Record<string, string>; cookies: string[] }
  chunk?: string
  ended?: true
  failed?: string
}
interface Sandbox {
  child: ChildProcess
  isBusy: boolean
  invoke: (event: object, hear: (told: Told) => void) => Promise<void>
}

export async function openLambda(bundle: string, env: Record<string, string>) {
  const sandboxes: Sandbox[] = []
  const take = async (): Promise<Sandbox> => {
    const free = sandboxes.find(({ isBusy }) => !isBusy)
    if (free) return Object.assign(free, { isBusy: true })
    const made = openSandbox(bundle, env)
    sandboxes.push(made)
    return made
  }
  const invoke = async (event: object, hear: (told: Told) => void) => {
    const sandbox = await take()
    await sandbox.invoke(event, hear).finally(() => (sandbox.isBusy = false))
  }
  const server = createServer((request, response) => void serve(invoke, request, response)).listen(
    0,
    '127.0.0.1',
  )
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    trigger: () =>
      invoke({ source: 'aws.events', 'detail-type': 'Scheduled Event', detail: {} }, () => undefined),
    async close() {
      server.closeAllConnections()
      server.close()
      for (const { child } of sandboxes.filter((each) => each.child.exitCode === null)) {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      }
    },
  }
}

function openSandbox(bundle: string, env: Record<string, string>): Sandbox {
  const child = spawn(process.execPath, [join(folder, 'sandbox.mjs'), bundle], {
    env: { PATH: process.env['PATH'], AWS_LAMBDA_FUNCTION_NAME: 'berth', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let hearing: ((told: Told) => void) | null = null
  createInterface({ input: child.stdout }).on('line', (line) => hearing?.(JSON.parse(line) as Told))
  return {
    child,
    isBusy: true,
    async invoke(event, hear) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const lost = () => reject(new Error('the sandbox has ended'))
      child.once('exit', lost)
      hearing = (told) => {
        hear(told)
        if (told.failed !== undefined) reject(new Error(told.failed))
        else if (told.ended) resolve()
      }
      child.stdin.write(`${JSON.stringify(event)}\n`)
      await promise.finally(() => child.off('exit', lost))
    },
  }
}

async function serve(
  invoke: (event: object, hear: (told: Told) => void) => Promise<void>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const url = new URL(request.url ?? '/', 'http://lambda')
  const method = request.method ?? 'GET'
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
  )
  const event = {
    ...recorded,
    rawPath: url.pathname,
    rawQueryString: url.search.slice(1),
    headers: { ...recorded.headers, ...headers },
    requestContext: {
      ...recorded.requestContext,
      http: { ...recorded.requestContext.http, method, path: url.pathname },
    },
    ...(parts.length > 0 ? { body: Buffer.concat(parts).toString('base64'), isBase64Encoded: true } : {}),
  }
  try {
    await invoke(event, ({ prelude, chunk }) => {
      if (prelude) response.writeHead(prelude.statusCode, prelude.headers).flushHeaders()
      if (chunk !== undefined) response.write(Buffer.from(chunk, 'base64'))
    })
    response.end()
  } catch {
    response.destroy()
  }
}
