// The steps of the quickstart, one after the other.
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ensureConsole, isConsoleMade } from './console-env.mjs'
import { checkout, exists, InstallError } from './install.mjs'
import { ensureNode } from './node-env.mjs'
import { environmentOf, help, OptionError, parseOptions, placesOf } from './quickstart-options.mjs'
import { doorPage, failureText, job, placesText, refusalText, resultText } from './quickstart-report.mjs'
import { findServer, startServer } from './quickstart-server.mjs'
import { ensurePython, isPythonMade } from './python-env.mjs'

/** Node's packages take 0.4 GiB and Python's 0.6, and their downloads are kept beside them for a while. */
const neededToInstallGib = 2
/** What the job asks for; a local job is placed only where that is free. */
const neededToRunGib = job.resources.disk_gib
/** An attempt that is cancelled is given 10 s by its runner. */
const maxCancelMs = 30_000
/** The confirmed end of an attempt, and with it the final cost, follows its result closely. */
const maxSettleMs = 10_000
const maxCallMs = 10_000
const interruptedCode = 130

/** @returns {Promise<number>} the exit code */
export async function main(argv, env = process.env) {
  const stop = new AbortController()
  try {
    const whole = environmentOf(checkout, env)
    const options = parseOptions(argv, whole)
    if (options.help) {
      console.log(help)
      return 0
    }
    const places = placesOf(checkout, whole)
    checkPlatform()
    const node = await install(places)
    return await withServer({ node, env: whole, places, options, stop })
  } catch (error) {
    if (stop.signal.aborted) {
      console.error('\nInterrupted.')
      return interruptedCode
    }
    if (!(error instanceof InstallError) && !(error instanceof OptionError)) throw error
    console.error(`\n${error.message}`)
    return 1
  }
}

function checkPlatform() {
  if (process.platform !== 'win32') return
  throw new InstallError(
    'Berth runs on Linux and macOS. On Windows use WSL (https://learn.microsoft.com/windows/wsl).',
  )
}

/** Python first: a missing one shows at once. @returns {Promise<string>} the path of Node 24 */
async function install(places) {
  const started = performance.now()
  const made = isPythonMade() && isConsoleMade() && exists(join(checkout, 'node_modules', '.bin', 'node'))
  console.log(
    made ? 'Checking the installation ...' : 'Installing: this takes a few minutes, the first time only.',
  )
  checkDisk(checkout, made ? neededToRunGib : neededToInstallGib)
  mkdirSync(places.output, { recursive: true, mode: 0o700 })
  checkDisk(places.output, neededToRunGib)
  // Seconds of one core, beside what pip waits for.
  const built = ensureNode().then(async (node) => {
    await ensureConsole({ node })
    return node
  })
  const [node] = await Promise.all([built, ensurePython()])
  if (!made) console.log(`Installed in ${seconds(started)}.`)
  return node
}

function checkDisk(folder, neededGib) {
  const { bavail, bsize } = statfsSync(folder)
  const freeGib = (bavail * bsize) / 1024 ** 3
  if (freeGib >= neededGib) return
  throw new InstallError(
    `The disk of ${folder} has ${freeGib.toFixed(1)} GiB left, and ${neededGib} are needed: make room, then ` +
      'run the same command again.',
  )
}

async function withServer({ node, env, places, options, stop }) {
  const { signal } = stop
  let server = null
  const onSignal = () => {
    // The second time it has to be now.
    if (signal.aborted) server?.kill()
    stop.abort()
  }
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, onSignal)
  server = await openServer({ node, env, places, options, signal })
  try {
    await demonstrate({ node, server, places, signal, stays: !options.exit || !server.own })
    if (options.exit || !server.own) return 0
    return await stayUp(server, signal)
  } finally {
    if (server.own) await server.stop()
  }
}

async function openServer({ node, env, places, options, signal }) {
  const found = await findServer({ places, port: options.port })
  if (found !== null) {
    console.log(`Berth already runs at ${found.url} on ${places.data}: using it.`)
    return found
  }
  const started = performance.now()
  console.log('Starting Berth ...')
  const server = await startServer({ node, env, places, options, signal, log: console.log })
  console.log(`Berth is ready at ${server.url} (${seconds(started)}).`)
  return server
}

async function demonstrate({ node, server, places, signal, stays }) {
  const cli = (args, more) => runCli({ node, server, signal, args, ...more })
  const started = performance.now()
  console.log('Submitting a backtest: POST /v1/jobs')
  const submit = ['submit', '-', '--idempotency-key', `quickstart-${randomUUID()}`]
  const { id } = await cli(submit, { input: JSON.stringify(job) })
  const wait = ['wait', id, '--follow', '--timeout', String(job.timeout_s + job.queue_timeout_s)]
  const ended = await whileCancellable(server, signal, id, () => cli(wait, { shows: true }))
  if (ended.state !== 'succeeded') throw new InstallError(failureText(ended))
  console.log(
    `\nFinished in ${seconds(started)}, from the request to the result.\n\n${resultText(ended.result)}\n`,
  )
  const saved = await cli(['artifacts', id, 'tearsheet.html', '--download', places.output])
  const tearsheet = saved.items[0]?.path ?? null
  const settled = await readSettled(server, ended)
  const door = join(places.output, 'console.html')
  writeFileSync(door, doorPage(server), { mode: 0o600 })
  console.log(placesText({ job: settled, tearsheet, door, places, server, stays }))
}

/**
 * The command-line client, on the public API like any other.
 * @param {{ shows?: boolean }} run shows: its bar and the log show by themselves
 * @returns {Promise<object>} the JSON that it prints
 */
function runCli({ node, server, signal, args, input = '', shows = false }) {
  const child = spawn(node, [join(checkout, 'cli', 'berth.ts'), ...args, '--json'], {
    cwd: checkout,
    env: { ...process.env, BERTH_URL: server.url, BERTH_API_KEY: server.key },
    stdio: ['pipe', 'pipe', shows ? 'inherit' : 'pipe'],
    // Out of the terminal's group: at Ctrl-C the job is cancelled here, and not left running.
    detached: true,
  })
  const end = () => child.kill('SIGTERM')
  signal.addEventListener('abort', end, { once: true })
  if (signal.aborted) end()
  const said = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (part) => (said.stdout += part))
  child.stderr?.setEncoding('utf8').on('data', (part) => (said.stderr += part))
  child.stdin.on('error', () => undefined).end(input)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => {
      signal.removeEventListener('abort', end)
      if (signal.aborted) reject(signal.reason)
      // A job that has failed is printed too, and the code says so.
      else if (said.stdout !== '') resolve(JSON.parse(said.stdout))
      else reject(new InstallError(refusalText(`berth ${args[0]}`, code, said.stderr)))
    })
  })
}

/** Whatever ends the work early ends the job too, and waits until nothing of it runs. */
async function whileCancellable(server, signal, id, work) {
  try {
    return await work()
  } catch (error) {
    if (signal.aborted) console.error('\nCancelling the backtest ...')
    await cancel(server, id).catch((reason) => console.error(`It could not be cancelled: ${reason.message}`))
    throw error
  }
}

async function cancel(server, id) {
  await call(server, `/v1/jobs/${id}/cancel`, 'POST')
  const isOver = ({ finished_at, attempts }) =>
    finished_at !== null && attempts.every(({ state }) => state === 'ended')
  await readUntil(server, id, isOver, maxCancelMs)
}

const readSettled = (server, ended) => readUntil(server, ended.id, ({ cost }) => cost.final, maxSettleMs)

async function readUntil(server, id, isEnough, max_ms) {
  const end = performance.now() + max_ms
  for (;;) {
    const found = await call(server, `/v1/jobs/${id}`, 'GET')
    if (isEnough(found) || performance.now() > end) return found
    await sleep(200)
  }
}

async function call(server, path, method) {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${server.key}`, 'Content-Type': 'application/json' },
    signal: AbortSignal.timeout(maxCallMs),
  })
  return await response.json()
}

async function stayUp(server, signal) {
  console.log('\nBerth stays up. Ctrl-C ends it.')
  const told = new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve('told'), { once: true })
    if (signal.aborted) resolve('told')
  })
  if ((await Promise.race([told, server.ended])) !== 'told') {
    console.error('The server has ended by itself: "npm start" shows why.')
    return 1
  }
  const { items = [] } = await call(server, '/v1/jobs?state=running&limit=1', 'GET').catch(() => ({}))
  if (items.length > 0)
    console.log('\nJobs that still run go on by themselves; the next start finds them again.')
  console.log('\nStopping Berth ...')
  return 0
}

function seconds(started) {
  const passed = (performance.now() - started) / 1000
  return passed < 100
    ? `${passed.toFixed(1)} s`
    : `${Math.floor(passed / 60)} min ${Math.round(passed % 60)} s`
}
