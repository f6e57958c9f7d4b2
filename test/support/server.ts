// A whole Berth as its own process; on the embedded database in a folder of its own unless told otherwise.
import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { patience_ms } from './patience.ts'

const root = join(import.meta.dirname, '..', '..')

export interface RunningServer {
  url: string
  key: string
  child: ChildProcess
  /** As a crash does. */
  kill: () => Promise<void>
  stop: () => Promise<void>
}

export async function startServer(
  data_dir: string,
  port: number,
  env: Record<string, string> = {},
  entry = join(root, 'infra', 'node.ts'),
): Promise<RunningServer> {
  const child = spawn(process.execPath, [entry], {
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      BERTH_DATA_DIR: data_dir,
      BERTH_PORT: String(port),
      BERTH_ALLOW_PRIVATE_TARGETS: 'true',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const exited = new Promise<void>((done) => child.once('exit', () => done()))
  void exited.then(() => reject(new Error(`the server ended before it was ready:\n${said}`)))
  const timer = setTimeout(
    () => reject(new Error(`the server is not ready after ${patience_ms} ms:\n${said}`)),
    patience_ms,
  )
  createInterface({ input: child.stdout }).on('line', (line) => {
    const url = /^Berth is ready at (\S+)$/.exec(line)?.[1]
    if (url) resolve(url)
  })
  const url = await promise.finally(() => clearTimeout(timer))
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal)
    await exited
  }
  return {
    url,
    key: readFileSync(join(data_dir, 'admin.key'), 'utf8').trim(),
    child,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

/**
 * A port that nobody listens on, below the range that systems take outgoing connections from (32768 on Linux): one of
 * those would be taken again before a server listens on it.
 */
export async function freePort(): Promise<number> {
  for (let tried = 0; tried < 100; tried++) {
    const port = randomInt(20_000, 32_768)
    const probe = createServer()
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true))
    })
    if (!free) continue
    await new Promise((resolve) => probe.close(resolve))
    return port
  }
  throw new Error('no port from 20000 to 32767 is free')
}
