// What node-env.mjs and python-env.mjs share. Plain JavaScript for Node 20, without dependencies: it runs
// before anything is installed.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

/** The checkout's folder. */
export const checkout = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')

/** One step on a slow line downloads about 200 MB: half an hour is 1 Mbit/s. */
const maxStepMs = 30 * 60_000
/** How often a step that works silently says that it does. */
const stillAtItMs = 10_000
/** Of a failed step's output: npm says what is wrong first, pip and uv last. */
const shownFirst = 8
const shownLast = 20
const maxOutputCharacters = 200_000
/** Another installation in this checkout is waited for this long; each takes a minute or two. */
const maxLockWaitMs = 10 * 60_000

/** Its message is whole: what failed, why as far as it is known, and what to do. */
export class InstallError extends Error {
  name = 'InstallError'
}

/**
 * Runs a step of the installation, telling that it goes on.
 * @param {{ title: string, command: string, args: string[], cwd: string, env?: NodeJS.ProcessEnv,
 *   log: (line: string) => void, source: string }} step `source`: what it downloads from, for the message
 * @returns {Promise<string>} what it printed
 */
export async function runStep({ title, command, args, cwd, env = process.env, log, source }) {
  const started = performance.now()
  const seconds = () => Math.round((performance.now() - started) / 1000)
  log(`${title} ...`)
  const stillAtIt = setInterval(() => log(`${title} ... ${seconds()} s`), stillAtItMs)
  try {
    const { code, output } = await runQuietly(command, args, { cwd, env })
    if (code === 0) return output
    throw new InstallError(`${title}: failed (${code}).\n${endsOf(output)}\n\n${whatToDo(output, source)}`)
  } finally {
    clearInterval(stillAtIt)
  }
}

function endsOf(output) {
  const lines = output.trim().split('\n')
  if (lines.length <= shownFirst + shownLast) return lines.join('\n')
  return [...lines.slice(0, shownFirst), '...', ...lines.slice(-shownLast)].join('\n')
}

/** @returns {Promise<{ code: number | string, output: string }>} code: the exit status, a signal or an errno */
export function runQuietly(command, args, { cwd, env = process.env, timeout_ms = maxStepMs }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    // spawn's own timeout outlives a command that is not there, and keeps the process waiting for it.
    const timer = setTimeout(() => child.kill(), timeout_ms)
    const end = (result) => {
      clearTimeout(timer)
      resolve(result)
    }
    let output = ''
    const keep = (chunk) => (output = (output + chunk).slice(-maxOutputCharacters))
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    child.on('error', (error) => end({ code: error.code ?? 'error', output: `${output}\n${error.message}` }))
    child.on('close', (code, signal) => end({ code: code ?? signal ?? 'ended', output }))
  })
}

/** The words by which npm, pip and uv say that they did not reach a server. */
const networkWords =
  /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|network is unreachable|name resolution|nodename nor servname|dns error|failed to lookup address|failed to fetch|error sending request|connection refused|connection reset|connection error|NewConnectionError|timed? ?out|Max retries exceeded|from versions: none/i

function whatToDo(output, source) {
  if (/ENOSPC|No space left/i.test(output))
    return 'The disk is full: make room, then run the same command again.'
  if (/CERT_|certificate/i.test(output)) {
    return (
      `The certificate of ${source} is not trusted here. Behind a company proxy set NODE_EXTRA_CA_CERTS, ` +
      'PIP_CERT and SSL_CERT_FILE to its certificate, then run the same command again.'
    )
  }
  if (networkWords.test(output)) {
    return (
      `${source} cannot be reached. Check the network; behind a proxy set HTTPS_PROXY, with a mirror set it ` +
      'in .npmrc, PIP_INDEX_URL or UV_DEFAULT_INDEX. Then run the same command again: it goes on where it ended.'
    )
  }
  return 'Run the same command again; if it fails alike, the lines above say why.'
}

/** Hashes files by content; a missing one counts as such. */
export function hashFiles(paths) {
  const hash = createHash('sha256')
  for (const path of paths)
    hash
      .update(`${path}\0`)
      .update(readIfThere(path) ?? 'missing')
      .update('\0')
  return hash.digest('hex')
}

/** @returns {string | null} */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  }
}

/** A stamp tells what an environment was made from; without one it is half-made. */
export function readStamp(path) {
  try {
    return JSON.parse(readIfThere(path) ?? '{}') ?? {}
  } catch {
    return {}
  }
}

/** Appears whole or not at all. */
export function writeStamp(path, stamp) {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(`${path}.tmp`, `${JSON.stringify(stamp, null, 2)}\n`)
  renameSync(`${path}.tmp`, path)
}

export function exists(path) {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

/**
 * Runs `work` while no other process installs into the same checkout. A killed process's lock is taken over.
 * @template T
 * @param {{ root: string, log: (line: string) => void }} where
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withInstallLock({ root, log }, work) {
  const name = createHash('sha256').update(root).digest('hex').slice(0, 16)
  const lock = join(tmpdir(), `berth-install-${userInfo().uid}-${name}.lock`)
  const until = performance.now() + maxLockWaitMs
  let told = false
  while (!takeLock(lock)) {
    if (performance.now() > until) {
      throw new InstallError(`Another process installs in ${root}: wait for it, or remove ${lock}.`)
    }
    if (!told) log('Waiting for another installation in this folder ...')
    told = true
    await sleep(200)
  }
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

function takeLock(lock) {
  const mine = `${lock}.${process.pid}`
  writeFileSync(mine, String(process.pid), { mode: 0o600 })
  try {
    linkSync(mine, lock)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    removeStale(lock, mine)
    return false
  } finally {
    rmSync(mine, { force: true })
  }
}

function removeStale(lock, mine) {
  const holder = readIfThere(lock)
  if (holder === null || isRunning(Number(holder))) return
  try {
    renameSync(lock, mine)
    // Another process may have taken it over since it was read: then it gets its lock back.
    if (readIfThere(mine) !== holder) linkSync(mine, lock)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes(error.code)) throw error
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
