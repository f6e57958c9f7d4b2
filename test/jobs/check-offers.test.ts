// What of a vendor's answer can be placed by.
import { expect, test } from 'vitest'
import { checkOffers, most_offers, offerRefusals } from '../../jobs/check-offers.ts'
import type { Offer, Rate } from '../../providers/provider.ts'

const offer = (more: Partial<Offer> = {}): Offer => ({
  id: 'g6.xlarge',
  provider: 'cloud',
  account: 'main',
  region: 'eu',
  spot: false,
  usd_per_hour: 0.8,
  gpu: { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' },
  cpu: 4,
  memory_gib: 16,
  disk_gib: 100,
  available: null,
  slots: null,
  ...more,
})
const rented = { name: 'cloud', account: 'main', traits: {} }
const own = { ...rented, traits: { machines: 'own' as const } }
const rate: Rate = { per_usd: 7, at: '2026-03-01', source: 'desk' }
const charged = (currency: string, per_hour: number, more: Partial<Offer> = {}, of: Rate | null = rate) =>
  offer({
    usd_per_hour: of ? per_hour / of.per_usd : Number.NaN,
    price: { source: 'list', at: null, charged: { currency, per_hour, rate: of } },
    ...more,
  })
const card = { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' }

const nonsense: [string, Offer][] = [
  ['price', offer({ usd_per_hour: 0 })],
  ['price', offer({ usd_per_hour: -0.5 })],
  ['price', offer({ usd_per_hour: Number.NaN })],
  ['price', offer({ usd_per_hour: Number.POSITIVE_INFINITY })],
  ['price', offer({ usd_per_hour: '0.69' as never })],
  ['price', offer({ usd_per_hour: undefined as never })],
  ['price', offer({ price: { source: 'list', at: 'yesterday' } })],
  ['dear', offer({ usd_per_hour: 1_001 })],
  ['currency', charged('JPY', 120, {}, null)],
  ['currency', charged('USD', 0.8)],
  // A price of 5.6 CNY taken for 5.6 USD.
  ['rate', charged('CNY', 5.6, { usd_per_hour: 5.6 })],
  ['rate', charged('CNY', 5.6, {}, { ...rate, per_usd: 0 })],
  ['rate', charged('CNY', 5.6, {}, { ...rate, per_usd: Number.NaN })],
  ['price', charged('CNY', -5.6)],
  ['price', charged('CNY', 0)],
  ['name', offer({ id: '' })],
  ['name', offer({ region: 'a\nb' })],
  ['name', offer({ id: 'x'.repeat(301) })],
  ['name', offer({ account: 'other' })],
  ['shape', offer({ cpu: 0 })],
  ['shape', offer({ memory_gib: Number.NaN })],
  ['shape', offer({ memory_gib: 1e12 })],
  ['shape', offer({ disk_gib: -1 })],
  ['gpu', offer({ gpu: { ...card, count: 0 } })],
  ['gpu', offer({ gpu: { ...card, count: 1.5 } })],
  ['gpu', offer({ gpu: { ...card, memory_gib: -24 } })],
  ['gpu', offer({ gpu: { ...card, model: '' } })],
  ['gpu', offer({ gpu: { ...card, compute_capability: 'sm_89' } })],
  ['stock', offer({ available: -1 })],
  ['stock', offer({ slots: 0.5 })],
]

test.for(nonsense)('an offer is refused for its %s', ([reason, bad]) => {
  const good = offer({ id: 'good' })
  const { offers, refused } = checkOffers([bad, good], rented)
  expect(offers).toEqual([good])
  expect(refused).toMatchObject([{ reason, count: 1 }])
  expect(offerRefusals).toHaveProperty(reason)
})

test('machines that are there anyway may cost nothing, and no less', () => {
  expect(checkOffers([offer({ usd_per_hour: 0 })], own).offers).toHaveLength(1)
  expect(checkOffers([offer({ usd_per_hour: -1 })], own).refused).toMatchObject([{ reason: 'price' }])
})

test('a price in another currency is taken at its rate', () => {
  expect(checkOffers([charged('CNY', 8.68)], rented).offers).toHaveLength(1)
})

test('of two offers with one name the first counts', () => {
  const { offers, refused } = checkOffers(
    [offer(), offer({ usd_per_hour: 0.1 }), offer({ spot: true }), offer({ region: 'us' })],
    rented,
  )
  expect(offers.map(({ usd_per_hour }) => usd_per_hour)).toEqual([0.8, 0.8, 0.8])
  expect(refused).toEqual([{ reason: 'twice', count: 1, examples: ['eu g6.xlarge'] }])
})

test('an answer without an end is cut, and what is refused is told in a few examples', () => {
  const many = Array.from({ length: most_offers + 7 }, (_, n) => offer({ id: `shape-${n}` }))
  const { offers, refused } = checkOffers(many, rented)
  expect(offers).toHaveLength(most_offers)
  expect(refused).toMatchObject([{ reason: 'too_many', count: 7, examples: { length: 3 } }])
})
