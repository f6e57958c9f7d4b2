// What the ECS adapter offers, what it checks, and what it may do.
import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ProviderError } from '../../providers/errors.ts'
import type { MissingPart } from '../../providers/provider.ts'
import { actions } from '../fakes/alibaba-request.ts'
import { cpuType, type FakeEcs, gpuType, openFakeEcs, openProvider } from '../support/alibaba-account.ts'

const signal = new AbortController().signal
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
const asked = (action: string) => ecs.state.asked.filter((each) => each.action === action)

describe('offers', () => {
  test('are the types in the zones, on demand and of the market, with stock and price', async () => {
    ecs.state.stock
      .set(`${gpuType}/cn-hangzhou-j`, 'WithoutStock')
      .set(`${cpuType}/cn-hangzhou-j`, 'ClosedWithoutStock')
    const offers = await openProvider(ecs).offers(signal)
    expect(
      offers.map(({ id: name, spot, usd_per_hour, available }) => [name, spot, usd_per_hour, available]),
    ).toEqual([
      [`${gpuType}/cn-hangzhou-i`, false, 1.456, null],
      [`${cpuType}/cn-hangzhou-i`, false, 0.4, null],
      [`${gpuType}/cn-hangzhou-j`, false, 1.456, 0],
      [`${gpuType}/cn-hangzhou-i:1.456`, true, 0.2912, null],
      [`${cpuType}/cn-hangzhou-i:0.4`, true, 0.04, null],
      [`${gpuType}/cn-hangzhou-j:1.456`, true, 0.2912, 0],
    ])
    expect(offers[0]).toMatchObject({
      gpu: { model: 'A10', count: 1, memory_gib: 24, compute_capability: '8.6' },
      cpu: 8,
      memory_gib: 29,
      disk_gib: 170,
      slots: null,
      price: { source: 'DescribePrice', at: '2026-03-02T09:00:00.000Z', live: true },
    })
  })

  test('are on demand alone where the account says so, and a bid below the market has no stock', async () => {
    expect((await openProvider(ecs, { spot: false }).offers(signal)).some(({ spot }) => spot)).toBe(false)
    const low = await openProvider(ecs, { bid_multiple: 0.15 }).offers(signal)
    expect(low.filter(({ spot }) => spot).map(({ id: name, available }) => [name, available])).toEqual([
      [`${gpuType}/cn-hangzhou-i:0.219`, 0],
      [`${cpuType}/cn-hangzhou-i:0.06`, null],
      [`${gpuType}/cn-hangzhou-j:0.219`, 0],
      [`${cpuType}/cn-hangzhou-j:0.06`, null],
    ])
  })

  test('in CNY have no price in USD until a rate and its date are named', async () => {
    ecs.state.currency = 'CNY'
    const unrated = openProvider(ecs)
    expect((await unrated.offers(signal))[0]).toMatchObject({
      usd_per_hour: Number.NaN,
      price: { charged: { currency: 'CNY', per_hour: 1.456, rate: null } },
    })
    expect((await unrated.check(signal)).find(({ name }) => name === 'offers')).toMatchObject({
      ok: false,
      detail: expect.stringContaining('name the rate and its date in cny_per_usd'),
    })
    const cny_per_usd = { rate: 7, at: '2026-03-01' }
    expect((await openProvider(ecs, { cny_per_usd }).offers(signal))[0]).toMatchObject({
      usd_per_hour: 0.208,
      price: {
        source: 'DescribePrice',
        charged: {
          currency: 'CNY',
          per_hour: 1.456,
          rate: { per_usd: 7, at: '2026-03-01', source: "the account's settings" },
        },
      },
    })
    ecs.state.currency = 'JPY'
    // A rate of CNY says nothing of yen.
    expect((await openProvider(ecs, { cny_per_usd }).offers(signal))[0]).toMatchObject({
      usd_per_hour: Number.NaN,
      price: { charged: { currency: 'JPY', rate: null } },
    })
  })

  test('ask for prices every five minutes, and for stock each time', async () => {
    const provider = openProvider(ecs)
    for (let round = 0; round < 3; round++) await provider.offers(signal)
    // Two types on demand, and in two zones each of the market.
    expect(asked('DescribePrice')).toHaveLength(6)
    expect(asked('DescribeAvailableResource')).toHaveLength(12)
    ecs.state.now_ms += 301_000
    await provider.offers(signal)
    expect(asked('DescribePrice')).toHaveLength(12)
  })

  test('say when their price was asked for, not when it was last told', async () => {
    const provider = openProvider(ecs)
    await provider.offers(signal)
    ecs.state.now_ms += 120_000
    expect((await provider.offers(signal))[0]?.price?.at).toBe('2026-03-02T09:00:00.000Z')
  })

  test('of a zone that does not answer are missing, and those of the others are there', async () => {
    const provider = openProvider(ecs, { call_ms: 200 })
    ecs.wire.spoil(({ query }) => query.get('ZoneId') === 'cn-hangzhou-j', 'hang')
    const missing: MissingPart[] = []
    const offers = await provider.offers(signal, (part) => void missing.push(part))
    expect([...new Set(offers.map((offer) => offer.id.split(/[/:]/)[1]))]).toEqual(['cn-hangzhou-i'])
    expect(missing.map(({ name }) => name)).toEqual(['cn-hangzhou-j, on demand', 'cn-hangzhou-j, spot'])
    ecs.wire.calm()
    const whole = await provider.offers(signal)
    const hidden = whole.filter((offer) => missing.some(({ has }) => has(offer)))
    expect(hidden.map(({ id: name }) => name)).toEqual(
      whole.filter(({ id: name }) => name.includes('hangzhou-j')).map(({ id: name }) => name),
    )
    // Who does not listen is not told half of it.
    ecs.wire.spoil(({ query }) => query.get('ZoneId') === 'cn-hangzhou-j', 'hang')
    expect(await failureOf(provider.offers(signal))).toMatchObject({ code: 'unavailable' })
  })

  test('of parts of cards are none, and of unknown cards by the name that ECS gives them', async () => {
    const part = {
      cpu: 4,
      memory_gib: 15,
      gpu: { spec: 'NVIDIA A10/4', count: 1, memory_gib: 6 },
      price: 1,
      spot: 1,
    }
    const odd = {
      cpu: 4,
      memory_gib: 15,
      gpu: { spec: 'PPU 810E', count: 2, memory_gib: 96 },
      price: 1,
      spot: 1,
    }
    ecs.state.types.set('ecs.vgn7i-vws-m4.xlarge', part).set('ecs.ppu.xlarge', odd)
    const given = { instance_types: ['ecs.vgn7i-vws-m4.xlarge', 'ecs.ppu.xlarge'], spot: false }
    const unknown = { model: 'PPU 810E', memory_gib: 96, compute_capability: null, count: 2 }
    expect((await openProvider(ecs, given).offers(signal)).map(({ gpu }) => gpu)).toEqual([unknown, unknown])
    const gpus = { 'ecs.ppu.xlarge': { model: 'PPU', memory_gib: 96, compute_capability: null } }
    expect((await openProvider(ecs, { ...given, gpus }).offers(signal)).map(({ gpu }) => gpu)).toEqual([
      { model: 'PPU', memory_gib: 96, compute_capability: null, count: 2 },
      { model: 'PPU', memory_gib: 96, compute_capability: null, count: 2 },
    ])
  })
})

describe('check', () => {
  const told = async (given: Parameters<typeof openProvider>[1] = {}) =>
    (await openProvider(ecs, given).check(signal)).filter(({ ok }) => !ok)

  test('makes nothing', async () => {
    expect(await told()).toEqual([])
    expect(ecs.state.instances.size).toBe(0)
  })

  test.each([
    [
      'a wrong key',
      { access_key_secret: 'wrong' },
      'key',
      /SignatureDoesNotMatch .*: see that access_key_secret/,
    ],
    [
      'an image',
      { image_id: 'm-none' },
      'launch in cn-hangzhou-i',
      /: name an image of this region in image_id$/,
    ],
    ['a security group', { security_group_id: 'sg-none' }, 'launch in cn-hangzhou-i', /security_group_id$/],
    [
      'a vswitch',
      { vswitches: [{ zone: 'cn-hangzhou-i', id: 'vsw-none' }] },
      'launch in cn-hangzhou-i',
      /: name vswitches of this region/,
    ],
    ['instance types', { instance_types: ['ecs.none'] }, 'offers', /none of instance_types is sold/],
  ] as const)('says that %s is wrong, and what to do', async (_, given, name, text) => {
    const [first] = await told(given)
    expect(first).toMatchObject({ name, ok: false })
    expect(first?.detail).toMatch(text)
  })

  test.each([
    ['DescribeInstances', 'key', 'ecs:DescribeInstances'],
    ['RunInstances', 'launch in cn-hangzhou-i', 'ecs:RunInstances'],
    ['DeleteInstance', 'release', 'ecs:DeleteInstance'],
    ['DescribeDisks', 'leftovers', 'ecs:DescribeDisks'],
    ['DescribePrice', 'offers', 'ecs:DescribePrice'],
    ['DescribeInstanceHistoryEvents', 'events', 'ecs:DescribeInstanceHistoryEvents'],
  ])('names a permission that is missing: %s', async (action, name, permission) => {
    ecs.state.denied.add(action)
    const [first] = await told()
    expect(first?.name).toBe(name)
    expect(first?.detail).toContain(permission)
    expect(first?.detail).toContain('infra/alibaba/ram-policy.json')
  })

  test('says that the account has no money, and does not mind that there is no stock', async () => {
    ecs.state.stock.set(`${gpuType}/cn-hangzhou-i`, 'WithoutStock')
    expect(await told()).toEqual([])
    ecs.state.error = { action: 'RunInstances', code: 'InvalidAccountStatus.NotEnoughBalance' }
    expect((await told())[0]?.detail).toMatch(/: top the account up/)
  })
})

describe('the policies', () => {
  const policy = (name: string) => {
    const url = new URL(`../../infra/alibaba/${name}.json`, import.meta.url)
    const { Statement } = JSON.parse(readFileSync(url, 'utf8')) as { Statement: Statement[] }
    return Statement
  }
  interface Statement {
    Action: string[]
    Resource: string
    Condition?: object
  }

  test('allow what the adapter asks for, and end nothing that is not ours', () => {
    const allowed = policy('ram-policy').flatMap(({ Action }) => Action)
    expect(new Set(allowed)).toEqual(
      new Set([...Object.keys(actions).map((action) => `ecs:${action}`), 'ecs:TagResources', 'ram:PassRole']),
    )
    const ending = [...policy('ram-policy'), ...policy('machine-role-policy')].filter(({ Action }) =>
      Action.some((action) => action.startsWith('ecs:Delete')),
    )
    expect(
      ending.every(({ Condition, Resource }) => Condition ?? Resource.endsWith('/i-00000000000000000000')),
    ).toBe(true)
    expect(policy('machine-role-policy').flatMap(({ Action }) => Action)).toEqual(['ecs:DeleteInstance'])
  })
})
