// A custom job from its submit to its result, run on this machine as its container would: by the bootstrap that every
// launch carries, with a runner that fetches itself, by each client that an image may have.
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { python, until } from '../support/local-world.ts'
import { openTestWorld, type World } from '../support/world.ts'

const common =
  'sh cat cp cut date find head kill ln mkdir printf rm sed sleep sort tail touch tr wc sha256sum setsid'.split(
    ' ',
  )

/** Folders of programs as images have them, by what fetches the runner; null: this machine has not what it needs. */
const images: Record<string, (folder: string) => string | null> = {
  curl: (folder) => linked(folder, [...common, 'curl']),
  'GNU wget': (folder) => linked(folder, [...common, 'wget', 'base64']),
  Python: (folder) => {
    const found = linked(folder, [...common])
    if (found === null) return null
    const path = spawnSync(python, ['-c', 'import sys; print(sys.executable)'], {
      encoding: 'utf8',
    }).stdout.trim()
    symlinkSync(path, join(folder, 'python3'))
    return folder
  },
}

function linked(folder: string, names: readonly string[]): string | null {
  for (const name of names) {
    const path = ['/usr/bin', '/bin'].map((each) => join(each, name)).find((each) => existsSync(each))
    if (path === undefined) return null
    symlinkSync(path, join(folder, name))
  }
  return folder
}

let world: World
let folder: string
let server: ReturnType<typeof createServer>
let url: string
/** Answers everything with this status instead. */
let away: number | null
let refused: number

beforeEach(async () => {
  world = await openTestWorld()
  Object.assign(world.model.provider.traits, { runs_images: true })
  folder = mkdtempSync(join(tmpdir(), 'berth-custom-'))
  away = null
  refused = 0
  const listener = getRequestListener((request) => {
    if (away === null) return world.app.fetch(request)
    refused++
    return new Response('<html>', { status: away })
  })
  server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})

afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  endAll(folder)
  rmSync(folder, { recursive: true, force: true })
  await world[Symbol.asyncDispose]()
})

/** What a runner that was killed leaves ends with its container; here nobody else ends it. */
function endAll(within: string) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      if (readlinkSync(`/proc/${pid}/cwd`).startsWith(within)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended by itself, or is somebody else's.
    }
}

async function launch(bin: string, script: string, params: Record<string, unknown> = {}) {
  const body = { kind: 'custom', params: { image: 'desk/any:1', command: ['sh', '-c', script], ...params } }
  const answer = await world.request('POST', '/v1/jobs', { body })
  expect(answer.status, await answer.clone().text()).toBe(201)
  const { id } = (await answer.json()) as JobView
  await world.settle()
  const [attempt_id, machine] = [...world.model.machines].at(-1) ?? []
  const [program = '', ...args] = machine?.request.command ?? []
  const home = join(folder, `home-${attempt_id}`)
  const start = () => {
    const child = spawn(join(bin, program), args, {
      env: {
        PATH: bin,
        BERTH_URL: url,
        BERTH_ATTEMPT_ID: attempt_id,
        BERTH_TOKEN: machine?.token,
        BERTH_HOME: home,
        BERTH_RUNNER_BACKOFF_MAX_S: '1',
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.on('data', (block) => (said += String(block)))
    const over = new Promise<number | null>((resolve) => child.once('exit', resolve))
    return { child, over, said: () => said }
  }
  return { id, attempt_id, home, start, ...start() }
}

const read = async (id: string): Promise<JobView> => {
  world.advance(1)
  await world.settle()
  return (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
}
const log = async (id: string) => {
  const answer = await world.request('GET', `/v1/jobs/${id}/logs`)
  const { items } = (await answer.json()) as { items: { stream: string; text: string }[] }
  const of = (stream: string) =>
    items
      .filter((each) => each.stream === stream)
      .map(({ text }) => text)
      .join('')
  return { stdout: of('stdout'), stderr: of('stderr') }
}

describe.for(Object.keys(images))('an image with %s', (name) => {
  let bin: string
  beforeEach((context) => {
    bin = join(folder, 'bin')
    mkdirSync(bin)
    if (images[name]?.(bin) === null) context.skip(`this machine has no ${name}`)
  })

  test('sends whole lines, so that no secret is cut in two and shown in halves', async () => {
    const value = 'a-long-secret-value'
    await world.request('PUT', '/v1/secrets/KEY', { body: { value } })
    // A chunk of 48 KiB would end in the middle of one of these.
    const script = `cat "$LINES"`
    const lines = join(folder, 'lines')
    writeFileSync(lines, `${'x'.repeat(49_140)}\n${value}\n${'y'.repeat(20_000)}\n`)
    const run = await launch(bin, script, { env: { LINES: lines }, secrets: ['KEY'] })
    expect(await run.over, run.said()).toBe(0)
    await read(run.id)
    const { stdout } = await log(run.id)
    expect(stdout).toBe(`${'x'.repeat(49_140)}\n[masked]\n${'y'.repeat(20_000)}\n`)
  })

  test('runs, and its output, files and result are kept', async () => {
    const value = `quotes ' " \\ and $HOME`
    await world.request('PUT', '/v1/secrets/KEY', { body: { value: 'a-long-secret-value' } })
    const script = `
printf 'one "two" \\\\ \\ttab\\n%s\\n' "$MODE"; echo "$KEY" >&2; echo "ö"
mkdir -p model/deep; printf 'a\\000b\\377' >model/deep/m.bin; echo 1,2 >a.csv; echo no >left.txt; ln -s /etc/passwd model/link
echo '{"score": 0.5}' >result.json
[ -z "\${BERTH_TOKEN-}" ] || echo "the token is here"`
    const run = await launch(bin, script, {
      env: { MODE: value },
      secrets: ['KEY'],
      outputs: ['*.csv', 'model/*'],
    })
    expect(await run.over, run.said()).toBe(0)
    const job = await read(run.id)
    expect(job).toMatchObject({ state: 'succeeded', result: { score: 0.5 } })
    expect(await log(run.id)).toEqual({ stdout: `one "two" \\ \ttab\n${value}\nö\n`, stderr: '[masked]\n' })
    const files = (await (await world.request('GET', `/v1/jobs/${run.id}/artifacts`)).json()) as {
      items: { name: string }[]
    }
    expect(files.items.map((each) => each.name).toSorted()).toEqual([
      'a.csv',
      'model/deep/m.bin',
      'result.json',
    ])
    const kept = await world.request('GET', `/v1/jobs/${run.id}/artifacts/model%2Fdeep%2Fm.bin`)
    expect(Buffer.from(await kept.arrayBuffer())).toEqual(Buffer.from('a\0b\xff', 'latin1'))
    // Nothing of a secret is left on the disk of the container.
    for (const path of readdirSync(run.home, { recursive: true, encoding: 'utf8' })) {
      if (!statSync(join(run.home, path)).isFile()) continue
      const text = readFileSync(join(run.home, path), { encoding: 'latin1', flag: 'r' }).toString()
      if (path.includes('stderr') || path.includes('spool') || ['piece', 'chunk'].includes(path)) continue
      expect([path, text.includes('a-long-secret-value')]).toEqual([path, false])
    }
  })

  test('tells its exit code and its last words', async () => {
    const run = await launch(bin, 'echo first >&2; echo "no such column: x" >&2; exit 3')
    expect(await run.over, run.said()).toBe(3)
    expect(await read(run.id)).toMatchObject({
      state: 'failed',
      error: { message: 'no such column: x', exit_code: 3 },
    })
  })

  test('is stopped with grace, and what it kept is there', async () => {
    const script = `trap 'echo "{\\"best\\": 1}" >result.json; exit 0' TERM; echo up; while :; do sleep 0.1; done`
    const run = await launch(bin, script)
    await until(async () => (await log(run.id)).stdout === 'up\n')
    await read(run.id)
    expect((await world.request('POST', `/v1/jobs/${run.id}/stop`)).status).toBe(202)
    await world.settle()
    expect(await run.over, run.said()).toBe(0)
    expect(await read(run.id)).toMatchObject({ state: 'succeeded', result: { best: 1 } })
  })

  test('keeps working while Berth is away', async () => {
    const run = await launch(bin, 'echo up; while [ ! -e go ]; do sleep 0.1; done; echo end; exit 0')
    await until(async () => (await log(run.id)).stdout === 'up\n')
    away = 502
    const refused_before = refused
    const work = existsSync(join(run.home, 'work')) ? 'work' : 'out'
    writeFileSync(join(run.home, work, 'go'), '')
    await until(() => refused >= refused_before + 2)
    expect(run.child.exitCode).toBeNull()
    away = null
    expect(await run.over, run.said()).toBe(0)
    expect((await log(run.id)).stdout).toBe('up\nend\n')
    expect(await read(run.id)).toMatchObject({ state: 'succeeded' })
  })

  test('is over when Berth says so, and never runs twice', async () => {
    const run = await launch(bin, 'echo up; while :; do sleep 0.1; done')
    await until(async () => (await log(run.id)).stdout === 'up\n')
    run.child.kill('SIGKILL')
    await run.over
    const again = run.start()
    await again.over
    expect((await log(run.id)).stdout).toBe('up\n')
    const attempts = (await (await world.request('GET', `/v1/jobs/${run.id}/attempts`)).json()) as {
      items: unknown[]
    }
    await read(run.id)
    expect(attempts.items).toHaveLength(1)
    const row = await world.deps.db
      .selectFrom('attempts')
      .select('finished')
      .where('id', '=', run.attempt_id ?? '')
      .executeTakeFirstOrThrow()
    expect(row.finished).toMatchObject({ failure: 'runner_crashed' })
  })
})

test('a wrong command in an image is the user’s to mend', async () => {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  images['Python']?.(bin)
  const run = await launch(bin, '', { command: ['no-such-program'] })
  expect(await run.over, run.said()).toBe(127)
  const row = await world.deps.db.selectFrom('attempts').select('finished').executeTakeFirstOrThrow()
  expect(row.finished).toMatchObject({
    exit_code: 127,
    failure: 'invalid_params',
    error: { message: expect.stringContaining('no-such-program') },
  })
  // It would fail so again.
  expect(await read(run.id)).toMatchObject({ state: 'failed', error: { code: 'invalid_params' } })
})
