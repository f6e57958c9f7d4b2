// How offers come from vendors to placement: checked, shared by servers, kept for a while where a vendor is silent, with a history.
import { describe, expect, test } from 'vitest'
import { keepAccounts } from '../../infra/accounts.ts'
import { keepOffers } from '../../infra/offers.ts'
import { createKey } from '../../jobs/keys.ts'
import { most_offers } from '../../jobs/check-offers.ts'
import { refreshEvery_ms } from '../../jobs/refresh-offers.ts'
import { sweepRetention } from '../../jobs/retention.ts'
import type { JobView } from '../../jobs/view.ts'
import { ProviderError } from '../../providers/errors.ts'
import type { MissingPart, Offer, Provider, Rate } from '../../providers/provider.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

type Row = Record<string, unknown>

/** What the vendor does when it is asked; `asked` counts. */
interface Vendor {
  offers: Offer[]
  asked: number
  fails: ProviderError | null
  missing: MissingPart[]
  hangs: boolean
}

const offer = (id: string, more: Partial<Offer> = {}): Offer => ({
  id,
  provider: 'model',
  account: 'main',
  region: 'eu',
  spot: false,
  usd_per_hour: 0.8,
  gpu: { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' },
  cpu: 8,
  memory_gib: 32,
  disk_gib: 100,
  available: null,
  slots: null,
  ...more,
})

/** A vendor, and any number of servers that know an account of it. */
function vendorOf(world: World, offers: Offer[] = [offer('a')]) {
  const vendor: Vendor = { offers, asked: 0, fails: null, missing: [], hangs: false }
  const provider: Provider = {
    ...world.model.provider,
    offers(_signal, missing) {
      vendor.asked++
      if (vendor.hangs) return new Promise(() => undefined)
      if (vendor.fails) return Promise.reject(vendor.fails)
      for (const part of vendor.missing) missing?.(part)
      return Promise.resolve(vendor.offers)
    },
  }
  const server = (asks = true, of: Provider = provider) => {
    const accounts = keepAccounts([of])
    const books = keepOffers(accounts, { asks, call_ms: 50 })
    return {
      accounts,
      books,
      look: () => books.look(world.deps),
      /** Looks, and waits for what it asks. */
      async refresh() {
        await books.look(world.deps)
        await books.settled()
      },
      ids: () => books.now().map(({ offer: { id } }) => id),
      only: () => books.now()[0]?.offer,
    }
  }
  return { vendor, provider, server }
}

/** The API and the pass of one server. */
const use = (world: World, { books }: { books: ReturnType<typeof keepOffers> }) =>
  Object.assign(world.deps, { offers: books.now, offer_sources: books.sources })

const get = async (world: World, path: string, key = world.key) => {
  const answer = await world.request('GET', path, { key })
  return { status: answer.status, ...((await answer.json()) as { items: Row[]; next_cursor: string | null }) }
}
const rate: Rate = { per_usd: 7, at: '2026-02-20', source: 'desk' }
const cny = (per_hour: number, of: Rate | null = rate): Partial<Offer> => ({
  usd_per_hour: of ? Math.ceil((per_hour / of.per_usd) * 1e6) / 1e6 : Number.NaN,
  price: { source: 'list', at: null, live: true, charged: { currency: 'CNY', per_hour, rate: of } },
})

describe('servers', () => {
  test('ask a vendor once, whichever of them is first, and all have its offers', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world)
    const [one, two, reader] = [server(), server(), server(false)]
    await Promise.all([one.look(), two.look(), reader.look()])
    await Promise.all([one.books.settled(), two.books.settled()])
    for (const each of [one, two, reader]) await each.refresh()
    expect(vendor.asked).toBe(1)
    expect([one.ids(), two.ids(), reader.ids()]).toEqual([['a'], ['a'], ['a']])
    world.advance(29)
    for (const each of [one, two, reader]) await each.refresh()
    expect(vendor.asked).toBe(1)
    vendor.offers = [offer('a'), offer('b')]
    world.advance(2)
    for (const each of [one, two, reader]) await each.refresh()
    await one.refresh()
    expect([vendor.asked, one.ids(), two.ids(), reader.ids()]).toEqual([
      2,
      ['a', 'b'],
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  test('go on where the one that was asking has died', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world)
    vendor.hangs = true
    const dead = server()
    await dead.look()
    // The call is under way: it begins after the look.
    await expect.poll(() => vendor.asked).toBe(1)
    vendor.hangs = false
    const other = server()
    await other.refresh()
    expect(vendor.asked).toBe(1)
    world.advance(61)
    await other.refresh()
    expect([vendor.asked, other.ids()]).toEqual([2, ['a']])
    await dead.books.settled()
  })

  test('have offers of their own machine each for itself', async () => {
    await using world = await openTestWorld()
    const { provider, server } = vendorOf(world)
    const here = (region: string): Provider => ({
      ...provider,
      traits: { ...provider.traits, machines: 'here' },
      offers: () => Promise.resolve([offer('cpu', { region, usd_per_hour: 0 })]),
    })
    const [one, two] = [server(true, here('desk')), server(false, here('rack'))]
    await one.refresh()
    await two.refresh()
    expect([one.only()?.region, two.only()?.region]).toEqual(['desk', 'rack'])
    expect(await world.deps.db.selectFrom('offers').select('region').execute()).toEqual([])
  })

  test('go by the same offers while nothing but the age of a price changes', async () => {
    await using world = await openTestWorld()
    const live = () => ({ price: { source: 'list', at: world.deps.clock.now().toISOString(), live: true } })
    const { vendor, server } = vendorOf(world, [offer('a', live())])
    const [one, two] = [server(), server(false)]
    await one.refresh()
    await two.refresh()
    const [first, second] = [one.books.now(), two.books.now()]
    const version = () => world.deps.db.selectFrom('offer_sources').select('version').executeTakeFirst()
    const stored = await version()
    world.advance(31)
    vendor.offers = [offer('a', live())]
    await one.refresh()
    await two.refresh()
    const at = world.deps.clock.now().toISOString()
    expect([one.books.now() === first, two.books.now() === second]).toEqual([true, true])
    expect([one.only()?.price?.at, two.only()?.price?.at]).toEqual([at, at])
    expect(await version()).toEqual(stored)
  })

  test('ask no oftener than a tenth of the quota of the vendor, and rarely who fails', () => {
    expect(refreshEvery_ms({ calls_per_s: 100 })).toBe(30_000)
    expect(refreshEvery_ms({ calls_per_s: 1, offer_calls: 12 })).toBe(120_000)
    expect(refreshEvery_ms({ calls_per_s: 1, offer_calls: 500 })).toBe(300_000)
    expect([1, 2, 3, 9].map((failures) => refreshEvery_ms({ calls_per_s: 100 }, failures))).toEqual([
      60_000, 120_000, 240_000, 300_000,
    ])
  })
})

describe('an answer that makes no sense', () => {
  test('is refused offer by offer, told to operators, logged once, and never launched', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [
      offer('free', { usd_per_hour: 0 }),
      offer('below', { usd_per_hour: -1 }),
      offer('nan', { usd_per_hour: Number.NaN }),
      offer('dear', { usd_per_hour: 1e9 }),
      offer('yen', {
        ...cny(5, null),
        price: { source: 'list', at: null, charged: { currency: 'JPY', per_hour: 5, rate: null } },
      }),
      // A price in CNY that was taken for one in USD.
      offer('mixed', { ...cny(5), usd_per_hour: 0.1 }),
      offer('good'),
    ])
    const one = server()
    use(world, one)
    await one.refresh()
    world.advance(31)
    await one.refresh()
    const refusals = () => world.logged.filter(({ message }) => message === 'offers were refused')
    expect([vendor.asked, one.ids(), refusals().length]).toEqual([2, ['good'], 1])
    const { items } = await get(world, '/v1/offers/sources')
    expect(items).toMatchObject([
      {
        state: 'ok',
        offers: 1,
        refused: [
          { reason: 'price', count: 3, examples: ['eu free', 'eu below', 'eu nan'] },
          { reason: 'dear', count: 1 },
          { reason: 'currency', count: 1 },
          { reason: 'rate', count: 1 },
        ],
      },
    ])
    vendor.offers = [offer('good'), offer('free', { usd_per_hour: 0 })]
    world.advance(31)
    await one.refresh()
    expect(refusals().length).toBe(2)
    await world.request('POST', '/v1/jobs', { body: backtest() })
    await world.settle(2)
    expect([...world.model.machines.values()].map(({ request }) => request.offer.id)).toEqual(['good'])
    // Others' accounts are no tenant's affair.
    const other = await world.secondProject()
    expect((await get(world, '/v1/offers/sources', other.key)).status).toBe(403)
  })

  test('of ten thousand offers and more is bounded, stored, and read in pages', async () => {
    await using world = await openTestWorld()
    const many = Array.from({ length: most_offers + 500 }, (_, n) =>
      offer(`shape-${String(n).padStart(5, '0')}`, { usd_per_hour: 1 + (n % 100) / 100 }),
    )
    const { vendor, server } = vendorOf(world, many)
    const [one, two] = [server(), server(false)]
    use(world, two)
    await one.refresh()
    await two.refresh()
    expect([one.ids().length, two.ids().length]).toEqual([most_offers, most_offers])
    const seen = new Set<unknown>()
    let cursor: string | null = ''
    for (let page = 0; page < 3; page++) {
      const found = await get(world, `/v1/offers?limit=500${cursor ? `&cursor=${cursor}` : ''}`)
      for (const each of found.items) seen.add(each['offer'])
      cursor = found.next_cursor
    }
    expect(seen.size).toBe(1_500)
    // What has not changed is not written again.
    vendor.offers = many.map((each, n) => (n === 7 ? { ...each, usd_per_hour: 0.5 } : each))
    world.advance(301)
    await one.refresh()
    await two.refresh()
    expect(two.only()).toMatchObject({ id: 'shape-00000' })
    const { count } = await world.deps.db
      .selectFrom('offer_history')
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow()
    expect(Number(count)).toBe(most_offers + 1)
  })
})

describe('a vendor that is silent', () => {
  test('keeps its last offers for a quarter of an hour, marked with their age, then none', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [
      offer('a', { price: { source: 'list', at: null, live: true } }),
    ])
    const [one, two] = [server(), server(false)]
    use(world, two)
    await one.refresh()
    const asked_at = world.deps.clock.now().toISOString()
    vendor.fails = new ProviderError('unavailable', { provider: 'model', detail: 'no answer in time' })
    for (let minute = 0; minute < 14; minute++) {
      world.advance(60)
      await one.refresh()
    }
    await two.refresh()
    expect((await get(world, '/v1/offers')).items).toMatchObject([
      { offer: 'a', stale_since: asked_at, price: { at: asked_at, age_s: 840 } },
    ])
    expect((await get(world, '/v1/offers/sources')).items).toMatchObject([
      { state: 'failed', error: 'unavailable: no answer in time', age_s: 840, offers: 1, stale: 1 },
    ])
    // Told once, though asked again and again, ever more rarely.
    expect(world.logged.filter(({ message }) => message === 'offers failed')).toHaveLength(1)
    expect(vendor.asked).toBeLessThan(8)
    world.advance(61)
    // Nobody has to ask for it to be too old.
    await two.refresh()
    expect(two.ids()).toEqual([])
    vendor.fails = null
    world.advance(300)
    await one.refresh()
    await two.refresh()
    expect(two.only()?.stale_since).toBeUndefined()
    expect(two.ids()).toEqual(['a'])
    expect(world.logged.at(-1)?.message).toBe('offers are answered again')
  })

  test('that does not even end its call is given up, and hides no other account', async () => {
    await using world = await openTestWorld()
    const { vendor, provider, server } = vendorOf(world)
    vendor.hangs = true
    const well: Provider = {
      ...provider,
      account: 'well',
      offers: () => Promise.resolve([offer('b', { account: 'well' })]),
    }
    const accounts = keepAccounts([provider, well])
    const books = keepOffers(accounts, { asks: true, call_ms: 50 })
    await books.look(world.deps)
    await books.settled()
    expect(books.now().map(({ offer: { id } }) => id)).toEqual(['b'])
    expect(books.sources().find(({ account }) => account === 'main')?.error).toBe('no answer in time')
    expect(server().ids()).toEqual([])
  })

  test('in one region keeps that one alone, and the others are as new as ever', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [offer('a'), offer('b', { region: 'us' })])
    const one = server()
    use(world, one)
    await one.refresh()
    const first_at = world.deps.clock.now().toISOString()
    vendor.missing = [
      {
        name: 'us',
        error: new ProviderError('unavailable', { provider: 'model', detail: 'no answer in time' }),
        has: ({ region }) => region === 'us',
      },
    ]
    vendor.offers = [offer('a', { usd_per_hour: 0.7 })]
    world.advance(61)
    await one.refresh()
    expect((await get(world, '/v1/offers')).items).toMatchObject([
      { offer: 'a', usd_per_hour: 0.7, stale_since: null },
      { offer: 'b', usd_per_hour: 0.8, stale_since: first_at },
    ])
    expect((await get(world, '/v1/offers/sources')).items).toMatchObject([
      { state: 'partial', stale: 1, missing: [{ name: 'us', error: 'unavailable: no answer in time' }] },
    ])
    // A quarter of an hour later it is no offer any more, though the account answers.
    for (let minute = 0; minute < 15; minute++) {
      world.advance(60)
      await one.refresh()
    }
    expect(one.ids()).toEqual(['a'])
    expect(await world.deps.db.selectFrom('offers').select('offer_id').execute()).toEqual([{ offer_id: 'a' }])
    // What the vendor does not list any more is gone at once.
    vendor.missing = []
    vendor.offers = [offer('b', { region: 'us' })]
    world.advance(61)
    await one.refresh()
    expect(one.ids()).toEqual(['b'])
  })
})

test('a price in another currency says what the vendor bills, at which rate, and whether that is old', async () => {
  await using world = await openTestWorld()
  const old = { ...rate, at: '2025-12-01' }
  const { server } = vendorOf(world, [offer('new', cny(7)), offer('old', cny(14, old))])
  const one = server()
  use(world, one)
  await one.refresh()
  const asked_at = world.deps.clock.now().toISOString()
  world.advance(20)
  expect((await get(world, '/v1/offers')).items).toMatchObject([
    {
      offer: 'new',
      usd_per_hour: 1,
      price: {
        source: 'list',
        at: asked_at,
        age_s: 20,
        live: true,
        currency: 'CNY',
        per_hour: 7,
        rate: { ...rate, is_old: false },
      },
    },
    { offer: 'old', usd_per_hour: 2, price: { rate: { at: '2025-12-01', is_old: true } } },
  ])
  expect((await get(world, '/v1/offers/sources')).items).toMatchObject([{ rates: [{ currency: 'CNY' }] }])
})

test('a price that whoever set the account up has named says of which day it is', async () => {
  await using world = await openTestWorld()
  const price = { source: "the account's price of the shape", at: '2026-02-20' }
  const { server } = vendorOf(world, [offer('a', { price })])
  const one = server()
  use(world, one)
  await one.refresh()
  expect((await get(world, '/v1/offers')).items).toMatchObject([
    { price: { ...price, age_s: 10.375 * 86_400, live: false, currency: 'USD', per_hour: 0.8, rate: null } },
  ])
})

describe('a price that changes', () => {
  const submit = async (world: World) =>
    (await (await world.request('POST', '/v1/jobs', { body: backtest() })).json()) as JobView

  test('between estimate and launch is the one that is launched at', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [offer('a'), offer('b', { usd_per_hour: 0.9 })])
    const one = server()
    use(world, one)
    await one.refresh()
    const answer = await world.request('POST', '/v1/jobs/estimate', { body: backtest() })
    expect(((await answer.json()) as { offers: Row[] }).offers[0]).toMatchObject({
      offer: 'a',
      usd_per_hour: 0.8,
    })
    const { id } = await submit(world)
    vendor.offers = [offer('a', { usd_per_hour: 1.6 }), offer('b', { usd_per_hour: 0.9 })]
    world.advance(31)
    await one.refresh()
    await world.settle(2)
    const [machine] = [...world.model.machines.values()]
    expect(machine?.request.offer).toMatchObject({ id: 'b', usd_per_hour: 0.9 })
    const job = (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
    expect(job.attempts).toMatchObject([{ offer: 'b', usd_per_hour: 0.9 }])
  })

  test.for([
    ['dearer', { usd_per_hour: 1.6 }],
    ['out of stock', { available: 0 }],
    ['gone', null],
  ] as const)('while a launch is being decided, to %s, is decided on anew', async ([, change]) => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [offer('a'), offer('b', { usd_per_hour: 0.9 })])
    const one = server()
    await one.refresh()
    await submit(world)
    vendor.offers = [...(change ? [offer('a', change)] : []), offer('b', { usd_per_hour: 0.9 })]
    // The list comes in after the decision has drawn its ids and before it is written.
    const before = one.books.now()
    let isDecided = false
    const { random } = world.deps
    Object.assign(world.deps, {
      offers: () => (isDecided ? one.books.now() : before),
      random: (bytes: number) => {
        if (bytes === 32) isDecided = true
        return random(bytes)
      },
    })
    world.advance(31)
    await one.refresh()
    await world.settle(3)
    const launched = [...world.model.machines.values()].map(({ request }) => request.offer.id)
    expect([isDecided, launched]).toEqual([true, ['b']])
    // Nothing is left counted of what was not launched.
    expect(await world.deps.db.selectFrom('attempts').select('offer_id').execute()).toEqual([
      { offer_id: 'b' },
    ])
  })
})

describe('the history', () => {
  const history = (world: World, query = '') => get(world, `/v1/offers/history${query}`)

  test('has a row for each change of price and stock, and none for what stays', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [offer('a'), offer('b', cny(7))])
    const one = server()
    const step = async (offers: Offer[]) => {
      vendor.offers = offers
      world.advance(301)
      await one.refresh()
      return world.deps.clock.now().toISOString()
    }
    await one.refresh()
    const start = world.deps.clock.now().toISOString()
    await step([offer('a'), offer('b', cny(7))])
    const dearer = await step([offer('a', { usd_per_hour: 0.9 }), offer('b', cny(7))])
    const out = await step([offer('a', { usd_per_hour: 0.9, available: 0 }), offer('b', cny(7))])
    const gone = await step([offer('b', cny(7))])
    const place = { provider: 'model', account: 'main', region: 'eu', spot: false }
    const a = { ...place, offer: 'a', currency: 'USD' }
    const { items } = await history(world, '?offer=a')
    expect(items).toEqual([
      { ...a, at: start, usd_per_hour: 0.8, per_hour: 0.8, available: null, listed: true },
      { ...a, at: dearer, usd_per_hour: 0.9, per_hour: 0.9, available: null, listed: true },
      { ...a, at: out, usd_per_hour: 0.9, per_hour: 0.9, available: 0, listed: true },
      { ...a, at: gone, usd_per_hour: 0.9, per_hour: 0.9, available: 0, listed: false },
    ])
    expect((await history(world, '?offer=b')).items).toMatchObject([
      { at: start, usd_per_hour: 1, currency: 'CNY', per_hour: 7 },
    ])
    // A chart of any time begins with what held then.
    const ats = async (query: string) => (await history(world, query)).items.map(({ at }) => at)
    expect(await ats(`?offer=a&from=${out}`)).toEqual([out, gone])
    expect(await ats(`?offer=a&from=2026-03-02T09:12:00Z`)).toEqual([dearer, out, gone])
    expect(await ats(`?offer=a&to=${out}`)).toEqual([start, dearer])
    expect(await ats(`?from=${dearer}&provider=model&account=main&region=eu&spot=false`)).toEqual([
      dearer,
      out,
      gone,
    ])
    expect(await ats('?provider=other')).toEqual([])
  })

  test('comes in pages, and refuses what is no time and no cursor', async () => {
    await using world = await openTestWorld()
    const { server } = vendorOf(world, [offer('a'), offer('b'), offer('c')])
    await server().refresh()
    const first = await history(world, '?limit=2')
    const second = await history(world, `?limit=2&cursor=${first.next_cursor}`)
    expect([first, second].map(({ items }) => items.map((each) => each['offer']))).toEqual([
      ['a', 'b'],
      ['c'],
    ])
    expect(second.next_cursor).toBeNull()
    for (const query of ['?from=yesterday', '?cursor=x', '?limit=0', '?what=1'])
      expect((await history(world, query)).status).toBe(422)
    const viewer = await createKey(world.deps, world.project_id, 'viewer', 'viewer')
    expect((await get(world, '/v1/offers/history', viewer)).status).toBe(200)
  })

  test('of a price that jumps has a row in five minutes, and ends with the last one', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world)
    const one = server()
    await one.refresh()
    for (let n = 1; n <= 20; n++) {
      vendor.offers = [offer('a', { usd_per_hour: 0.8 + n / 100 })]
      world.advance(31)
      await one.refresh()
    }
    world.advance(301)
    await one.refresh()
    const { items } = await history(world)
    expect(items.length).toBeLessThanOrEqual(4)
    expect(items.at(-1)).toMatchObject({ usd_per_hour: 1 })
  })

  test('of fixed capacity does not follow every job', async () => {
    await using world = await openTestWorld()
    const { vendor, server } = vendorOf(world, [offer('a', { slots: 4, available: 4 })])
    const one = server()
    await one.refresh()
    for (const available of [3, 1, 0, 2]) {
      vendor.offers = [offer('a', { slots: 4, available })]
      world.advance(301)
      await one.refresh()
    }
    expect((await history(world)).items.map(({ available }) => available)).toEqual([4, 0, 2])
  })

  test('goes with the logs, and an account that nobody asks any more with its offers', async () => {
    await using world = await openTestWorld()
    const { server } = vendorOf(world)
    const one = server()
    await one.refresh()
    world.advance(89 * 86_400)
    await sweepRetention(world.deps)
    expect((await history(world)).items).toHaveLength(1)
    expect(await world.deps.db.selectFrom('offers').selectAll().execute()).toEqual([])
    expect(await world.deps.db.selectFrom('offer_sources').selectAll().execute()).toEqual([])
    world.advance(2 * 86_400)
    await sweepRetention(world.deps)
    expect((await history(world)).items).toEqual([])
  })
})
