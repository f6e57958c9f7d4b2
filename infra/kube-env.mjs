// A real Kubernetes API for the tests: one binary with the whole control plane, built from Go modules. Plain
// JavaScript for Node 20, without dependencies.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir, setPriority } from 'node:os'
import { join } from 'node:path'
import { checkout, exists, InstallError, readIfThere, runQuietly } from './install.mjs'

const leastGo = [1, 26]
const askMs = 30_000
/** Two slow cores need six minutes, more when they are shared; after this long the tests do without. */
const buildMs = 25 * 60_000
/** Nothing waits for it but its own tests: everything else goes first. */
const lowest = 19
/** Of what Go says last. */
const shownEnd = 2_000
const version = 'k8s.io/component-base/version'

/** Another key for other sources or other ways to build them: a stale binary is never used. */
export function kubeBinary({ root = checkout, env = process.env } = {}) {
  const folder = join(root, 'test', 'kube')
  const names = readdirSync(folder).filter((name) => /\.go$|^go\.(mod|sum)$/.test(name))
  const hash = createHash('sha256').update(JSON.stringify(buildArgs(root)))
  for (const name of names.sort()) hash.update(name).update(readFileSync(join(folder, name)))
  return join(cacheOf(env), `berth-kube-${hash.digest('hex').slice(0, 16)}`)
}

/** Outside the checkout, so that it outlives it; CI keeps this folder. */
function cacheOf(env) {
  return env.BERTH_KUBE_CACHE || join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'berth-kube')
}

function buildArgs(root) {
  const mod = readIfThere(join(root, 'test', 'kube', 'go.mod')) ?? ''
  const release = /k8s\.io\/kubernetes (v1\.(\d+)[.\d]*)/.exec(mod)
  // Without these the API server calls itself v0.0.0-master.
  const told = { gitVersion: release?.[1], gitMajor: 1, gitMinor: release?.[2], gitTreeState: 'clean' }
  const flags = Object.entries(told).map(([name, value]) => `-X ${version}.${name}=${value}`)
  return [
    'build',
    '-trimpath',
    '-buildvcs=false',
    // Unoptimized code is as quick for tests and takes two thirds of the time to build (test/kube/README.md).
    '-gcflags=all=-N -l -dwarf=false',
    `-ldflags=-s -w ${flags.join(' ')}`,
  ]
}

/**
 * Builds the binary unless it is there, at the lowest priority.
 * @param {{ log?: (line: string) => void, root?: string, env?: NodeJS.ProcessEnv }} [options]
 * @returns {Promise<string>} its path
 * @throws InstallError: what is missing, and that the tests of Kubernetes are skipped
 */
export async function ensureKube({ log = console.log, root = checkout, env = process.env } = {}) {
  const binary = kubeBinary({ root, env })
  if (exists(binary)) return binary
  await checkGo({ root, env })
  log('Building the Kubernetes API of the tests beside the other steps (once, about 6 minutes) ...')
  const started = performance.now()
  mkdirSync(cacheOf(env), { recursive: true })
  const made = `${binary}.${process.pid}`
  try {
    const { code, output } = await build(root, env, made)
    if (code !== 0) throw skipped(`Go could not build it (${code}):\n${output.trim().slice(-shownEnd)}`)
    renameSync(made, binary)
    log(`Built the Kubernetes API of the tests in ${Math.round((performance.now() - started) / 1000)} s`)
    return binary
  } finally {
    rmSync(made, { force: true })
  }
}

async function checkGo({ root, env }) {
  const { code, output } = await runQuietly('go', ['version'], { cwd: root, env, timeout_ms: askMs })
  if (code === 'ENOENT') throw skipped('Go is not installed')
  const [, major = 0, minor = 0] = /go(\d+)\.(\d+)/.exec(output) ?? []
  const isNew = Number(major) > leastGo[0] || (Number(major) === leastGo[0] && Number(minor) >= leastGo[1])
  if (code !== 0 || !isNew)
    throw skipped(`Go is ${output.trim().slice(0, 100)}, not ${leastGo.join('.')} or newer`)
}

/** Compilers are children of it and inherit its priority. */
function build(root, env, made) {
  return new Promise((resolve) => {
    const child = spawn('go', [...buildArgs(root), '-o', made, '.'], {
      cwd: join(root, 'test', 'kube'),
      // A collector of garbage that waits longer: compilers are short-lived.
      env: { GOGC: '400', ...env, CGO_ENABLED: '0' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    if (child.pid !== undefined) setPriority(child.pid, lowest)
    const stop = () => child.kill('SIGINT')
    const timer = setTimeout(stop, buildMs)
    process.on('exit', stop)
    let output = ''
    const keep = (chunk) => (output = (output + chunk).slice(-10 * shownEnd))
    child.stdout.setEncoding('utf8').on('data', keep)
    child.stderr.setEncoding('utf8').on('data', keep)
    const end = (code, said = output) => {
      clearTimeout(timer)
      process.off('exit', stop)
      resolve({ code, output: said })
    }
    child.on('error', (error) => end(error.code ?? 'error', error.message))
    child.on('close', (code, signal) => end(code ?? signal))
  })
}

function skipped(why) {
  return new InstallError(`The tests of Kubernetes are skipped: ${why}`)
}

// By hand: builds it, or says why it cannot.
if (process.argv[1]?.endsWith('kube-env.mjs')) {
  ensureKube().then(console.log, (error) => {
    if (!(error instanceof InstallError)) throw error
    console.error(error.message)
  })
}
