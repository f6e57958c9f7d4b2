// What Tencent's own APIs tell the TKE adapter: the real SDKs against a fake of them. The Jobs are in tencent-jobs.test.ts.
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { leakIn } from '../../providers/conformance/secrets.ts'
import type { ProviderError } from '../../providers/errors.ts'
import { table } from '../../providers/tencent/errors.ts'
import { divisionsOf, partId, partOf, roomOf } from '../../providers/tencent/shape.ts'
import { actions, recorded, secretId, secretKey, unheardOf } from '../fakes/tencent.ts'
import {
  type FakeTencent,
  instance,
  nativePool,
  openFakeTencent,
  openProvider,
} from '../support/tencent-account.ts'

const signal = new AbortController().signal
let tencent: FakeTencent

beforeEach(async () => {
  tencent = await openFakeTencent()
})

afterEach(() => tencent.close())

const failureOf = (work: Promise<unknown>): Promise<ProviderError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: ProviderError) => error,
  )

describe('offers', () => {
  test('a pool is offered by its GPUs, at the price of its instances and as many as it may have', async () => {
    const offers = await openProvider(tencent).offers(signal)
    expect(offers.find(({ id }) => id === 'np-gpu00001/GN7.2XLARGE32/1')).toEqual({
      id: 'np-gpu00001/GN7.2XLARGE32/1',
      provider: 'tencent',
      account: 'desk',
      region: 'ap-guangzhou',
      spot: false,
      usd_per_hour: 1.222536, // 8.68 / 7.1
      gpu: { model: 'T4', count: 1, memory_gib: 16, compute_capability: '7.5' },
      cpu: 7,
      memory_gib: 27,
      disk_gib: 80,
      available: null,
      slots: 4,
      price: {
        source: 'CVM list price',
        at: '2026-01-01T00:00:00.000Z',
        live: true,
        charged: {
          currency: 'CNY',
          per_hour: 8.68,
          rate: { per_usd: 7.1, at: null, source: "the account's settings" },
        },
      },
    })
    expect(offers.map(({ id, gpu, slots }) => [id, gpu?.count ?? 0, slots])).toEqual([
      ['np-gpu00001/GN7.2XLARGE32/1', 1, 4],
      ['np-gpu00002/GN10Xp.20XLARGE320/1:mixed', 8, 4],
      ['np-gpu00002/GN10Xp.20XLARGE320/2:mixed', 4, 8],
      ['np-gpu00002/GN10Xp.20XLARGE320/4:mixed', 2, 16],
      ['np-gpu00002/GN10Xp.20XLARGE320/8:mixed', 1, 32],
      ['np-gpu00002/GN7.2XLARGE32/1:mixed', 1, 4],
      ['np-cpu00001/S5.2XLARGE16/1', 0, 2],
      ['np-cpu00001/S5.2XLARGE16/2', 0, 4],
    ])
    const [eight, one] = [offers[1], offers[4]]
    expect(Number(one?.usd_per_hour) * 8).toBeCloseTo(Number(eight?.usd_per_hour), 5)
  })

  test('what is sold out everywhere is out only where the pool has no node', async () => {
    for (const item of tencent.state.instances)
      if (item.InstanceType === 'GN7.2XLARGE32')
        Object.assign(item, { Status: 'SOLD_OUT', StatusCategory: 'WithoutStock', SoldOutReason: 'sold out' })
    const offers = await openProvider(tencent).offers(signal)
    const available = Object.fromEntries(offers.map((offer) => [offer.id, offer.available]))
    expect(available['np-gpu00001/GN7.2XLARGE32/1']).toBe(0)
    expect(available['np-gpu00002/GN7.2XLARGE32/1:mixed']).toBeNull()
  })

  test('the cheapest zone that sells is the price, and zones can be named', async () => {
    Object.assign(tencent.state.instances[0] as object, { Status: 'SOLD_OUT' })
    const price = async (zones?: string[]) =>
      (await openProvider(tencent, zones ? { zones } : {}).offers(signal))[0]?.price
    expect(await price()).toMatchObject({ source: 'CVM list price', charged: { per_hour: 9.1 } })
    expect(await price(['ap-guangzhou-6'])).toMatchObject({ charged: { per_hour: 8.68 } })
  })

  test('with an image named, the price is a quote with the system disk', async () => {
    const offers = await openProvider(tencent, { quote_image: 'img-eb30mz89' }).offers(signal)
    expect(offers[0]).toMatchObject({
      usd_per_hour: 1.229578, // 8.73 / 7.1
      price: { source: 'CVM quote', charged: { per_hour: 8.73 } },
    })
    const asked = tencent.state.asked.filter(({ action }) => action === 'InquiryPriceRunInstances')
    expect(asked).toHaveLength(3)
    expect(asked.find(({ body }) => body['InstanceType'] === 'GN7.2XLARGE32')?.body).toEqual({
      Placement: { Zone: 'ap-guangzhou-6' },
      ImageId: 'img-eb30mz89',
      InstanceType: 'GN7.2XLARGE32',
      InstanceChargeType: 'POSTPAID_BY_HOUR',
      InstanceCount: 1,
      SystemDisk: { DiskType: 'CLOUD_PREMIUM', DiskSize: 100 },
    })
  })

  test('a type that was sold out a moment ago keeps its list price', async () => {
    const { code, message } = { code: 'ResourcesSoldOut.SpecifiedInstanceType', message: '' }
    tencent.state.error = { action: 'InquiryPriceRunInstances', code, message }
    const offers = await openProvider(tencent, { quote_image: 'img-eb30mz89' }).offers(signal)
    expect(offers[0]?.price).toMatchObject({ source: 'CVM list price', charged: { per_hour: 8.68 } })
  })

  test('spot instances of a regular pool, whose types are named, and months of a prepaid one', async () => {
    const regular = {
      NodePoolId: 'np-regular1',
      Type: 'Regular',
      LifeState: 'normal',
      Regular: { MaxNodesNum: 3, DesiredNodesNum: 1, NodeCountSummary: { AutoscalingAdded: { Normal: 1 } } },
    }
    const prepaid = nativePool('np-prepaid1', ['S5.2XLARGE16'], { InstanceChargeType: 'PREPAID' })
    tencent.state.pools = [regular, prepaid]
    tencent.state.instances.push(
      instance('GN7.2XLARGE32', { cpu: 8, memory: 32, gpus: 1, cny: 1.5, InstanceChargeType: 'SPOTPAID' }),
      instance('S5.2XLARGE16', {
        cpu: 8,
        memory: 16,
        cny: 0,
        InstanceChargeType: 'PREPAID',
        Price: { OriginalPrice: 730, DiscountPrice: 511 },
      }),
    )
    const pools = [
      { id: 'np-regular1', instance_types: ['GN7.2XLARGE32'], spot: true },
      { id: 'np-prepaid1' },
    ]
    const offers = await openProvider(tencent, { pools, cny_per_usd: 7 }).offers(signal)
    expect(offers.map(({ id, spot, usd_per_hour, slots }) => [id, spot, usd_per_hour, slots])).toEqual([
      ['np-regular1/GN7.2XLARGE32/1', true, 0.214286, 3],
      ['np-prepaid1/S5.2XLARGE16/1', false, 0.1, 4],
      ['np-prepaid1/S5.2XLARGE16/2', false, 0.05, 8],
    ])
  })

  test('pools that take no work and parts of cards are not offered, and unknown GPUs by the name of their family', async () => {
    tencent.state.pools = [
      nativePool('np-closed01', ['S5.2XLARGE16'], {}, { Unschedulable: true }),
      nativePool('np-leaving1', ['S5.2XLARGE16'], {}, { LifeState: 'Deleting' }),
      nativePool('np-unknown1', ['GN99.2XLARGE32']),
      nativePool('np-vgpu0001', ['GN7.LARGE20']),
      { NodePoolId: 'np-super001', Type: 'Super', LifeState: 'Running', Super: { SubnetIds: [] } },
    ]
    tencent.state.instances.push(
      instance('GN99.2XLARGE32', { cpu: 8, memory: 32, gpus: 1, cny: 30 }),
      instance('GN7.LARGE20', { cpu: 4, memory: 20, gpus: 0.25, cny: 2 }),
    )
    expect((await openProvider(tencent).offers(signal)).map(({ gpu }) => gpu)).toEqual([
      { model: 'GN99', count: 1, memory_gib: 0, compute_capability: null },
    ])
    const gpus = { GN99: { model: 'H20', memory_gib: 96, compute_capability: '9.0' } }
    expect((await openProvider(tencent, { gpus }).offers(signal)).map(({ gpu }) => gpu)).toEqual([
      { model: 'H20', count: 1, memory_gib: 96, compute_capability: '9.0' },
    ])
  })

  test('pods of super nodes are offered in the sizes and at the prices that the account names', async () => {
    tencent.state.pools = []
    const super_nodes = [
      { gpu_type: 'T4', cpu: 8, memory_gib: 32, cny_per_hour: 9.94, spot: true },
      { gpu_type: 'V100', gpus: 2, cpu: 16, memory_gib: 80, cny_per_hour: 40 },
      { cpu: 4, memory_gib: 8, cny_per_hour: 0.71 },
      { gpu_type: 'H99', cpu: 4, memory_gib: 8, cny_per_hour: 1 },
    ]
    const provider = openProvider(tencent, { super_nodes })
    expect((await provider.offers(signal)).map(({ id, available }) => [id, available])).toEqual([
      ['super/T4/1/8cpu/32gib', 0],
      ['super/V100/2/16cpu/80gib', 0],
      ['super/cpu/0/4cpu/8gib', 0],
      ['super/H99/1/4cpu/8gib', 0],
    ])
    tencent.state.pools = [{ NodePoolId: 'np-super001', Type: 'Super', LifeState: 'Running' }]
    expect((await provider.offers(signal))[0]).toMatchObject({
      spot: true,
      usd_per_hour: 1.4,
      gpu: { model: 'T4', count: 1, memory_gib: 16 },
      available: null,
      slots: null,
      price: { source: "the account's price of the size", at: null, charged: { per_hour: 9.94 } },
    })
  })

  test('every page of pools is read, each pool once, though the pages shift meanwhile', async () => {
    tencent.state.page = 2
    tencent.state.pools = Array.from({ length: 7 }, (_, each) =>
      nativePool(`np-page000${each}`, ['S5.2XLARGE16']),
    )
    const offers = await openProvider(tencent).offers(signal)
    expect(new Set(offers.map((offer) => partOf(offer)?.pool)).size).toBe(7)
    expect(tencent.state.asked.filter(({ action }) => action === 'DescribeNodePools')).toHaveLength(4)
    tencent.state.pools.splice(2, 0, tencent.state.pools[0] as { NodePoolId: string })
    const again = await openProvider(tencent).offers(signal)
    expect(again.map(({ id }) => id).toSorted()).toEqual(offers.map(({ id }) => id).toSorted())
  })
})

test.each([
  [
    { cpu: 4, memory_gib: 4 },
    { cpu: 3.4, memory_gib: 1.9 },
  ],
  [
    { cpu: 32, memory_gib: 32 },
    { cpu: 30.7, memory_gib: 27.34 },
  ],
  [
    { cpu: 96, memory_gib: 320 },
    { cpu: 93.5, memory_gib: 305.74 },
  ],
])('TKE keeps a part of %o for the node', (node, room) => {
  // 32 GB: 3,645 MB, 320 GB: 13,475 MB (https://cloud.tencent.com/document/product/457/48777), 100 MB, and 1 GiB for agents.
  const { cpu, memory_gib } = roomOf(node)
  expect(cpu).toBeCloseTo(room.cpu, 2)
  expect(memory_gib).toBeCloseTo(room.memory_gib, 2)
})

test('a node is divided by its GPUs, and never below a CPU and a GiB', () => {
  expect(divisionsOf(8, { cpu: 93, memory_gib: 300 })).toEqual([1, 2, 4, 8])
  expect(divisionsOf(8, { cpu: 3, memory_gib: 300 })).toEqual([1, 2])
  expect(divisionsOf(3, { cpu: 93, memory_gib: 300 })).toEqual([1])
  expect(divisionsOf(0, { cpu: 7.3, memory_gib: 12 })).toEqual([1, 2])
  const part = { pool: 'np-1a2b3c4d', type: 'GN10Xp.2XLARGE40', of: 4, mixed: true }
  expect(partOf({ id: partId(part) })).toEqual(part)
  expect(partOf({ id: 'cpu:1cpu:1gib' })).toBeNull()
})

describe('errors', () => {
  /** The first code of the fake that the row is about. */
  const rows = table.map(([pattern, code], index) => {
    const isOf = (name: string) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
    const name = Object.keys(recorded).find(
      (each) =>
        table.findIndex((row) => row[0] === pattern) === index && isOf(each) && firstRow(each) === index,
    )
    return { pattern, code, name }
  })
  function firstRow(name: string): number {
    return table.findIndex(([pattern]) =>
      pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
    )
  }

  test.each(rows)('$pattern is $code', async ({ code, name }) => {
    expect(name, 'a body of this row in the fake').toBeDefined()
    const message = recorded[name ?? ''] ?? ''
    tencent.state.error = { action: 'DescribeNodePools', code: name ?? '', message }
    const error = await failureOf(openProvider(tencent).offers(signal))
    expect(error).toMatchObject({ name: 'ProviderError', code, provider: 'tencent' })
    expect(error.detail).toMatch(new RegExp(`^DescribeNodePools: ${name} \\(request [0-9a-f-]{36}\\)$`))
  })

  test('every body of the fake has the code of its row, and an unknown code is loss of sight', async () => {
    for (const [code, message] of Object.entries(recorded)) {
      tencent.state.error = { action: 'DescribeNodePools', code, message }
      const error = await failureOf(openProvider(tencent).offers(signal))
      expect([code, error.code]).toEqual([code, table[firstRow(code)]?.[1]])
    }
    tencent.state.error = { action: 'DescribeNodePools', ...unheardOf }
    expect(await failureOf(openProvider(tencent).offers(signal))).toMatchObject({ code: 'unavailable' })
  })

  test.each(['html', 'malformed', 'truncated', 'reset', 'hang'] as const)(
    'an answer that cannot be read is loss of sight: %s',
    async (fault) => {
      tencent.wire.spoil(() => true, fault)
      // Its SDK's client does not notice that an answer breaks off.
      const isSilent = fault === 'hang' || fault === 'truncated'
      const provider = openProvider(tencent, { call_ms: isSilent ? 300 : 20_000 })
      expect(await failureOf(provider.offers(signal))).toMatchObject({ code: 'unavailable' })
      tencent.wire.calm()
      expect(await provider.offers(signal)).not.toEqual([])
    },
  )

  test('nothing is asked twice by itself', async () => {
    tencent.wire.spoil(() => true, 'server_error')
    await failureOf(openProvider(tencent).offers(signal))
    expect(tencent.wire.count()).toBe(1)
  })

  test('a call ends with its signal', async () => {
    tencent.wire.spoil(() => true, 'hang')
    const controller = new AbortController()
    const work = failureOf(openProvider(tencent).offers(controller.signal))
    controller.abort()
    expect(await work).toMatchObject({ code: 'unavailable', detail: 'DescribeNodePools: given up' })
  })

  test('no secret is in an error, whatever the API repeats', async () => {
    const kept = []
    const session_token = 'a-token-of-an-hour-0123456789'
    for (const fault of ['echo', 'html', 'reset', 'malformed', 'unauthorized'] as const) {
      tencent.wire.spoil(() => true, fault)
      const provider = openProvider(tencent, { session_token })
      const value = await failureOf(provider.offers(signal))
      kept.push({ call: 'offers', what: 'error', value } as const)
      kept.push({ call: 'check', what: 'answer', value: await provider.check(signal) } as const)
      expect(inspect(value)).not.toContain(secretKey)
    }
    const secrets = new Map([secretId, secretKey, session_token].map((secret) => [secret, 'a secret']))
    expect(leakIn(kept, secrets)).toBeNull()
  })
})

describe('signatures', () => {
  const code = async (given: Parameters<typeof openProvider>[1]) =>
    (await failureOf(openProvider(tencent, given).offers(signal))).detail

  test('a wrong key, a clock that is off and a wrong token are refused', async () => {
    expect(await code({ secret_key: 'wrong' })).toContain('AuthFailure.SignatureFailure')
    expect(await code({ secret_id: 'AKIDwrong' })).toContain('AuthFailure.SecretIdNotFound')
    for (const skew_s of [-400, 400]) {
      tencent.state.skew_s = skew_s
      expect(await code({})).toContain('AuthFailure.SignatureExpire')
    }
    tencent.state.skew_s = 0
    tencent.state.token = 'the-token'
    expect(await code({ session_token: 'another' })).toContain('AuthFailure.TokenFailure')
    expect(await openProvider(tencent, { session_token: 'the-token' }).offers(signal)).not.toEqual([])
  })
})

describe('check', () => {
  const told = async (given: Parameters<typeof openProvider>[1] = {}) =>
    (await openProvider(tencent, given).check(signal)).filter(({ ok }) => !ok)

  test('says of a bad key what to do, and does not throw', async () => {
    const [check] = await told({ secret_key: 'wrong' })
    expect(check).toMatchObject({ name: 'cluster', ok: false })
    expect(check?.detail).toMatch(
      /AuthFailure.SignatureFailure \(request .*\): see that the key is right, the clock too/,
    )
  })

  test('says that a cluster is not there, is being deleted, or has no endpoint', async () => {
    expect(await told({ cluster_id: 'cls-00000000' })).toMatchObject([
      { name: 'cluster', detail: 'there is no cls-00000000 in ap-guangzhou: name its region and id' },
    ])
    tencent.state.cluster = 'Deleting'
    expect(await told()).toMatchObject([{ detail: 'cls-fi097sy4 is Deleting: wait, or see why in TKE' }])
    tencent.state.cluster = 'Upgrading'
    tencent.state.endpoints = { private: '10.0.0.7' }
    expect(await told()).toMatchObject([
      {
        name: 'endpoint',
        detail: 'the cluster has no public endpoint: open it in TKE, or name the other one',
      },
    ])
  })

  test('says that no pool can be offered', async () => {
    tencent.state.pools = []
    expect(await told()).toMatchObject([
      { name: 'node pools', detail: expect.stringContaining('name pools') },
    ])
  })
})

test('the policy allows what the adapter calls, and nothing else', () => {
  const path = new URL('../../infra/tencent/cam-policy.json', import.meta.url)
  const { statement } = JSON.parse(readFileSync(path, 'utf8')) as { statement: { action: string[] }[] }
  const allowed = statement.flatMap(({ action }) => action.map((name) => name.split(':')[1] ?? ''))
  expect(allowed.toSorted()).toEqual(Object.keys(actions).toSorted())
})

test('an offer that is of no pool is refused before anything is asked', async () => {
  const [offer] = await openProvider(tencent).offers(signal)
  const request = { offer: { ...offer, id: 'cpu:1cpu:1gib' } } as Parameters<
    ReturnType<typeof openProvider>['launch']
  >[0]
  const error = await failureOf(openProvider(tencent).launch(request, { token: 't' }, signal))
  expect(error).toMatchObject({ code: 'rejected' })
})

test('a cluster without the endpoint is loss of sight with what to do', async () => {
  tencent.state.endpoints = {}
  const listed = async () => {
    for await (const each of openProvider(tencent).list(signal)) return each
    return null
  }
  expect(await failureOf(listed())).toMatchObject({
    code: 'unavailable',
    detail: expect.stringContaining('has no public endpoint: open it in TKE'),
  })
})
