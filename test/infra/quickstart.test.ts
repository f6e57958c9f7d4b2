import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { processStart } from '../../infra/folder-lock.ts'
import { isPostgres } from '../support/database.ts'
import { patience_ms } from '../support/patience.ts'
import { newFolder } from './new-folder.ts'

interface Server {
  url: string
  key: string
  own: boolean
  stop: () => Promise<void>
}
interface Places {
  data: string
  key: string
  output: string
}
interface PortOptions {
  port: number
  port_given: string | null
}
interface Start {
  node: string
  env: Record<string, string | undefined>
  places: Places
  options: PortOptions
  log: (line: string) => void
  signal: AbortSignal
  program: string
}

const infra = resolve(import.meta.dirname, '../../infra')
const load = async <Module>(name: string) => (await import(join(infra, name))) as Module
const { parseOptions, environmentOf, placesOf } = await load<{
  parseOptions: (argv: string[], env: object) => PortOptions & { help: boolean; exit: boolean }
  environmentOf: (root: string, env: object) => Record<string, string>
  placesOf: (root: string, env: object) => Places
}>('quickstart-options.mjs')
const { findServer, startServer } = await load<{
  findServer: (where: { places: Places; port: number }) => Promise<Server | null>
  startServer: (start: Start) => Promise<Server>
}>('quickstart-server.mjs')
const { resultText, placesText, failureText, refusalText } = await load<{
  resultText: (result: object) => string
  placesText: (report: object) => string
  failureText: (job: object) => string
  refusalText: (command: string, code: number, said: string) => string
}>('quickstart-report.mjs')
const { isPythonMade } = await load<{ isPythonMade: () => boolean }>('python-env.mjs')

test('the command line and the variables that it goes by', () => {
  const quiet = { help: false, exit: false }
  expect(parseOptions([], {})).toEqual({ ...quiet, port: 8080, port_given: null })
  expect(parseOptions(['--exit', '--port', '0'], { BERTH_PORT: '9' })).toMatchObject({ exit: true, port: 0 })
  expect(parseOptions([], { BERTH_PORT: '99' })).toMatchObject({ port: 99, port_given: 'BERTH_PORT' })
  expect(parseOptions(['-h'], {}).help).toBe(true)
  for (const argv of [['--port', 'x'], ['--port', '65536'], ['--port=-1'], ['--nonsense'], ['word']])
    expect(() => parseOptions(argv, {})).toThrow(/port|Unknown|Unexpected/)
})

test('.env counts where the environment says nothing, and folders are those of the checkout', () => {
  const root = newFolder()
  writeFileSync(join(root, '.env'), 'BERTH_DATA_DIR=elsewhere\nBERTH_PORT=99\n')
  const env = environmentOf(root, { BERTH_PORT: '1' })
  expect(env).toMatchObject({ BERTH_DATA_DIR: 'elsewhere', BERTH_PORT: '1' })
  expect(placesOf(root, env)).toEqual({
    data: join(root, 'elsewhere'),
    key: join(root, 'elsewhere', 'admin.key'),
    output: join(root, 'elsewhere', 'quickstart'),
  })
  expect(placesOf(root, {}).data).toBe(join(root, 'data'))
})

test('the result is shown with how many points were tried, with every warning, and without what is undefined', () => {
  const metrics = { total_return: 1.711, sharpe: 0.634, max_drawdown: -0.275, trades: 5.1666, win_rate: null }
  const text = resultText({
    best: { parameters: { fast: 35, slow: 230 }, metrics },
    points: 214,
    skipped: 16,
    data: { start: '2010-01-04', end: '2019-12-31' },
    warnings: [{ code: 'x', message: 'only survivors' }],
  })
  expect(text).toContain('Best of 214 points tried (16 more made no sense: fast >= slow): fast 35, slow 230')
  expect(text).toMatch(/total return +171\.1 %\n +Sharpe ratio +0\.63\n/)
  expect(text).toContain('note: only survivors')
  expect(text).not.toContain('winning')
})

test('what is told at the end fits where the server is', () => {
  const report = {
    job: { cost: { actual_usd: 0.000032, basis: 'modelled' } },
    tearsheet: '/data/a b/tearsheet.html',
    door: '/data/a b/console.html',
    places: { data: '/elsewhere', key: '/elsewhere/admin.key' },
    server: { url: 'http://127.0.0.1:8081', own: true },
  }
  const text = placesText({ ...report, stays: true })
  expect(text).toContain('$0.000032 (modelled')
  expect(text).toContain('file:///data/a%20b/tearsheet.html')
  expect(text).toContain('Console        http://127.0.0.1:8081')
  expect(text).toContain('open file:///data/a%20b/console.html')
  expect(text).toContain('BERTH_URL=http://127.0.0.1:8081 BERTH_DATA_DIR=/elsewhere npx --no berth list')
  expect(placesText({ ...report, stays: false })).not.toContain('8081')
})

test('a failure says what failed, where, and what to do', () => {
  const error = {
    code: 'disk_full',
    message: 'the disk is full',
    hint: 'free space',
    log_tail: 'last words\n',
  }
  expect(failureText({ id: 'job_1', state: 'failed', error })).toBe(
    'The backtest job_1 has failed.\ndisk_full: the disk is full\nlast words\nWhat to do: free space',
  )
  const refused = {
    code: 'invalid_request',
    message: 'no',
    errors: [{ path: 'resources', message: 'too much' }],
  }
  expect(refusalText('berth submit', 2, `warning\n${JSON.stringify({ error: refused })}\n`)).toBe(
    'The quickstart cannot go on: "berth submit" ended with code 2.\nno\n  resources: too much',
  )
  expect(refusalText('berth submit', 1, 'Segmentation fault\n')).toContain('Segmentation fault')
})

/** A folder as a server leaves it, and a script in place of the server. */
function fixture(script: string): Omit<Start, 'options'> & { told: string[] } {
  const data = newFolder()
  const program = join(data, 'server.mjs')
  writeFileSync(program, script)
  const told: string[] = []
  return {
    node: process.execPath,
    env: { PATH: process.env['PATH'] },
    places: { data, key: join(data, 'admin.key'), output: join(data, 'quickstart') },
    log: (line) => void told.push(line),
    signal: new AbortController().signal,
    program,
    told,
  }
}

const good = `
  import { writeFileSync } from 'node:fs'
  import { createServer } from 'node:http'
  writeFileSync(process.env.BERTH_ADMIN_KEY_FILE, 'berth_key\\n')
  writeFileSync(process.env.BERTH_DATA_DIR + '/env.json', JSON.stringify({ ...process.env, pid: process.pid }))
  const server = createServer().listen(Number(process.env.BERTH_PORT), '127.0.0.1', () =>
    console.log('Berth is ready at http://127.0.0.1:' + server.address().port))
`

/** Something that listens and notes what it is asked. */
async function listening(answer: (request: IncomingMessage) => object) {
  const asked: IncomingMessage[] = []
  const server = createServer((request, response) => {
    asked.push(request)
    response.end(JSON.stringify(answer(request)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, asked }
}

describe('the server of the quickstart', () => {
  test('is started on the embedded database and this machine, whatever else is configured', async () => {
    const start = fixture(good)
    const env = { ...start.env, BERTH_DATABASE_URL: 'postgres://x', BERTH_LOCAL_PROVIDER: 'false' }
    const server = await startServer({ ...start, env, options: { port: 0, port_given: '--port' } })
    expect(server).toMatchObject({
      key: 'berth_key',
      own: true,
      url: expect.stringMatching(/127\.0\.0\.1:\d+$/),
    })
    const got = JSON.parse(readFileSync(join(start.places.data, 'env.json'), 'utf8'))
    expect(got).toMatchObject({ BERTH_DATABASE_URL: '', BERTH_LOCAL_PROVIDER: 'true' })
    await server.stop()
    expect(processStart(got.pid)).toBeNull()
  })

  test('takes the next port when its own is in use, but not when it was asked for', async () => {
    const { port } = await listening(() => ({}))
    const start = fixture(good)
    const server = await startServer({ ...start, options: { port, port_given: null } })
    await server.stop()
    expect(new URL(server.url).port).not.toBe(String(port))
    expect(start.told.join()).toContain(`Port ${port} is in use by another program`)
    await expect(startServer({ ...start, options: { port, port_given: '--port' } })).rejects.toThrow(
      new RegExp(`Port ${port} is in use.*--port N.*asked for by --port`),
    )
  })

  test.each([
    [
      "console.error('berth: /data is in use by process 7'); process.exit(1)",
      /ended .*\(1\)[^]*in use by process 7/,
    ],
    ["console.error('ENOSPC: no space left on device'); process.exit(1)", /The disk is full: make room/],
  ])('that ends before it is ready is quoted: %s', async (script, message) => {
    const start = { ...fixture(script), options: { port: 0, port_given: null } }
    await expect(startServer(start)).rejects.toThrow(message)
  })

  test('is not left behind when the start is interrupted', async () => {
    const interrupt = new AbortController()
    const pid = `import { writeFileSync } from 'node:fs'\nwriteFileSync(process.env.BERTH_DATA_DIR + '/pid', String(process.pid))\n`
    const start = { ...fixture(`${pid}setInterval(() => {}, 1000)`), signal: interrupt.signal }
    const file = join(start.places.data, 'pid')
    const starting = startServer({ ...start, options: { port: 0, port_given: null } })
    const refused = expect(starting).rejects.toThrow(/abort/)
    await until(() => existsSync(file) && readFileSync(file, 'utf8') !== '', 'the server has started')
    interrupt.abort()
    await refused
    expect(processStart(Number(readFileSync(file, 'utf8')))).toBeNull()
  })

  test('that already runs on the folder is found, and its key is shown to no other program', async () => {
    const { places } = fixture(good)
    writeFileSync(places.key, 'berth_key\n')
    const stranger = await listening(() => ({ info: { title: 'something else' } }))
    expect(await findServer({ places, port: stranger.port })).toBeNull()
    expect(stranger.asked.map(({ headers }) => headers.authorization)).toEqual([undefined])
    const ours = await listening(({ url }) => (url === '/openapi.json' ? { info: { title: 'Berth' } } : {}))
    mkdirSync(join(places.data, 'local'))
    writeFileSync(join(places.data, 'local', 'berth-url'), `http://127.0.0.1:${ours.port}\n`)
    const found = await findServer({ places, port: stranger.port })
    expect(found).toMatchObject({ url: `http://127.0.0.1:${ours.port}`, own: false, key: 'berth_key' })
    expect(ours.asked.at(-1)?.headers.authorization).toBe('Bearer berth_key')
  })
})

// Real prices, a real server, a real process for the job.
describe.skipIf(isPostgres || !isPythonMade())('the whole quickstart (in the Python environment)', () => {
  function start(folder: string, ...argv: string[]) {
    const env = { ...process.env, BERTH_DATA_DIR: folder, BERTH_URL: '', BERTH_API_KEY: '' }
    const child = spawn(process.execPath, [join(infra, 'quickstart.mjs'), ...argv], { env })
    const output = { text: '' }
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (part) => (output.text += String(part)))
    return { child, output }
  }

  test('prints metrics, cost and a tear sheet that is there, and leaves no process', async () => {
    const folder = newFolder()
    const { child, output } = start(folder, '--exit', '--port', '0')
    expect(await ended(child), output.text).toBe(0)
    expect(output.text).toMatch(/Best of 214 points tried/)
    expect(output.text).toMatch(/Sharpe ratio +\d\.\d\d/)
    expect(output.text).toMatch(/Cost +\$0\.00\d{4}/)
    const sheet = join(folder, 'quickstart', 'tearsheet.html')
    expect(output.text).toContain(pathToFileURL(sheet).href)
    expect(readFileSync(sheet, 'utf8')).toContain('<html')
    expect(holders(folder)).toEqual([])
  })

  test('stays up until it is told to end; a second one uses the same server', async () => {
    const folder = newFolder()
    const { child, output } = start(folder, '--port', '0')
    await until(() => output.text.includes('Berth stays up'), 'it stays up')
    const url = /API reference +(\S+)\/reference/.exec(output.text)?.[1] ?? ''
    expect((await fetch(`${url}/reference`)).status).toBe(200)
    const second = start(folder)
    expect(await ended(second.child), second.output.text).toBe(0)
    expect(second.output.text).toContain(`Berth already runs at ${url}`)
    child.kill('SIGINT')
    expect(await ended(child), output.text).toBe(0)
    expect(holders(folder)).toEqual([])
  })

  test('interrupted at work it cancels the job and leaves no process', async () => {
    const folder = newFolder()
    const { child, output } = start(folder, '--port', '0')
    await until(() => /^job_\w+ (scheduled|running)/m.test(output.text), 'the job has started')
    child.kill('SIGINT')
    expect(await ended(child), output.text).toBe(130)
    expect(output.text).toContain('Cancelling the backtest')
    expect(holders(folder)).toEqual([])
  })
})

/** Processes that have the folder in their command line or as their own: the server, runners, programs. */
function holders(folder: string): string[] {
  const attempts = join(folder, 'local')
  if (!existsSync(attempts)) return []
  const names = readdirSync(attempts).filter((name) => name.startsWith('att_'))
  const pids = names.flatMap((name) => {
    const file = join(attempts, name, 'pid.json')
    return existsSync(file) ? [(JSON.parse(readFileSync(file, 'utf8')) as { pid: number }).pid] : []
  })
  const locks = readdirSync(folder).filter((name) => name.startsWith('berth.lock.'))
  const open = locks.filter((name) => !JSON.parse(readFileSync(join(folder, name), 'utf8')).released)
  return [...open, ...pids.filter((pid) => processStart(pid) !== null).map(String)]
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'close')
  return child.exitCode
}

async function until(look: () => boolean, what: string): Promise<void> {
  for (const until_ms = performance.now() + patience_ms; performance.now() < until_ms;) {
    if (look()) return
    await new Promise((wait) => setTimeout(wait, 25))
  }
  throw new Error(`it did not happen: ${what}`)
}
