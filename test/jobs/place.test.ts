import { expect, test } from 'vitest'
import { catalogueOf } from '../../jobs/catalogue.ts'
import { costMicros } from '../../jobs/cost.ts'
import { type Market, place, type RejectionReason, type Wanted } from '../../jobs/place.ts'
import { jobSpec } from '../../jobs/spec.ts'
import type { Offer } from '../../providers/provider.ts'
import { backtest } from '../support/world.ts'

const offer = (more: Partial<Offer> = {}): Offer => ({
  id: 'cpu',
  provider: 'local',
  account: 'main',
  region: 'here',
  spot: false,
  usd_per_hour: 0.1,
  gpu: null,
  cpu: 8,
  memory_gib: 32,
  disk_gib: 100,
  available: null,
  slots: null,
  ...more,
})
const rtx4090 = { model: 'NVIDIA GeForce RTX 4090', count: 1, memory_gib: 24, compute_capability: '8.9' }

function wanted(more: Record<string, unknown> = {}, rest: Partial<Wanted> = {}): Wanted {
  const { kind, resources, placement } = jobSpec.parse(backtest(more))
  const none = {
    policy: null,
    unfit: () => null,
    excluded_providers: [],
    budget_micros: null,
    deadline_s: null,
  }
  return { kind, resources, placement, ...none, ...rest }
}

/** Offers of which nothing is known but what each test says. */
const market = (more: Partial<Market> = {}): Market => ({
  load: () => 0,
  refused: () => null,
  limited: () => false,
  expected_s: () => null,
  basis: () => 'model',
  min_billing_s: () => 0,
  ...more,
})
const placed = (want: Wanted, offers: Offer[], known: Market) => place(want, catalogueOf(offers), known)
const ids = (...found: Parameters<typeof placed>) => placed(...found).ranked.map(({ offer: { id } }) => id)

/** Nothing says that it runs CUDA. */
const strange = { model: 'PPU 810E', count: 1, memory_gib: 96, compute_capability: null }

const reasons: [RejectionReason, Wanted, Offer, Partial<Market>?][] = [
  ['policy', wanted({}, { policy: { providers: ['runpod'] } }), offer()],
  ['no_image', wanted({}, { unfit: () => 'no_image' }), offer()],
  ['policy', wanted({}, { policy: { regions: ['EU'] } }), offer()],
  ['policy', wanted({ placement: { spot: 'allow' } }, { policy: { spot: 'never' } }), offer({ spot: true })],
  ['policy', wanted({ placement: { spot: 'allow' } }, { policy: { spot: 'only' } }), offer()],
  ['policy', wanted({}, { policy: { max_usd_per_hour: 0.05 } }), offer()],
  ['provider', wanted({ placement: { providers: ['runpod'] } }), offer()],
  ['region', wanted({ placement: { regions: ['EU'] } }), offer()],
  ['spot', wanted(), offer({ spot: true })],
  ['spot', wanted({ placement: { spot: 'only' } }), offer()],
  ['price', wanted({ placement: { max_usd_per_hour: 0.05 } }), offer()],
  ['device', wanted({ resources: { device: 'cuda' } }), offer()],
  ['device', wanted({ resources: { device: 'cpu' } }), offer({ gpu: rtx4090 })],
  ['device', wanted({ resources: { device: 'cuda:1' } }), offer({ id: 'cuda:0', gpu: rtx4090 })],
  ['cpu', wanted({ resources: { cpu: 9 } }), offer()],
  ['memory', wanted({ resources: { memory_gib: 33 } }), offer()],
  ['disk', wanted({ resources: { disk_gib: 101 } }), offer()],
  ['gpu_count', wanted({ resources: { gpu: {} } }), offer()],
  ['gpu_count', wanted({ resources: { gpu: { count: 2 } } }), offer({ gpu: rtx4090 })],
  ['gpu_model', wanted({ resources: { gpu: { models: ['L4'] } } }), offer({ gpu: rtx4090 })],
  ['gpu_unknown', wanted({ resources: { gpu: { memory_gib: 48 } } }), offer({ gpu: strange })],
  ['gpu_unknown', wanted({ resources: { device: 'cuda' } }), offer({ gpu: strange })],
  ['gpu_model', wanted({ resources: { gpu: { models: ['L4'] } } }), offer({ gpu: strange })],
  ['gpu_memory', wanted({ resources: { gpu: { memory_gib: 128 } } }), offer({ gpu: strange })],
  ['gpu_memory', wanted({ resources: { gpu: { memory_gib: 48 } } }), offer({ gpu: rtx4090 })],
  [
    'compute_capability',
    wanted({ resources: { gpu: { compute_capability: '9.0' } } }),
    offer({ gpu: rtx4090 }),
  ],
  ['budget', wanted({}, { budget_micros: 10 }), offer({ usd_per_hour: 1 })],
  ['tried', wanted({}, { excluded_providers: ['local'] }), offer()],
  ['no_stock', wanted(), offer({ available: 0 })],
  ['deadline', wanted({}, { deadline_s: 60 }), offer(), { expected_s: () => 61 }],
  ['capacity', wanted(), offer(), { refused: () => 'capacity' }],
  ['quota', wanted(), offer(), { refused: () => 'quota' }],
  ['balance', wanted(), offer(), { refused: () => 'balance' }],
  ['unauthorized', wanted(), offer(), { refused: () => 'unauthorized' }],
  ['limit', wanted(), offer(), { limited: () => true }],
  ['busy', wanted(), offer({ slots: 2 }), { load: () => 1 }],
]

test.for(reasons)('an offer is rejected for its %s', ([reason, want, one, known]) => {
  expect(placed(want, [one], market(known))).toMatchObject({
    ranked: [],
    rejected: [{ reason, count: 1, examples: [one] }],
  })
})

test('a model is known by its short name too', () => {
  const want = wanted({ resources: { gpu: { models: ['RTX 4090'] } } })
  expect(placed(want, [offer({ gpu: rtx4090 })], market()).ranked).toHaveLength(1)
})

test('the cheapest is first, work without a GPU leaves GPUs alone, and the order of offers changes nothing', () => {
  const offers = [
    offer({ id: 'cuda:0', gpu: rtx4090 }),
    offer({ id: 'cpu' }),
    offer({ id: 'dear', usd_per_hour: 0.2 }),
    offer({ id: 'cheap', usd_per_hour: 0.05, region: 'far' }),
  ]
  const order = (list: Offer[]) => ids(wanted(), list, market())
  expect(order(offers)).toEqual(['cheap', 'cpu', 'cuda:0', 'dear'])
  expect(order(offers.toReversed())).toEqual(order(offers))
})

test('cuda takes the least loaded GPU', () => {
  const offers = [0, 1, 2].map((n) => offer({ id: `cuda:${n}`, gpu: rtx4090, slots: 4 }))
  const load: Record<string, number> = { 'cuda:0': 2, 'cuda:1': 1, 'cuda:2': 3 }
  const loaded = market({ load: ({ offer: { id } }) => (load[id] ?? 0) / 4 })
  expect(ids(wanted({ resources: { device: 'cuda' } }), offers, loaded)).toEqual([
    'cuda:1',
    'cuda:0',
    'cuda:2',
  ])
})

test('only what passes by itself is worth waiting for', () => {
  expect(placed(wanted(), [offer({ slots: 1 })], market({ load: () => 1 })).can_wait).toBe(true)
  expect(placed(wanted({ resources: { cpu: 99 } }), [offer()], market()).can_wait).toBe(false)
})

test('cost is by the second, with the least that the vendor bills, rounded up', () => {
  const at = (s: number) => new Date(s * 1_000)
  const price = { usd_micros_per_hour: 690_000, min_billing_s: 60 }
  expect(costMicros({ ...price, billed_from: null, billed_to: null }, at(9))).toBe(0)
  expect(costMicros({ ...price, billed_from: at(0), billed_to: null }, at(10))).toBe(11_500)
  // 61 s x 690000 / 3600 = 11691.67
  expect(costMicros({ ...price, billed_from: at(0), billed_to: at(61) }, at(999))).toBe(11_692)
})

test('a GPU that nobody knows is taken by who names it, and one of NVIDIA by who says how much memory it needs', () => {
  const unknown = offer({ id: 'ppu', gpu: strange })
  expect(
    ids(wanted({ resources: { gpu: { models: ['PPU 810E'], memory_gib: 80 } } }), [unknown], market()),
  ).toEqual(['ppu'])
  const newer = offer({ id: 'new', gpu: { ...strange, model: 'NVIDIA X900' } })
  const asked = (memory_gib: number) => wanted({ resources: { gpu: { memory_gib } } })
  expect(ids(asked(80), [newer], market())).toEqual(['new'])
  expect(ids(asked(128), [newer], market())).toEqual([])
  // Work that needs no GPU may run beside one.
  expect(ids(wanted(), [unknown], market())).toEqual(['ppu'])
})

test('a compute capability that the vendor does not tell is that of the model', () => {
  const gpu = { model: 'NVIDIA L4', count: 1, memory_gib: 22.49, compute_capability: null }
  const asked = (compute_capability: string) => wanted({ resources: { gpu: { compute_capability } } })
  expect(ids(asked('8.9'), [offer({ gpu })], market())).toHaveLength(1)
  expect(ids(asked('9.0'), [offer({ gpu })], market())).toHaveLength(0)
})
