import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LaunchRequest, Provider } from '../../providers/provider.ts'
import { type FakeEngine, openFakeEngine } from '../fakes/engine.ts'
import {
  attemptIds,
  containersProvider,
  inspectOne,
  refOf,
  requestOf,
  signal,
  token,
} from '../support/containers-world.ts'
import { found, until } from '../support/local-world.ts'

let engine: FakeEngine
let provider: Provider
const next = attemptIds()
const image = 'ghcr.io/desk/model@sha256:34a8a6b7f06afc652f2902c6fe33debe23f96b341119d81b2541e7ec0ad43576'
const registry = { server: 'ghcr.io', username: 'desk', password: 'a-registry-password' }

beforeEach(async () => {
  engine = await openFakeEngine()
  engine.images.add(image)
  provider = containersProvider({ socket: engine.socket })
})

afterEach(() => engine.close())

const asked = (change: Partial<LaunchRequest> = {}) => requestOf(next(), { image, ...change })
const launch = (request: LaunchRequest) => provider.launch(request, { token, registry }, signal)
/** What a launch came to: a handle's name, or the error. */
const outcome = (request: LaunchRequest) =>
  launch(request).then(
    ({ name }) => ({ name }),
    ({ code, detail, message, cause }) => ({ code, detail, text: `${detail} ${message} ${String(cause)}` }),
  )

describe('an answer that is lost after the call took effect', () => {
  test.each([/POST \/volumes\/create/, /POST \/containers\/create/, /PUT .*archive/, /POST .*start/])(
    '%s: the launch is repeated and starts one',
    async (call) => {
      const request = asked()
      engine.breakNext(call, 'lost_answer')
      expect(await outcome(request)).toMatchObject({ code: 'unknown_outcome' })
      expect(await outcome(request)).toEqual({ name: request.name })
      expect([...engine.containers.values()]).toMatchObject([{ state: 'running', folders: true }])
      expect(engine.volumes.size).toBe(1)
    },
  )

  test.each([/POST .*stop/, /DELETE \/containers/, /DELETE \/volumes/])(
    '%s: the stop is repeated',
    async (call) => {
      const request = asked()
      await launch(request)
      engine.breakNext(call, 'lost_answer')
      await expect(provider.stop(refOf(request), signal)).rejects.toMatchObject({ code: 'unknown_outcome' })
      await provider.stop(refOf(request), signal)
      expect([engine.containers.size, engine.volumes.size]).toEqual([0, 0])
      expect(await inspectOne(provider, request)).toEqual({ state: 'gone', detail: null })
    },
  )
})

const broken = [
  ['reset', 'reset'],
  ['an HTML page', { status: 502, body: '<html>Bad Gateway</html>', type: 'text/html' }],
  ['an HTML page that says 200', { status: 200, body: '<html>Login</html>', type: 'text/html' }],
  ['500', { status: 500, body: '{"message":"server misbehaving"}' }],
  ['half a JSON text', { status: 200, body: '[{"Names":["/a"' }],
  ['another JSON', { status: 200, body: '{"items":[]}' }],
] as const

describe('an engine that answers with what is no answer', () => {
  test.each(broken)('%s: a read is unavailable, and nothing is gone', async (_, how) => {
    const request = asked()
    await launch(request)
    engine.breakNext(/GET \/containers\/json/, how)
    await expect(inspectOne(provider, request)).rejects.toMatchObject({ code: 'unavailable' })
    engine.breakNext(/GET \/containers\/json/, how)
    await expect(found(provider)).rejects.toMatchObject({ code: 'unavailable' })
    engine.breakNext(/GET \/info/, how)
    await expect(provider.offers(signal)).rejects.toMatchObject({ code: 'unavailable' })
    expect(await inspectOne(provider, request)).toMatchObject({ state: 'running' })
  })

  test.each(broken)('%s: a launch has an unknown outcome', async (_, how) => {
    const request = asked()
    engine.breakNext(/POST \/volumes/, how)
    expect(await outcome(request)).toMatchObject({ code: 'unknown_outcome' })
    expect(await outcome(request)).toEqual({ name: request.name })
  })
})

test('a call that hangs ends with its caller, and the next launch joins it', async () => {
  const request = asked()
  engine.breakNext(/POST \/containers\/create/, 'hang')
  const caller = new AbortController()
  const called = provider.launch(request, { token }, caller.signal)
  await until(() => engine.calls.some((call) => call.startsWith('POST /containers/create')))
  caller.abort()
  await expect(called).rejects.toMatchObject({ code: 'unknown_outcome' })
  expect(await inspectOne(provider, request)).toMatchObject({ state: 'pending' })
  // Another replica does not wait for it.
  const other = containersProvider({ socket: engine.socket })
  await other.launch(request, { token }, signal)
  expect(await inspectOne(other, request)).toMatchObject({ state: 'running' })
  for (const call of [
    (given: AbortSignal) => provider.inspect([refOf(request)], given),
    (given: AbortSignal) => provider.offers(given),
    (given: AbortSignal) => provider.stop(refOf(request), given),
    (given: AbortSignal) => provider.launch(asked(), { token }, given),
  ])
    await expect(call(caller.signal)).rejects.toMatchObject({ name: 'ProviderError' })
})

// What Docker and podman answer, word for word but for the names.
const refusals: [string, RegExp, number, string, string][] = [
  [
    'denied by a plugin',
    /POST \/containers\/create/,
    403,
    'authorization denied by plugin casbin: access denied',
    'unauthorized',
  ],
  [
    'too many cores',
    /POST \/containers\/create/,
    400,
    'range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available',
    'rejected',
  ],
  ['too little memory', /POST \/containers\/create/, 400, 'Minimum memory limit allowed is 6MB', 'rejected'],
  ['no such network', /POST .*start/, 404, 'network desk not found', 'rejected'],
  [
    'no GPUs',
    /POST .*start/,
    500,
    'could not select device driver "nvidia" with capabilities: [[gpu]]',
    'rejected',
  ],
  [
    'no GPUs by CDI',
    /POST .*start/,
    500,
    'CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0',
    'rejected',
  ],
  [
    'a full disk',
    /POST \/containers\/create/,
    500,
    'mkdir /var/lib/docker/overlay2/1: no space left on device',
    'capacity',
  ],
  ['throttled', /POST \/volumes/, 429, 'too many requests', 'throttled'],
  [
    'anything else',
    /POST .*start/,
    500,
    'driver failed programming external connectivity',
    'unknown_outcome',
  ],
]

test.each(refusals)('a launch refused: %s', async (_, call, status, message, code) => {
  engine.breakNext(call, { status, body: JSON.stringify({ message }) })
  expect(await outcome(asked())).toMatchObject({
    code,
    detail: expect.stringContaining(message.slice(0, 30)),
  })
})

const commands: [string, number, string, number][] = [
  [
    'Docker',
    400,
    'failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: exec: "trian": executable file not found in $PATH: unknown',
    127,
  ],
  [
    'Docker, not executable',
    400,
    'failed to create task for container: OCI runtime create failed: runc create failed: unable to start container process: exec: "/etc/hosts": permission denied: unknown',
    126,
  ],
  [
    'another architecture',
    400,
    'failed to create task for container: OCI runtime create failed: exec /usr/bin/python3: exec format error',
    126,
  ],
]

test.each(commands)(
  'a command that cannot be run is a problem of the image: %s',
  async (_, status, message, exit_code) => {
    const request = asked({ command: ['trian'] })
    engine.breakNext(/POST .*start/, { status, body: JSON.stringify({ message }) })
    expect(await outcome(request)).toEqual({ name: request.name })
    expect(engine.containers.size).toBe(0)
    expect(await outcome(request)).toEqual({ name: request.name })
    expect(await inspectOne(containersProvider({ socket: engine.socket }), request)).toMatchObject({
      state: 'exited',
      exit_code,
      reason: 'image',
    })
  },
)

const pulls: [string, object, string][] = [
  [
    'missing tag',
    {
      status: 404,
      message: 'manifest for ghcr.io/desk/other:1 not found: manifest unknown: manifest unknown',
    },
    'image',
  ],
  [
    'missing or private',
    {
      status: 404,
      message:
        "pull access denied for desk/other, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
    },
    'image',
  ],
  [
    'wrong credential',
    {
      status: 500,
      message: 'Head "https://ghcr.io/v2/desk/other/manifests/1": unauthorized: authentication required',
    },
    'image',
  ],
  [
    'no layer for this machine',
    {
      lines: [
        { status: 'Pulling from desk/other' },
        {
          errorDetail: { message: 'no matching manifest for linux/arm64/v8 in the manifest list entries' },
          error: 'no matching manifest for linux/arm64/v8',
        },
      ],
    },
    'image',
  ],
  [
    'podman, missing',
    {
      lines: [
        {
          error:
            'initializing source docker://ghcr.io/desk/other:1: reading manifest 1 in ghcr.io/desk/other: manifest unknown',
        },
      ],
    },
    'image',
  ],
  [
    'throttled',
    {
      status: 500,
      message:
        'toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating',
    },
    'throttled',
  ],
  [
    'throttled on the way',
    {
      lines: [
        { status: 'Pulling fs layer', id: 'a' },
        { error: 'error pulling image configuration: toomanyrequests: retry later' },
      ],
    },
    'throttled',
  ],
  [
    'a registry that is away',
    { status: 500, message: 'Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io: no such host' },
    'unknown_outcome',
  ],
  [
    'a registry that is slow',
    {
      status: 500,
      message:
        'Get "https://ghcr.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)',
    },
    'unknown_outcome',
  ],
  [
    'a full disk',
    {
      lines: [
        {
          errorDetail: {
            message: 'failed to register layer: write /lib/libtorch.so: no space left on device',
          },
          error: 'failed to register layer',
        },
      ],
    },
    'capacity',
  ],
]

test.each(pulls)('a pull that fails: %s', async (_, said, meaning) => {
  const request = asked({ image: 'ghcr.io/desk/other:1' })
  engine.registry.set('ghcr.io/desk/other:1', said)
  if (meaning !== 'image') return expect(await outcome(request)).toMatchObject({ code: meaning })
  expect(await outcome(request)).toEqual({ name: request.name })
  // Every process of Berth sees it, and a repeated launch asks no registry.
  const other = containersProvider({ socket: engine.socket })
  expect(await inspectOne(other, request)).toMatchObject({
    state: 'exited',
    exit_code: null,
    reason: 'image',
    detail: expect.stringContaining('the image ghcr.io/desk/other:1 cannot be pulled: '),
  })
  await other.launch(request, { token }, signal)
  expect(engine.calls.filter((call) => call.startsWith('POST /images/create'))).toHaveLength(1)
  await provider.stop(refOf(request), signal)
  expect([await inspectOne(provider, request), engine.volumes.size]).toEqual([
    { state: 'gone', detail: null },
    0,
  ])
})

test('a name that is no image is a problem of the image, without a call', async () => {
  const request = asked({ image: '../../info?x=' })
  await launch(request)
  expect(await inspectOne(provider, request)).toMatchObject({ state: 'exited', reason: 'image' })
  expect(engine.calls.filter((call) => call.includes('/images/'))).toEqual([])
})

describe('a long pull', () => {
  const big = 'docker.io/desk/big:1'
  const lines = [
    { status: 'Pulling fs layer', id: 'a', progressDetail: {} },
    { status: 'Downloading', id: 'a', progressDetail: { current: 52_428_800, total: 104_857_600 } },
  ]

  test('is shown, outlives the call that began it, and is joined by the next', async () => {
    const request = asked({ image: big })
    engine.registry.set(big, { lines, hold: true })
    const caller = new AbortController()
    const called = provider.launch(request, { token, registry }, caller.signal)
    await until(async () => {
      const seen = await inspectOne(provider, request)
      return seen.detail === 'the image is being pulled (50 of 100 MiB)'
    })
    caller.abort()
    await expect(called).rejects.toMatchObject({
      code: 'unknown_outcome',
      detail: expect.stringContaining('50 of 100'),
    })
    const other = containersProvider({ socket: engine.socket })
    expect(await inspectOne(other, { ...request })).toEqual({
      state: 'pending',
      detail: 'its launch is under way',
    })
    const again = launch(request)
    engine.release()
    expect(await again).toEqual({ host: 'here', name: request.name })
    expect(engine.calls.filter((call) => call.startsWith('POST /images/create'))).toHaveLength(1)
    const auth = engine.headers.map((each) => each['x-registry-auth']).find((each) => each !== undefined)
    expect(JSON.parse(Buffer.from(auth ?? '', 'base64url').toString())).toEqual({
      username: 'desk',
      password: registry.password,
      serveraddress: 'ghcr.io',
    })
  })

  test('is called off by a stop, here and from another replica', async () => {
    for (const stopping of [provider, containersProvider({ socket: engine.socket })]) {
      const request = asked({ image: big })
      engine.registry.set(big, { lines, hold: true })
      const called = outcome(request)
      await until(async () => (await inspectOne(provider, request)).detail?.includes('MiB'))
      await stopping.stop(refOf(request), signal)
      engine.release()
      expect(await called).toMatchObject({ code: 'unknown_outcome' })
      expect([engine.containers.size, engine.volumes.size]).toEqual([0, 0])
      engine.images.delete(big)
    }
  })
})

test('with `always` the registry is asked although the engine has the image', async () => {
  const careful = containersProvider({ socket: engine.socket }, { policy: { pull: 'always' } })
  engine.images.add('desk/private:1')
  const request = asked({ image: 'desk/private:1' })
  engine.registry.set('desk/private:1', { status: 404, message: 'pull access denied for desk/private' })
  await careful.launch(request, { token }, signal)
  expect(await inspectOne(careful, request)).toMatchObject({ state: 'exited', reason: 'image' })
})

test('out of memory, paused, and half removed containers are told apart', async () => {
  const cases = [
    [
      { state: 'exited', exit_code: 137, oom_killed: true },
      { state: 'exited', exit_code: 137, reason: 'out_of_memory' },
    ],
    [
      { state: 'dead', exit_code: 1, error: 'driver "overlay2" failed' },
      { state: 'exited', exit_code: 1, detail: 'driver "overlay2" failed' },
    ],
    [{ state: 'paused' }, { state: 'running', detail: 'its container is paused' }],
    [{ state: 'removing' }, { state: 'running', detail: 'its container is removing' }],
  ] as const
  for (const [change, seen] of cases) {
    const request = asked()
    await launch(request)
    Object.assign(engine.containers.get(request.name) as object, change)
    expect(await inspectOne(provider, request)).toMatchObject(seen)
  }
})

test('a thousand refs are one call, and those that are over one each', async () => {
  const requests = Array.from({ length: 20 }, () => asked())
  for (const request of requests) await launch(request)
  Object.assign(engine.containers.get(requests[3]?.name ?? '') as object, { state: 'exited', exit_code: 5 })
  engine.calls.length = 0
  const refs = Array.from({ length: 1_000 }, (_, at) => refOf(requests[at % 20] as LaunchRequest))
  const seen = await provider.inspect(refs, signal)
  expect(seen.filter(({ state }) => state === 'running')).toHaveLength(950)
  expect(seen[3]).toMatchObject({ state: 'exited', exit_code: 5 })
  expect(engine.calls.filter((call) => call.startsWith('GET /containers/json'))).toHaveLength(1)
  expect(engine.calls.length).toBeLessThanOrEqual(2)
})

test('a GPU is asked for by the index of its offer, in the words of the engine', async () => {
  const gpus = [{ index: 1, model: 'RTX 4090', memory_gib: 24, compute_capability: '8.9' }]
  for (const [gpus_by, given] of [
    ['nvidia', { Driver: 'nvidia', DeviceIDs: ['1'], Capabilities: [['gpu']] }],
    ['cdi', { Driver: 'cdi', DeviceIDs: ['nvidia.com/gpu=1'] }],
  ] as const) {
    const withGpu = containersProvider({ socket: engine.socket }, { gpus, policy: { gpus_by } })
    const [cpu, offer] = await withGpu.offers(signal)
    expect([cpu?.cpu, cpu?.memory_gib, offer?.gpu?.model, offer?.slots]).toEqual([8, 32, 'RTX 4090', 1])
    const request = asked({ offer: offer as LaunchRequest['offer'], device: 'cuda' })
    await withGpu.launch(request, { token }, signal)
    expect(engine.containers.get(request.name)?.body['HostConfig']).toMatchObject({ DeviceRequests: [given] })
  }
})

test('check names what the engine lacks', async () => {
  Object.assign(engine.info, { PidsLimit: false, SwapLimit: false, Runtimes: { runc: {} } })
  engine.version = { ApiVersion: '1.39', MinAPIVersion: '1.12' }
  const gpus = [{ index: 0, model: 'L4', memory_gib: 24, compute_capability: '8.9' }]
  const poor = containersProvider({ socket: engine.socket }, { gpus, policy: { network: 'none' } })
  expect((await poor.check(signal)).map(({ name, ok, detail }) => [name, ok, detail])).toEqual([
    ['engine', false, 'Engine 29.1.0, API 1.39: 1.40 or newer is needed'],
    ['rights', true, 'containers can be listed'],
    ['limits', false, 'swap, pids cannot be bound: enable these cgroup controllers for the engine'],
    ['gpu', false, 'L4: install the NVIDIA Container Toolkit, or give GPUs by "cdi"'],
    ['network', false, 'the network "none" keeps a runner from Berth: name another in the account'],
  ])
  const elsewhere = containersProvider({ socket: '/none/engine.sock' })
  expect((await elsewhere.check(signal))[0]).toMatchObject({
    name: 'engine',
    ok: false,
    detail: expect.stringContaining('ENOENT'),
  })
})

test('engines old and new are asked in a version that they have', async () => {
  for (const version of [
    { ApiVersion: '1.41', MinAPIVersion: '1.24', podman: true as const },
    { ApiVersion: '1.60', MinAPIVersion: '1.48' },
  ]) {
    engine.version = version
    expect(await containersProvider({ socket: engine.socket }).offers(signal)).toHaveLength(1)
  }
})

test.each([
  [{ image: null }, {}, 'needs an image'],
  [{}, { network: 'none' }, 'must reach Berth'],
  [{}, { network: 'bridge' }, 'set BERTH_PUBLIC_URL'],
  [{ name: '../x' }, {}, 'cannot name a container'],
  [{ offer: { ...requestOf('att_x').offer, region: 'there' } }, {}, 'another machine'],
])('what cannot be launched is rejected before any call: %j %j', async (change, policy, words) => {
  const strict = containersProvider({ socket: engine.socket }, { policy })
  await expect(strict.launch(asked(change), { token }, signal)).rejects.toMatchObject({
    code: 'rejected',
    detail: expect.stringContaining(words),
  })
  expect(engine.calls).toEqual([])
})

test('on a bridge the machine itself is reached by the name that the engine knows', async () => {
  const bridged = containersProvider({ socket: engine.socket }, { policy: { network: 'bridge' } })
  const request = asked({ berth_url: 'http://host.docker.internal:8080' })
  await bridged.launch(request, { token }, signal)
  expect(engine.containers.get(request.name)?.body['HostConfig']).toMatchObject({
    NetworkMode: 'bridge',
    ExtraHosts: ['host.docker.internal:host-gateway'],
  })
})

test('the tail is the last 64 KiB of both streams', async () => {
  const request = asked()
  await launch(request)
  const block = (stream: number, text: string) => {
    const header = Buffer.alloc(8)
    header[0] = stream
    header.writeUInt32BE(text.length, 4)
    return Buffer.concat([header, Buffer.from(text)])
  }
  const container = engine.containers.get(request.name)
  if (container)
    container.log = Buffer.concat([...Array(100).fill(block(1, 'x'.repeat(1_000))), block(2, 'end\n')])
  const tail = (await provider.tail?.(refOf(request), signal)) ?? ''
  expect([tail.length, tail.endsWith('xend\n')]).toEqual([65_536, true])
})

test('no secret is in an error, a handle, a label or a listing', async () => {
  const request = asked()
  const echo = `invalid environment variable: BERTH_TOKEN=${token}; auth ${registry.password}`
  for (const call of [/POST \/volumes/, /POST \/containers\/create/, /PUT .*archive/, /POST .*start/]) {
    engine.breakNext(call, { status: 400, body: JSON.stringify({ message: echo }) })
    const failed = await outcome(request)
    expect(failed).toMatchObject({ code: 'rejected' })
    expect(JSON.stringify(failed)).not.toMatch(/brt_|a-registry-password/)
    engine.volumes.clear()
    engine.containers.clear()
  }
  const other = asked({ image: 'desk/other:1' })
  engine.registry.set('desk/other:1', {
    status: 404,
    message: `not found with ${registry.password} ${token}`,
  })
  const handle = await launch(other)
  const container = asked()
  await launch(container)
  const shown: unknown[] = [
    handle,
    await inspectOne(provider, other),
    await found(provider),
    [...engine.volumes],
    engine.calls,
  ]
  shown.push([...engine.containers.values()].map(({ labels }) => labels))
  expect(JSON.stringify(shown)).not.toMatch(/brt_|a-registry-password/)
})
