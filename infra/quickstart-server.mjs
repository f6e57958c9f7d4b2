// The server of the quickstart: one that runs already, or one of its own.
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { checkout, InstallError, readIfThere } from './install.mjs'

/** Opening a database takes seconds, on a slow disk with many jobs perhaps a minute. */
const maxStartMs = 120_000
/** A server on this machine answers in milliseconds unless it is very busy. */
const maxAnswerMs = 5_000
/** A server that is told to end has bounds of its own; this one is for when they fail. */
const maxStopMs = 30_000
/** Ports after the wanted one that are tried. */
const maxPorts = 100
/** Lines of a server that ended, for the message. */
const shownLines = 15
const isWarning = /"level":"?(warn|error|fatal|[456]0)\b/

/**
 * @typedef {{ url: string, key: string, own: boolean, ended: Promise<void>, stop: () => Promise<void>,
 *   kill: () => void }} Server
 */

/**
 * The server that already runs on this data folder; null: none. Its address is in the file that runners
 * read, or it listens on the usual port.
 * @returns {Promise<Server | null>}
 */
export async function findServer({ places, port }) {
  const key = readIfThere(places.key)?.trim()
  if (!key) return null
  const noted = readIfThere(join(places.data, 'local', 'berth-url'))?.trim()
  for (const url of new Set([noted, `http://127.0.0.1:${port}`])) {
    if (url && (await isOurs(url, key))) {
      const nothing = () => Promise.resolve()
      return { url, key, own: false, ended: new Promise(() => undefined), stop: nothing, kill: nothing }
    }
  }
  return null
}

/** The key is shown only to what is a Berth; another program may have taken the port. */
async function isOurs(url, key) {
  try {
    const document = await (await ask(url, '/openapi.json')).json()
    if (document?.info?.title !== 'Berth') return false
    return (await ask(url, '/v1/jobs?limit=1', key)).status === 200
  } catch {
    return false
  }
}

function ask(url, path, key) {
  const headers = key === undefined ? {} : { Authorization: `Bearer ${key}` }
  return fetch(`${url}${path}`, { headers, redirect: 'error', signal: AbortSignal.timeout(maxAnswerMs) })
}

/**
 * Starts a server and waits until it answers.
 * @param {{ node: string, env: NodeJS.ProcessEnv, places: { data: string, key: string },
 *   options: { port: number, port_given: string | null }, log: (line: string) => void,
 *   signal: AbortSignal, program?: string }} start
 * @returns {Promise<Server>}
 * @throws InstallError whose message is whole
 */
export async function startServer({ options, log, ...start }) {
  for (let port = options.port, tried = 0; tried < maxPorts; tried++) {
    const found = await startOn(port, start)
    if (found !== 'port in use') return found
    if (options.port_given !== null) {
      throw new InstallError(
        `Port ${port} is in use by another program: stop that, or give another with -- --port N ` +
          `(it was asked for by ${options.port_given}).`,
      )
    }
    const next = await freePort(port + 1)
    log(`Port ${port} is in use by another program: taking ${next}.`)
    port = next
  }
  throw new InstallError(
    `${maxPorts} ports from ${options.port} on are all in use: give one with -- --port N.`,
  )
}

async function startOn(port, { node, env, places, signal, program = join(checkout, 'infra', 'node.ts') }) {
  if (!(await isFree(port, env.BERTH_HOST?.trim() || '127.0.0.1'))) return 'port in use'
  const child = spawn(node, [program], {
    cwd: checkout,
    env: { ...env, ...serverEnv(places), BERTH_PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
    // Out of the terminal's group: Ctrl-C reaches it only through stop(), after its job has been ended.
    detached: true,
  })
  const ended = new Promise((resolve) => child.on('close', resolve).on('error', resolve))
  const kill = () => child.kill('SIGKILL')
  const lines = []
  try {
    const url = await readyUrl(child, lines, ended, signal)
    const key = readIfThere(places.key)?.trim()
    if (!key)
      throw new InstallError(`The server wrote no key to ${places.key}: remove that file and try again.`)
    return { url, key, own: true, ended, stop: () => stop(child, ended), kill }
  } catch (error) {
    await stop(child, ended)
    if (lines.some((line) => /port \d+ is in use/.test(line))) return 'port in use'
    throw error
  }
}

/** The quickstart is the embedded database and this machine, whatever else is configured. */
function serverEnv({ data, key }) {
  return {
    BERTH_DATA_DIR: data,
    BERTH_ADMIN_KEY_FILE: key,
    BERTH_DATABASE_URL: '',
    BERTH_LOCAL_PROVIDER: 'true',
    BERTH_ROLES: '',
  }
}

async function readyUrl(child, lines, ended, signal) {
  const bound = new AbortController()
  const timer = setTimeout(() => bound.abort(), maxStartMs)
  const given_up = new Promise((resolve) => {
    for (const each of [signal, bound.signal])
      each.addEventListener('abort', () => resolve(null), { once: true })
  })
  try {
    const ready = new Promise((resolve) => {
      let seen = false
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          const url = /^Berth is ready at (\S+)$/.exec(line)?.[1]
          // Once it is up, what needs somebody's eye is passed on.
          if (seen && isWarning.test(line)) console.error(line)
          lines.push(line)
          if (lines.length > shownLines) lines.shift()
          if (url === undefined) return
          seen = true
          resolve(url)
        })
      }
    })
    const url = await Promise.race([ready, ended.then(() => null), given_up])
    if (url !== null) return url
  } finally {
    clearTimeout(timer)
  }
  signal.throwIfAborted()
  throw new InstallError(whyNotReady(child, lines, bound.signal.aborted))
}

function whyNotReady(child, lines, late) {
  const said = lines.join('\n')
  const what = late
    ? `The server was not ready after ${maxStartMs / 1000} s.`
    : `The server ended before it was ready (${child.exitCode ?? child.signalCode ?? 'it did not start'}).`
  const full = /ENOSPC|No space left/i.test(said)
  return [
    what,
    said,
    ...(full ? ['The disk is full: make room, then run the same command again.'] : []),
  ].join('\n')
}

/** SIGTERM, and when that does not help SIGKILL. Resolves when the process is gone. */
async function stop(child, ended) {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), maxStopMs)
  await ended
  clearTimeout(timer)
}

async function freePort(from) {
  for (let port = from; port < Math.min(from + maxPorts, 65_536); port++) if (await isFree(port)) return port
  return 0
}

function isFree(port, host = '127.0.0.1') {
  return new Promise((resolve) => {
    const probe = createServer()
    probe.on('error', (error) => resolve(error.code !== 'EADDRINUSE'))
    probe.listen({ port, host, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
