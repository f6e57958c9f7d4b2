// What RunPod sells, as offers, and what an account of it is told to do.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MissingPart, Offer } from '../../../providers/provider.ts'
import { capabilityOf, shapeOf } from '../../../providers/runpod/offers.ts'
import { openRunpodAccount, type RunpodAccount } from '../../support/runpod-account.ts'

const signal = new AbortController().signal
let account: RunpodAccount

beforeEach(async () => {
  account = await openRunpodAccount()
})

afterEach(() => account.runpod.close())

const sorted = (rows: unknown[][]) => rows.map((each) => each.join(' ')).toSorted()
const row = ({ id, region, spot, usd_per_hour, available }: Offer) => [
  id,
  region,
  spot,
  usd_per_hour,
  available,
]

test('a GPU type is offered on demand and by bids, with its disk in the price', async () => {
  const [first, second] = await account.open().offers(signal)
  expect(first).toEqual({
    id: 'NVIDIA GeForce RTX 4090/1/secure',
    provider: 'runpod',
    account: 'desk',
    region: 'any',
    spot: false,
    usd_per_hour: 0.69274, // 0.69 and 20 GB at 0.10 a month
    gpu: { model: 'RTX 4090', count: 1, memory_gib: 24, compute_capability: '8.9' },
    cpu: 6,
    memory_gib: 38,
    disk_gib: 18,
    available: null,
    slots: null,
    price: { source: 'RunPod list price', at: '2026-10-01T00:00:00.000Z', live: true },
  })
  expect(second).toMatchObject({
    id: first?.id,
    spot: true,
    usd_per_hour: 0.20274,
    price: { source: 'RunPod bid' },
  })
})

test('a data center that does not answer hides no other', async () => {
  const data_centers = ['EU-RO-1', 'US-KS-2']
  const provider = account.open({ transport: 'graphql', data_centers, call_ms: 300 })
  account.runpod.wire.spoil(({ body }) => body.includes('US-KS-2'), 'hang')
  const missing: MissingPart[] = []
  const offers = await provider.offers(signal, (part) => void missing.push(part))
  expect(new Set(offers.map(({ region }) => region))).toEqual(new Set(['EU-RO-1']))
  expect(missing.map(({ name }) => name)).toEqual(['US-KS-2'])
  expect(missing[0]?.has({ id: 'NVIDIA L4/1/secure', region: 'US-KS-2', spot: true })).toBe(true)
  expect(missing[0]?.has({ id: 'NVIDIA L4/1/secure', region: 'EU-RO-1', spot: true })).toBe(false)
})

test('in the counts that its machines have, in each cloud and data center that is named', async () => {
  const provider = account.open({
    clouds: ['secure', 'community'],
    data_centers: ['EU-RO-1', 'US-KS-2'],
    gpu_counts: [1, 4],
    disk_gb: 1,
  })
  account.runpod.state.out.add('NVIDIA A100-SXM4-80GB@US-KS-2')
  const offers = await provider.offers(signal)
  expect(offers.filter(({ spot }) => !spot).map(row)).toEqual([
    ['NVIDIA GeForce RTX 4090/1/secure', 'EU-RO-1', false, 0.690137, null],
    ['NVIDIA GeForce RTX 4090/4/secure', 'EU-RO-1', false, 2.760137, null],
    ['NVIDIA A100-SXM4-80GB/1/secure', 'EU-RO-1', false, 1.490137, null],
    ['NVIDIA GeForce RTX 4090/1/secure', 'US-KS-2', false, 0.690137, null],
    ['NVIDIA GeForce RTX 4090/4/secure', 'US-KS-2', false, 2.760137, null],
    ['NVIDIA A100-SXM4-80GB/1/secure', 'US-KS-2', false, 1.490137, 0],
    ['NVIDIA GeForce RTX 4090/1/community', 'community', false, 0.340137, null],
    ['NVIDIA GeForce RTX 4090/4/community', 'community', false, 1.360137, null],
  ])
})

test('over REST the same on demand, none by bids, and what a GPU has beside it as SkyPilot asks for it', async () => {
  const given = { clouds: ['secure', 'community'], data_centers: ['EU-RO-1'], gpu_counts: [1, 4] } as const
  const graphql = (await account.open(given).offers(signal)).filter(({ spot }) => !spot)
  const rest = await account.open({ ...given, transport: 'rest' }).offers(signal)
  expect(sorted(rest.map(row))).toEqual(sorted(graphql.map(row)))
  expect(rest[0]).toMatchObject({ cpu: 4, memory_gib: 22 })
})

test('a bid is never more than the price on demand', async () => {
  const offers = await account.open({ bid_factor: 3 }).offers(signal)
  const price = (spot: boolean) => offers.find((offer) => offer.spot === spot)?.usd_per_hour
  expect(price(true)).toBeCloseTo(0.2 * 3 + 2 / 730, 5)
  for (const gpu of account.runpod.state.gpus) gpu.bid = 0.5
  const dear = await account.open({ bid_factor: 3 }).offers(signal)
  expect(dear[1]?.usd_per_hour).toBe(dear[0]?.usd_per_hour)
})

test('an offer says what it is of', () => {
  expect(shapeOf({ id: 'NVIDIA H100 80GB HBM3/8/secure', region: 'EU-RO-1' })).toEqual({
    gpu_type: 'NVIDIA H100 80GB HBM3',
    count: 8,
    cloud: 'secure',
    data_center: 'EU-RO-1',
  })
  expect(shapeOf({ id: 'NVIDIA L4/1/secure', region: 'any' })?.data_center).toBeNull()
  expect(shapeOf({ id: 'NVIDIA L4/1/elsewhere', region: 'any' })).toBeNull()
})

test.each([
  ['Tesla V100-SXM2-32GB', '7.0'],
  ['NVIDIA A100 80GB PCIe', '8.0'],
  ['NVIDIA RTX A6000', '8.6'],
  ['NVIDIA A40', '8.6'],
  ['NVIDIA GeForce RTX 3090 Ti', '8.6'],
  ['NVIDIA RTX 4000 SFF Ada Generation', '8.9'],
  ['NVIDIA L40S', '8.9'],
  ['NVIDIA GeForce RTX 4080 SUPER', '8.9'],
  ['NVIDIA H100 80GB HBM3', '9.0'],
  ['NVIDIA H200 NVL', '9.0'],
  ['NVIDIA B200', '10.0'],
  ['NVIDIA B300 SXM6 AC', '10.3'],
  ['NVIDIA RTX PRO 6000 Blackwell Server Edition', '12.0'],
  ['NVIDIA GeForce RTX 5090', '12.0'],
  ['NVIDIA X900', null],
])('%s has the compute capability %s', (id, capability) => {
  expect(capabilityOf(id)).toBe(capability)
})

describe('check', () => {
  const told = async (given: Parameters<RunpodAccount['open']>[0] = {}) => account.open(given).check(signal)
  const failed = async (given: Parameters<RunpodAccount['open']>[0] = {}) =>
    (await told(given)).filter(({ ok }) => !ok).map(({ name, detail }) => `${name}: ${detail}`)

  test.each(['graphql', 'rest'] as const)(
    'of a good account over %s: all is well, and nothing is spent',
    async (transport) => {
      expect(await failed({ transport })).toEqual([])
      expect((await told({ transport })).map(({ name }) => name)).toEqual([
        'key',
        'rights',
        'registries',
        'offers',
        'balance',
        'spend limit',
        'transport',
      ])
      expect(account.runpod.state).toMatchObject({ pods: [], registries: [] })
    },
  )

  test.each(['graphql', 'rest'] as const)('a key that is not taken over %s', async (transport) => {
    expect(await failed({ transport, api_key: 'rpa_of_nobody' })).toEqual([
      expect.stringContaining('HTTP 401): make a key in the settings of the console'),
    ])
  })

  test.each(['graphql', 'rest'] as const)('a key that may only read over %s', async (transport) => {
    account.runpod.account.read_only = true
    expect(await failed({ transport })).toEqual([
      expect.stringMatching(/^rights: .*give the key Read\/Write on the APIs, not Read Only$/),
    ])
  })

  test('no balance, no room to spend, nothing to offer', async () => {
    Object.assign(account.runpod.state, { balance: 0.12, spend_limit: 5 })
    account.runpod.cloud.spend = () => 5
    expect(await failed({ clouds: ['community'], gpu_counts: [16] })).toEqual([
      'offers: nothing is offered: name other clouds, data_centers or gpu_counts in the settings',
      expect.stringContaining('balance: 0.12 USD: add credit'),
      expect.stringContaining('spend limit: 5.00 of 5 USD an hour: end pods'),
    ])
  })

  test('says why interruptible pods are not offered, and that GraphQL goes', async () => {
    const transportOf = async (transport: 'graphql' | 'rest') =>
      (await told({ transport })).find(({ name }) => name === 'transport')
    expect(await transportOf('rest')).toEqual({
      name: 'transport',
      ok: true,
      detail: expect.stringContaining('interruptible pods are not offered, for REST v2 has none'),
    })
    expect((await transportOf('graphql'))?.detail).toContain('retires early in 2027: then set it to rest')
  })

  test('RunPod that cannot be reached', async () => {
    account.runpod.wire.spoil(() => true, 'html')
    expect(await failed()).toEqual([expect.stringContaining('see that this server reaches api.runpod.io')])
  })
})
