// The adapter of ECS beside what the conformance suite tries: the vendor's own ways, each as its documents have it.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { requestFor } from '../../providers/conformance/subject.ts'
import type { WireRequest } from '../fakes/wire.ts'
import { leakIn } from '../../providers/conformance/secrets.ts'
import type { ProviderError } from '../../providers/errors.ts'
import { openApi } from '../../providers/alibaba/api.ts'
import { codeOf, table } from '../../providers/alibaba/errors.ts'
import { releaseTime } from '../../providers/alibaba/launch.ts'
import type { Found, Observation, Offer, Provider } from '../../providers/provider.ts'
import { type FakeInstance, statusOf } from '../fakes/alibaba-machines.ts'
import { key } from '../fakes/alibaba.ts'
import { recorded, unheardOf } from '../fakes/alibaba-answers.ts'
import {
  alibabaOptions,
  cpuType,
  type FakeEcs,
  gpuType,
  installation,
  openFakeEcs,
  openProvider,
} from '../support/alibaba-account.ts'

const signal = new AbortController().signal
const secrets = { token: 'the-token-of-the-attempt', bootstrap: 'the-token-of-the-machine' }
let ecs: FakeEcs
beforeEach(async () => {
  ecs = await openFakeEcs()
})
afterEach(() => ecs.close())

const failureOf = async (work: Promise<unknown>): Promise<ProviderError> =>
  work.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error as ProviderError,
  )

const id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'
async function requestOf(attempt_id = id, wanted: Partial<Offer> = { spot: false }) {
  const offers = await openProvider(ecs).offers(signal)
  const offer = offers.find(({ gpu, spot }) => gpu && spot === wanted.spot) as Offer
  const deadline_at = new Date(ecs.state.now_ms + 3_600_000).toISOString()
  return requestFor(
    attempt_id,
    { ...offer, ...wanted },
    { installation, deadline_at, image: 'example.test/work:1' },
  )
}
async function listed(provider: Provider): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of provider.list(signal)) found.push(each)
  return found
}
const launched = (): FakeInstance => [...ecs.state.instances.values()][0] as FakeInstance
const asked = (action: string) => ecs.state.asked.filter((each) => each.action === action)
const pass = (s: number) => (ecs.state.now_ms += s * 1_000)
async function seen(handle: Record<string, unknown>): Promise<Observation | undefined> {
  return (await openProvider(ecs).inspect([{ attempt_id: id, handle, request: null }], signal))[0]
}

describe('a launch', () => {
  test('asks for one machine that nobody reaches, that is tagged, and that ends by itself', async () => {
    const request = await requestOf()
    await openProvider(ecs).launch(request, secrets, signal)
    const { UserData, ...parameters } = Object.fromEntries(asked('RunInstances')[0]?.parameters ?? [])
    expect(parameters).toEqual({
      RegionId: 'cn-hangzhou',
      InstanceType: gpuType,
      ImageId: 'm-bp1example',
      VSwitchId: 'vsw-bp1i',
      SecurityGroupId: 'sg-bp1example',
      Amount: '1',
      ClientToken: id,
      InstanceName: request.name,
      HostName: request.name,
      InstanceChargeType: 'PostPaid',
      SpotStrategy: 'NoSpot',
      'SystemDisk.Category': 'cloud_essd',
      'SystemDisk.Size': '200',
      RamRoleName: 'berth-machine',
      InternetMaxBandwidthOut: '0',
      HttpTokens: 'required',
      'Tag.1.Key': 'berth:installation',
      'Tag.1.Value': installation,
      'Tag.2.Key': 'berth:attempt',
      'Tag.2.Value': id,
      'Tag.3.Key': 'berth:usd-per-hour',
      'Tag.3.Value': '1.456',
      AutoReleaseTime: '2026-03-02T10:45:00Z',
    })
    expect(UserData).toBeDefined()
  })

  test('its user data holds a token for one exchange, and neither the token of the attempt nor a password', async () => {
    const registry = { server: 'registry.example.test', username: 'robot', password: 'a-password-of-a-robot' }
    await openProvider(ecs).launch(await requestOf(), { ...secrets, registry }, signal)
    const { user_data } = launched()
    expect(user_data.startsWith('#!/bin/bash\n')).toBe(true)
    expect(user_data).toContain("bootstrap='the-token-of-the-machine'")
    expect(user_data).not.toContain(secrets.token)
    expect(user_data).not.toContain(registry.password)
    expect(Buffer.byteLength(user_data)).toBeLessThan(8 * 1024)
    const error = await failureOf(openProvider(ecs).launch(await requestOf(), { token: 't' }, signal))
    expect(error).toMatchObject({ code: 'rejected' })
  })

  test('repeated much later it is the same to the byte, and starts nothing new', async () => {
    const request = await requestOf()
    const first = await openProvider(ecs).launch(request, secrets, signal)
    pass(20 * 60)
    expect(await openProvider(ecs).launch(request, secrets, signal)).toEqual(first)
    const sent = asked('RunInstances').map(({ parameters }) => JSON.stringify([...parameters]))
    expect(sent[1]).toBe(sent[0])
    expect(ecs.state.instances.size).toBe(1)
  })

  test('after the settings of the account were changed it is still the machine of the first call', async () => {
    const request = await requestOf()
    const first = await openProvider(ecs).launch(request, secrets, signal)
    const changed = openProvider(ecs, { disk_gib: 300 })
    expect(await changed.launch(request, secrets, signal)).toEqual(first)
    ecs.state.instances.clear()
    const error = await failureOf(changed.launch(request, secrets, signal))
    expect(error).toMatchObject({ code: 'unknown_outcome' })
  })

  test('after its machine has ended nothing runs again', async () => {
    const request = await requestOf()
    const handle = await openProvider(ecs).launch(request, secrets, signal)
    pass(60)
    launched().gone_ms = ecs.state.now_ms
    expect(await openProvider(ecs).launch(request, secrets, signal)).toEqual(handle)
    expect(ecs.state.instances.size).toBe(1)
    expect(await seen(handle)).toMatchObject({ state: 'gone' })
  })

  test('without stock is told so, for its type in its zone alone, and stays so for its token', async () => {
    ecs.state.stock.set(`${gpuType}/cn-hangzhou-i`, 'WithoutStock')
    const request = await requestOf()
    const launch = async (by: typeof request) => openProvider(ecs).launch(by, secrets, signal)
    expect(await failureOf(launch(request))).toMatchObject({ code: 'capacity' })
    ecs.state.stock.clear()
    expect(await failureOf(launch(request))).toMatchObject({ code: 'capacity' })
    const next = { ...request, attempt_id: `${id.slice(0, -1)}y`, name: `${request.name.slice(0, -1)}y` }
    expect(await launch(next)).toHaveProperty('instance')
    ecs.state.stock.set(`${gpuType}/cn-hangzhou-i`, 'WithoutStock')
    const elsewhere = { ...request.offer, id: `${gpuType}/cn-hangzhou-j` }
    expect(await launch({ ...request, attempt_id: `${id.slice(0, -1)}z`, offer: elsewhere })).toHaveProperty(
      'instance',
    )
  })

  test('beyond the quota of the account is told so', async () => {
    ecs.state.quota = 0
    expect(await failureOf(openProvider(ecs).launch(await requestOf(), secrets, signal))).toMatchObject({
      code: 'quota',
    })
  })

  test('of a spot offer bids what the offer says, whatever the price is by then', async () => {
    const request = await requestOf(id, { spot: true })
    expect(request.offer).toMatchObject({ id: `${gpuType}/cn-hangzhou-i:1.456`, usd_per_hour: 0.2912 })
    ;(ecs.state.types.get(gpuType) as { price: number }).price = 9
    await openProvider(ecs).launch(request, secrets, signal)
    expect(Object.fromEntries(launched().parameters)).toMatchObject({
      SpotStrategy: 'SpotWithPriceLimit',
      SpotPriceLimit: '1.456',
      SpotDuration: '1',
      SpotInterruptionBehavior: 'Terminate',
    })
    ;(ecs.state.types.get(gpuType) as { spot: number }).spot = 2
    const next = { ...request, attempt_id: `${id.slice(0, -1)}y` }
    expect(await failureOf(openProvider(ecs).launch(next, secrets, signal))).toMatchObject({
      code: 'capacity',
    })
  })

  test('of an offer that is none of the account is refused before anything is asked', async () => {
    const request = await requestOf()
    const before = ecs.wire.count()
    for (const [name, spot] of [
      ['cpu', false],
      [`${gpuType}/cn-beijing-a`, false],
      [`${gpuType}/cn-hangzhou-i`, true],
      [`${gpuType}/cn-hangzhou-i:1.2345`, true],
    ] as const) {
      const offer = { ...request.offer, id: name, spot }
      const error = await failureOf(openProvider(ecs).launch({ ...request, offer }, secrets, signal))
      expect(error).toMatchObject({ code: 'rejected' })
    }
    expect(ecs.wire.count()).toBe(before)
  })

  test.each([
    ['2026-03-02T09:00:00.000Z', '2026-03-02T09:45:00Z'],
    ['2026-03-02T09:00:00.001Z', '2026-03-02T09:46:00Z'],
    ['2026-03-02T23:30:59Z', '2026-03-03T00:16:00Z'],
  ])('with the deadline %s is released by ECS at %s', (deadline_at, release) => {
    expect(releaseTime({ deadline_at })).toBe(release)
  })
})

describe('what is seen', () => {
  test('goes from Pending to Running and is gone at its AutoReleaseTime, by the clock of ECS', async () => {
    const handle = await openProvider(ecs).launch(await requestOf(), secrets, signal)
    expect(await seen(handle)).toEqual({ state: 'pending', detail: 'Pending' })
    pass(5)
    expect(await seen(handle)).toEqual({ state: 'pending', detail: 'Starting' })
    pass(15)
    expect(await seen(handle)).toEqual({ state: 'running', detail: null, reason: null })
    ecs.state.now_ms = Date.parse('2026-03-02T10:44:59Z')
    expect(await seen(handle)).toMatchObject({ state: 'running' })
    pass(1)
    expect(await seen(handle)).toEqual({ state: 'gone', detail: null })
  })

  test('of a spot machine that is taken back is said while it still runs, and then it is gone', async () => {
    const handle = await openProvider(ecs).launch(await requestOf(id, { spot: true }), secrets, signal)
    pass(60)
    launched().reclaimed_ms = ecs.state.now_ms
    expect(await seen(handle)).toEqual({
      state: 'running',
      detail: 'it is being taken back',
      reason: 'preempted',
    })
    pass(301)
    expect(await seen(handle)).toEqual({ state: 'gone', detail: null })
  })

  test('of a creation that failed is told from an interruption', async () => {
    ecs.state.fails = true
    const failed = await openProvider(ecs).launch(await requestOf(id, { spot: true }), secrets, signal)
    ecs.state.fails = false
    const other = await requestOf(`${id.slice(0, -1)}y`, { spot: true })
    const taken = await openProvider(ecs).launch(other, secrets, signal)
    pass(31)
    for (const each of ecs.state.instances.values())
      if (each.id === taken['instance']) each.gone_ms = ecs.state.now_ms
    const refs = [failed, taken].map((handle) => ({ attempt_id: id, handle, request: null }))
    expect(await openProvider(ecs).inspect(refs, signal)).toEqual([
      { state: 'gone', detail: 'ECS gave up making it (SystemFailure.Delete)', reason: 'capacity' },
      { state: 'gone', detail: null },
    ])
    // One call for both, and one for what became of them.
    expect(asked('DescribeInstances')).toHaveLength(1)
    expect(asked('DescribeInstanceHistoryEvents')).toHaveLength(1)
  })

  test('of a machine that was shut down is that it has ended, and it is still listed, because it is billed', async () => {
    const provider = openProvider(ecs)
    const handle = await provider.launch(await requestOf(), secrets, signal)
    pass(60)
    launched().down_ms = ecs.state.now_ms
    expect(await seen(handle)).toMatchObject({ state: 'running', detail: 'Stopping' })
    pass(10)
    expect(await seen(handle)).toEqual({
      state: 'exited',
      exit_code: null,
      detail: 'Stopped, and not released',
      reason: null,
      is_billed: true,
    })
    expect(await listed(provider)).toEqual([
      {
        name: launched().name,
        attempt_id: id,
        handle,
        usd_per_hour: 1.456,
        since: '2026-03-02T09:00:00.000Z',
      },
    ])
    await provider.stop({ attempt_id: id, handle, request: null }, signal)
    pass(3)
    expect(await listed(provider)).toEqual([])
  })

  test('of a machine that is not ready to be released is an error, and the next stop ends it', async () => {
    ecs.state.initializes = true
    const provider = openProvider(ecs)
    const ref = {
      attempt_id: id,
      handle: await provider.launch(await requestOf(), secrets, signal),
      request: null,
    }
    expect(await failureOf(provider.stop(ref, signal))).toMatchObject({ code: 'unknown_outcome' })
    pass(10)
    await provider.stop(ref, signal)
    pass(3)
    expect(await seen(ref.handle)).toMatchObject({ state: 'gone' })
  })

  test('of leftovers is that they are ours, of no attempt, and they can be ended', async () => {
    const tags = new Map([['berth:installation', installation]])
    ecs.state.interfaces.set('eni-bp1left', { id: 'eni-bp1left', tags, created_ms: ecs.state.now_ms })
    ecs.state.disks.set('d-bp1left', { id: 'd-bp1left', tags, created_ms: ecs.state.now_ms })
    const provider = openProvider(ecs)
    const found = await listed(provider)
    expect(found.map(({ name, attempt_id }) => [name, attempt_id])).toEqual([
      ['d-bp1left', null],
      ['eni-bp1left', null],
    ])
    // Among instances they are not asked for, and do not break the answer.
    const instance = await provider.launch(await requestOf(), secrets, signal)
    const handles = [found[0]?.handle ?? {}, instance]
    const refs = handles.map((handle) => ({ attempt_id: id, handle, request: null }))
    const states = (await provider.inspect(refs, signal)).map(({ state }) => state)
    expect(states).toEqual(['unseen', 'pending'])
    await provider.stop({ attempt_id: id, handle: instance, request: null }, signal)
    pass(3)
    for (const { handle } of [...found, ...found])
      await provider.stop({ attempt_id: id, handle, request: null }, signal)
    expect(await listed(provider)).toEqual([])
  })

  test('of a status that nobody knows is loss of sight', async () => {
    const { observationOf } = await import('../../providers/alibaba/instances.ts')
    expect(observationOf({ status: 'Dreaming' })).toMatchObject({ state: 'unseen' })
    expect(statusOf({ ...launchedLike(), down_ms: 0 }, 60_000)).toBe('Stopped')
  })
})

const launchedLike = (): FakeInstance => ({
  id: 'i-1',
  name: 'one',
  type: cpuType,
  zone: 'cn-hangzhou-i',
  tags: new Map(),
  user_data: '',
  console: '',
  parameters: new Map(),
  created_ms: 0,
  shown_ms: 0,
  release_ms: Infinity,
  down_ms: null,
  reclaimed_ms: null,
  fails: false,
  gone_ms: null,
})

describe('errors', () => {
  const rowOf = (name: string) =>
    table.findIndex(([pattern]) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    )

  test.each(table.map(([pattern, code], index) => ({ pattern, code, index })))(
    '$pattern is $code',
    async ({ pattern, code, index }) => {
      // What the SDK itself says of credentials is never sent by ECS.
      if (pattern === 'InvalidCredentials') return
      const name = Object.keys(recorded).find((each) => rowOf(each) === index)
      expect(name, 'a body of this row in the fake').toBeDefined()
      ecs.state.error = { action: 'DescribeAvailableResource', code: name ?? '' }
      const error = await failureOf(openProvider(ecs).offers(signal))
      expect(error).toMatchObject({ name: 'ProviderError', code, provider: 'alibaba' })
      expect(error.detail).toMatch(
        new RegExp(`^DescribeAvailableResource: ${name} \\(request [0-9A-F-]{36}\\)$`),
      )
    },
  )

  test('on a call that changes something what is not known is an unknown outcome, and never a refusal', async () => {
    const request = await requestOf()
    for (const code of [unheardOf, 'InternalError', 'LastTokenProcessing', 'SignatureNonceUsed']) {
      ecs.state.error = { action: 'RunInstances', code }
      const error = await failureOf(openProvider(ecs).launch(request, secrets, signal))
      expect([code, error.code]).toEqual([code, 'unknown_outcome'])
    }
    expect(codeOf(unheardOf, false)).toBe('unavailable')
  })

  test('an answer that begins and does not end is given up', async () => {
    const server = createServer((_, response) => void response.writeHead(200).write('{"Disks":'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const provider = openProvider(ecs, { call_ms: 300, api: { protocol: 'HTTP', host } })
    const error = await failureOf(provider.launch(await requestOf(), secrets, signal))
    expect(error).toMatchObject({ code: 'unknown_outcome', detail: 'RunInstances: no answer in time' })
    server.closeAllConnections()
    server.close()
  })

  test('nothing is asked twice by itself', async () => {
    const request = await requestOf()
    const before = ecs.wire.count()
    for (const fault of ['server_error', 'throttled', 'html', 'reset'] as const) {
      ecs.wire.spoil(() => true, fault)
      await failureOf(openProvider(ecs).launch(request, secrets, signal))
    }
    expect(ecs.wire.count()).toBe(before + 4)
  })

  test('no secret and no user data is in an error, whatever ECS or the SDK repeats', async () => {
    const request = await requestOf()
    const kept = []
    for (const fault of ['echo', 'html', 'reset', 'malformed', 'hang', 'unauthorized'] as const) {
      ecs.wire.spoil(({ headers }) => headers['x-acs-action'] === 'RunInstances', fault)
      const provider = openProvider(ecs, { call_ms: fault === 'hang' ? 200 : 20_000 })
      const value = await failureOf(provider.launch(request, secrets, signal))
      kept.push({ call: 'launch', what: 'error', value } as const)
      expect(inspect(value)).not.toMatch(/UserData|RunInstances&|IyEvYmlu/)
    }
    const all = [key.secret, key.id, ...Object.values(secrets)]
    expect(leakIn(kept, new Map(all.map((secret) => [secret, 'a secret'])))).toBeNull()
  })
})

describe('the fake', () => {
  const refusal = async (action: Parameters<ReturnType<typeof openApi>['call']>[0], request: object) =>
    (await failureOf(openApi(alibabaOptions(ecs)).call(action, request, signal))).detail

  test('refuses parameters that it does not know, and requests that lack some', async () => {
    const disks = { regionId: 'cn-hangzhou', status: 'Available' }
    expect(await refusal('DescribeDisks', { ...disks, diskType: 'system' })).toContain('UnsupportedParameter')
    expect(await refusal('DescribeDisks', { status: 'Available' })).toContain('MissingParameter')
    expect(await refusal('DescribeDisks', { ...disks, regionId: 'cn-beijing' })).toContain('InvalidParameter')
    expect(await refusal('RunInstances', { regionId: 'cn-hangzhou', amount: 1 })).toContain(
      'MissingParameter',
    )
  })

  test('takes no AutoReleaseTime that is less than half an hour away', async () => {
    const at = (minutes: number) =>
      new Date(ecs.state.now_ms + minutes * 60_000).toISOString().replace('.000Z', 'Z')
    const request = { regionId: 'cn-hangzhou', instanceType: cpuType, amount: 1 }
    expect(await refusal('RunInstances', { ...request, autoReleaseTime: at(29) })).toContain(
      'AutoReleaseTime',
    )
    // It is the vSwitch, which is looked at afterwards, that this one lacks.
    expect(await refusal('RunInstances', { ...request, autoReleaseTime: at(30) })).toContain(
      'InvalidVSwitchId',
    )
  })

  test('takes user data of 31 KB, which makes an address that servers of Node cut off by default', async () => {
    const userData = Buffer.alloc(31 * 1024, 'a').toString('base64')
    const request = { regionId: 'cn-hangzhou', instanceType: cpuType, amount: 1, userData }
    expect(await refusal('RunInstances', request)).toContain('InvalidVSwitchId')
  })
})

describe('signatures', () => {
  const detail = async (given: Parameters<typeof openProvider>[1]) =>
    (await failureOf(openProvider(ecs, given).offers(signal))).detail

  test('a wrong key, a clock that is off and a wrong token are refused', async () => {
    expect(await detail({ access_key_secret: 'wrong' })).toContain('SignatureDoesNotMatch')
    expect(await detail({ access_key_id: 'LTAIwrong' })).toContain('InvalidAccessKeyId.NotFound')
    for (const skew_s of [-1_000, 1_000]) {
      ecs.state.skew_s = skew_s
      expect(await detail({})).toContain('InvalidTimeStamp.Expired')
    }
    ecs.state.skew_s = 0
    ecs.state.keys = [{ ...key, token: 'the-token-of-an-hour' }]
    expect(await detail({})).toContain('InvalidSecurityToken.Expired')
    expect(await openProvider(ecs, { security_token: 'the-token-of-an-hour' }).offers(signal)).not.toEqual([])
  })

  test('every request has a nonce of its own, and one that was used is refused', async () => {
    await openProvider(ecs).offers(signal)
    expect(ecs.nonces.size).toBe(ecs.wire.count())
    const { query, headers } = ecs.state.heard[0] as WireRequest
    const sent = Object.entries(headers).filter(([name]) => /^(accept|authorization|x-acs-)/.test(name))
    const again = await fetch(`${ecs.wire.url}/?${String(query)}`, {
      method: 'POST',
      headers: sent.map(([name, value]): [string, string] => [name, String(value)]),
    })
    expect(await again.json()).toMatchObject({ Code: 'SignatureNonceUsed' })
  })
})
