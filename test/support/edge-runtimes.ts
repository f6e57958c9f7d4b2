// The edge function on its real runtimes, each as a process of its own with the bundle that is built for it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { EdgeRuntime } from '../../infra/edge/build.ts'
import { openLambda } from './lambda.ts'
import { patience_ms } from './patience.ts'
import { freePort } from './server.ts'

const env = resolve(import.meta.dirname, '../../infra/edge-runtimes-env.mjs')
export const { edgeRuntime: edgeBinary } = (await import(env)) as { edgeRuntime: (name: string) => string }

/** Why a runtime cannot be tried here; null: it can. */
export const noRuntime = (runtime: EdgeRuntime): string | null =>
  runtime === 'node' || runtime === 'lambda' || existsSync(edgeBinary(runtime))
    ? null
    : `${runtime} is not installed: \`npm test\` fetches it, and says why it could not`

export interface RunningEdge {
  url: string
  /** Does what a timer, a cron call or a queue does; a program that lives long does it by itself. */
  trigger: () => Promise<void>
  close: () => Promise<void>
}

/** `file`: the bundle that is built for the runtime. */
export async function startEdge(
  runtime: EdgeRuntime,
  file: string,
  env: Record<string, string>,
): Promise<RunningEdge> {
  const folder = mkdtempSync(join(tmpdir(), `berth-edge-${runtime}-`))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  if (runtime === 'lambda') {
    const lambda = await openLambda(file, env)
    return { ...lambda, close: () => lambda.close().finally(remove) }
  }
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  if (runtime === 'workerd') {
    const child = run(
      edgeBinary('workerd'),
      ['serve', '--experimental', workerdConfig(folder, file, port)],
      env,
    )
    const trigger = async () => {
      const answer = await fetch(`http://127.0.0.1:${port + 1}/`)
      if (!answer.ok) throw new Error(`the scheduled call failed: ${await answer.text()}`)
    }
    await answering(url, child)
    return { url, trigger, close: () => end(child).finally(remove) }
  }
  const child = run(...commandOf(runtime, file), { ...env, BERTH_PORT: String(port) })
  await saysReady(child)
  return { url, trigger: () => Promise.resolve(), close: () => end(child).finally(remove) }
}

/** As docs/edge.md tells to start them. */
export function commandOf(runtime: 'deno' | 'bun' | 'node', file: string): [string, string[]] {
  if (runtime === 'deno')
    return [edgeBinary('deno'), ['run', '--allow-net', '--allow-env', '--allow-sys', '--allow-read', file]]
  return [runtime === 'bun' ? edgeBinary('bun') : process.execPath, [file]]
}

/** infra/edge/berth.capnp, with an address of its own, private addresses allowed, and a second worker that makes the cron call. */
export function workerdConfig(folder: string, bundle: string, port: number): string {
  const shipped = readFileSync(join(import.meta.dirname, '../../infra/edge/berth.capnp'), 'utf8')
  const swapped = (text: string, from: string, to: string) => {
    if (!text.includes(from)) throw new Error(`infra/edge/berth.capnp has no ${from}`)
    return text.replace(from, to)
  }
  mkdirSync(folder, { recursive: true })
  const modules = relative(folder, join(dirname(bundle), 'modules.capnp'))
  let config = swapped(shipped, '../../dist/edge/workerd/modules.capnp', modules)
  config = swapped(config, '127.0.0.1:8080', `127.0.0.1:${port}`)
  config = swapped(config, '["public"]', '["public", "private"]')
  config = swapped(config, 'services = [', 'services = [ (name = "cron", worker = .cron),')
  const socket = `(name = "cron", address = "127.0.0.1:${port + 1}", http = (), service = "cron")`
  config = swapped(config, 'sockets = [', `sockets = [ ${socket},`)
  writeFileSync(join(folder, 'cron.mjs'), cronScript)
  const path = join(folder, 'berth.capnp')
  writeFileSync(path, `${config}\n${cronWorker}`)
  return path
}

const cronScript = `
export default {
  async fetch(request, { berth }) {
    const { outcome } = await berth.scheduled({ scheduledTime: new Date(), cron: '* * * * *' })
    return new Response(outcome, { status: outcome === 'ok' ? 200 : 500 })
  },
}
`
const cronWorker = `
const cron :Workerd.Worker = (
  modules = [(name = "cron.mjs", esModule = embed "cron.mjs")],
  compatibilityDate = "2026-11-17",
  compatibilityFlags = ["service_binding_extra_handlers"],
  bindings = [(name = "berth", service = "berth")],
);
`

function run(command: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  return spawn(command, args, {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...env },
    stdio: ['ignore', 'pipe', process.env['BERTH_TEST_LOUD'] ? 'inherit' : 'ignore'],
  })
}

async function saysReady(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('exit', (code) => reject(new Error(`it ended before it was ready (${code})`)))
  const timer = setTimeout(() => reject(new Error(`it is not ready after ${patience_ms} ms`)), patience_ms)
  if (child.stdout)
    createInterface({ input: child.stdout }).on(
      'line',
      (line) => line.startsWith('Berth is ready') && resolve(),
    )
  await promise.finally(() => clearTimeout(timer))
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  for (const until = performance.now() + patience_ms; ;) {
    const isUp = await fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    )
    if (isUp) return
    if (child.exitCode !== null || performance.now() > until) throw new Error('it does not answer')
    await new Promise((done) => setTimeout(done, 20))
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}
