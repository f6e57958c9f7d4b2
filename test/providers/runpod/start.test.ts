// What runs in a pod: the work once, then the end of the pod by its own key, whatever RunPod starts again.
import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { getRequestListener } from '@hono/node-server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JobView } from '../../../jobs/view.ts'
import type { LaunchRequest } from '../../../providers/provider.ts'
import { startOf } from '../../../providers/runpod/start.ts'
import { bodies } from '../../fakes/runpod-recorded.ts'
import { python, until } from '../../support/local-world.ts'
import { attempt_id, openRunpodAccount, type RunpodAccount } from '../../support/runpod-account.ts'
import { type Container, startContainer, wipe } from '../../support/runpod-container.ts'
import { openTestWorld, type World } from '../../support/world.ts'

const common =
  'sh cat cp cut date env find head kill ln mkdir printf rm sed sleep sort tail touch tr wc sha256sum setsid'.split(
    ' ',
  )

/** Programs as images have them, by what asks RunPod; null: this machine has not what it needs. */
const images: Record<string, (bin: string) => string | null> = {
  curl: (bin) => linked(bin, [...common, 'curl']),
  wget: (bin) => linked(bin, [...common, 'wget', 'base64']),
  Python: (bin) => {
    if (linked(bin, common) === null) return null
    const asked = spawnSync(python, ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' })
    symlinkSync(asked.stdout.trim(), join(bin, 'python3'))
    return bin
  },
}

function linked(bin: string, names: readonly string[]): string | null {
  for (const name of names) {
    const path = ['/usr/bin', '/bin'].map((each) => join(each, name)).find((each) => existsSync(each))
    if (path === undefined) return null
    symlinkSync(path, join(bin, name))
  }
  return bin
}

const forever = '2126-01-01T00:00:00Z'
const containers: Container[] = []
let folder: string
let bin: string
let account: RunpodAccount
let world: World
let server: ReturnType<typeof createServer>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'berth-runpod-'))
  bin = join(folder, 'bin')
  mkdirSync(bin)
  account = await openRunpodAccount()
  world = await openTestWorld()
  Object.assign(world.model.provider.traits, { runs_images: true })
  const listener = getRequestListener((request) => world.app.fetch(request))
  server = createServer((request, response) => void listener(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  for (const each of containers.splice(0)) await each.kill()
  endAll(folder)
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
  await account.runpod.close()
  await world[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** Runners make groups of their own. */
function endAll(within: string) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name)))
    try {
      if (readlinkSync(`/proc/${pid}/cwd`).startsWith(within)) process.kill(Number(pid), 'SIGKILL')
    } catch {
      // It has ended by itself, or is somebody else's.
    }
}

/** A custom job, and the pod that the adapter makes for its attempt. */
async function submit(script: string) {
  const body = { kind: 'custom', params: { image: 'desk/any:1', command: ['sh', '-c', script] } }
  const { id } = (await (await world.request('POST', '/v1/jobs', { body })).json()) as JobView
  await world.settle()
  const [, machine] = [...world.model.machines].at(-1) ?? []
  if (!machine) throw new Error('nothing was launched')
  const provider = account.open()
  const offer = await account.offer(provider, ({ spot }) => !spot)
  const berth_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const request = { ...machine.request, offer, berth_url, deadline_at: forever }
  await provider.launch(request, { token: machine.token }, new AbortController().signal)
  const [pod] = account.runpod.state.pods
  if (!pod) throw new Error('no pod')
  const start = () => {
    const container = startContainer(pod, folder, bin)
    containers.push(container)
    return container
  }
  return { id, pod, start }
}

const read = async (id: string): Promise<JobView> => {
  world.advance(1)
  await world.settle()
  return (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
}
const ran = () => (existsSync(join(folder, 'ran')) ? readFileSync(join(folder, 'ran'), 'utf8') : '')

describe.for(Object.keys(images))('an image with %s', (name) => {
  beforeEach((context) => {
    if (images[name]?.(bin) === null) context.skip(`this machine has no ${name}`)
  })

  test('works once, reports, ends its pod, and stays until it is gone', async () => {
    const script = `echo once >>${folder}/ran; env >${folder}/env; echo '{"score": 1}' >result.json`
    const { id, pod, start } = await submit(script)
    const container = start()
    await until(() => pod.end !== null)
    expect(await read(id)).toMatchObject({ state: 'succeeded', result: { score: 1 } })
    expect([ran(), pod.end?.how]).toEqual(['once\n', 'terminated'])
    expect(container.child.exitCode, container.said()).toBeNull()
    // The work has neither key, and the account's is nowhere.
    // What the work has, and what it can read of the process that stays beside it.
    const began = readFileSync(`/proc/${container.child.pid}/environ`, 'utf8')
    expect(began).toContain(`BERTH_ATTEMPT_ID=${pod.env['BERTH_ATTEMPT_ID']}`)
    for (const seen of [readFileSync(join(folder, 'env'), 'utf8'), began])
      expect(seen).not.toMatch(/RUNPOD_API_KEY|BERTH_TOKEN|rpa_/)
  })

  test('started again in the middle, with its disk wiped, it does not work again', async () => {
    const { id, pod, start } = await submit(`echo once >>${folder}/ran; while :; do sleep 0.1; done`)
    const first = start()
    await until(() => ran() === 'once\n')
    await first.kill()
    endAll(join(folder, 'disk'))
    wipe(folder)
    start()
    // Berth has bound the attempt to the first one, and says so.
    await until(() => pod.end !== null)
    expect(ran()).toBe('once\n')
    expect(await read(id)).toMatchObject({ state: 'running' })
  })
})

describe('an image with curl', () => {
  beforeEach((context) => {
    if (images['curl']?.(bin) === null) context.skip('this machine has no curl')
  })

  test.each([
    ['its disk kept', false],
    ['its disk wiped', true],
  ])('started again after the end, with %s, it does not work again', async (_, wiped) => {
    const { id, pod, start } = await submit(`echo once >>${folder}/ran`)
    // RunPod does not end it.
    account.runpod.answerWith(() => true, bodies.rest_500)
    const first = start()
    await until(() => /500/.test(first.said()))
    expect(await read(id)).toMatchObject({ state: 'succeeded' })
    await first.kill()
    if (wiped) wipe(folder)
    account.runpod.answerWith(() => false, bodies.rest_500)
    start()
    await until(() => pod.end !== null)
    expect(ran()).toBe('once\n')
  })

  test('where REST v2 does not end it, GraphQL does', async () => {
    const { pod, start } = await submit('true')
    account.runpod.answerWith(({ path }) => path.startsWith('/v2/'), bodies.rest_403)
    start()
    await until(() => pod.end !== null)
  })

  test('a notice to the machine reaches the work', async () => {
    const script = `trap 'echo noticed >>${folder}/ran; exit 0' TERM; echo up >>${folder}/ran; while :; do sleep 0.1; done`
    const { pod, start } = await submit(script)
    const container = start()
    await until(() => ran() === 'up\n')
    container.child.kill('SIGTERM')
    await until(() => pod.end !== null)
    expect(ran()).toBe('up\nnoticed\n')
  })
})

/** A pod whose work is this, and which no job is of. */
async function alone(given: Partial<LaunchRequest>) {
  const provider = account.open()
  const request = account.requestOf(await account.offer(provider), { deadline_at: forever, ...given })
  await account.launch(provider, request)
  const [pod] = account.runpod.state.pods
  if (!pod) throw new Error('no pod')
  const container = startContainer(pod, folder, bin)
  containers.push(container)
  return { pod, container }
}

describe('what the container keeps to', () => {
  beforeEach((context) => {
    if (images['curl']?.(bin) === null) context.skip('this machine has no curl')
  })

  test('long after the deadline it ends its pod though the work goes on', async () => {
    const command = ['sh', '-c', `echo up >>${folder}/ran; while :; do sleep 0.1; done`]
    const { pod } = await alone({ command, deadline_at: '2026-01-01T00:00:00Z' })
    await until(() => pod.end !== null)
  })

  test('the work gets its words as they are', async () => {
    const words = ["it's", '"quoted"', '$HOME `date` \\n', 'two\nlines', 'ü']
    const command = [
      'sh',
      '-c',
      `for each; do printf '<%s>\\n' "$each"; done >${folder}/ran`,
      'name',
      ...words,
    ]
    const { pod } = await alone({ command })
    await until(() => pod.end !== null)
    expect(ran()).toBe(words.map((each) => `<${each}>\n`).join(''))
  })

  test('an image whose own entry is the runner ends its pod by what the runner becomes', async () => {
    const { pod } = await alone({ command: null })
    expect(pod.args).toBe('')
    await until(() => pod.end !== null)
  })

  test('a pod ends no other, and is ended again until it is gone', async () => {
    const { pod } = await alone({ command: ['true'] })
    await until(() => pod.end !== null)
    const before = account.runpod.wire.count()
    await until(() => account.runpod.wire.count() > before + 1)
    expect(account.runpod.of(attempt_id)).toHaveLength(1)
  })
})

test('the same launch starts with the same command', async () => {
  const request = account.requestOf(await account.offer(account.open()))
  const start = () => startOf(request, { token: 't' }, { url: 'https://api.runpod.io' })
  expect(start()).toEqual(start())
})
