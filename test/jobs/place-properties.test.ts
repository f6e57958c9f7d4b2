// What holds of placement whatever is asked for and whatever is offered. The seed is fixed: a failure names its case.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { catalogueOf } from '../../jobs/catalogue.ts'
import { type Market, place, type Ranked, type Wanted } from '../../jobs/place.ts'
import { jobSpec } from '../../jobs/spec.ts'
import type { Offer } from '../../providers/provider.ts'
import { shapes } from '../support/shapes.ts'
import { backtest } from '../support/world.ts'

const runs = { seed: 20_260_301, numRuns: 400 }
const accounts = ['main', 'second']
const regions = ['EU-RO-1', 'us-east-1', 'desk']

/** Facts of the market that depend on nothing but the offer's name and these numbers. */
interface World {
  offers: Offer[]
  seconds: number
  blocked: number
  full: number
}

const offer = fc
  .record({
    shape: fc.integer({ min: 0, max: shapes.length - 1 }),
    account: fc.constantFrom(...accounts),
    region: fc.constantFrom(...regions),
    spot: fc.boolean(),
    cents: fc.integer({ min: 0, max: 4 }),
    available: fc.constantFrom(null, null, 0, 3),
  })
  .map(({ shape, cents, ...more }): Offer => {
    const { assumed: _, ...known } = shapes[shape] as (typeof shapes)[number]
    return { ...known, ...more, usd_per_hour: known.usd_per_hour + cents / 100 }
  })
const world: fc.Arbitrary<World> = fc.record({
  offers: fc
    .uniqueArray(offer, {
      maxLength: 60,
      selector: (each) => catalogueOf([each])[0]?.name ?? '',
    })
    .map((offers) => offers),
  seconds: fc.integer({ min: 1, max: 20_000 }),
  blocked: fc.integer({ min: 0, max: 9 }),
  full: fc.integer({ min: 0, max: 9 }),
})

const maybe = <Value>(value: fc.Arbitrary<Value>) => fc.option(value, { nil: undefined, freq: 1 })
const wanted: fc.Arbitrary<Wanted> = fc
  .record({
    device: fc.constantFrom('auto', 'auto', 'cuda', 'cpu'),
    gpu: fc.option(
      fc.record({
        models: maybe(fc.subarray(['RTX 4090', 'A100', 'L4', 'H100', 'RTX 3090'], { minLength: 1 })),
        count: fc.constantFrom(1, 1, 1, 4, 8),
        memory_gib: maybe(fc.constantFrom(8, 24, 48, 80)),
        compute_capability: maybe(fc.constantFrom('7.5', '8.6', '8.9', '12.0')),
      }),
    ),
    cpu: fc.constantFrom(1, 4, 8, 32),
    memory_gib: fc.constantFrom(4, 16, 64),
    providers: maybe(fc.subarray(['runpod', 'aws', 'local', 'alibaba'], { minLength: 1 })),
    regions: maybe(fc.subarray([...regions, '*'], { minLength: 1 })),
    spot: fc.constantFrom('never' as const, 'allow' as const, 'only' as const),
    max_usd_per_hour: maybe(fc.constantFrom(0.25, 1, 5)),
    optimize: fc.constantFrom('cost' as const, 'speed' as const),
    budget_micros: fc.option(fc.constantFrom(1_000, 50_000, 5_000_000)),
    deadline_s: fc.option(fc.constantFrom(60, 3_600, 30_000)),
    excluded: fc.subarray(['runpod', 'aws']),
    policy: fc.option(
      fc.record({
        spot: maybe(fc.constantFrom('never' as const)),
        regions: maybe(fc.constant(['desk', 'us-east-1'])),
      }),
    ),
    training: fc.boolean(),
  })
  .map((asked): Wanted => {
    const {
      device,
      gpu,
      cpu,
      memory_gib,
      providers,
      regions: in_regions,
      spot,
      max_usd_per_hour,
      optimize,
    } = asked
    const { kind, resources, placement } = jobSpec.parse(
      JSON.parse(
        JSON.stringify(
          backtest({
            resources: { device, gpu: device === 'cpu' ? null : gpu, cpu, memory_gib },
            placement: { providers, regions: in_regions, spot, max_usd_per_hour, optimize },
          }),
        ),
      ),
    )
    return {
      kind: asked.training ? ('training' as never) : kind,
      resources,
      placement,
      unfit: () => null,
      policy: asked.policy && JSON.parse(JSON.stringify(asked.policy)),
      excluded_providers: asked.excluded,
      budget_micros: asked.budget_micros,
      deadline_s: asked.deadline_s,
    }
  })

/** The same name always has the same fate. */
const dice = (name: string, salt: number) =>
  Array.from(name).reduce((sum, char) => (sum * 31 + (char.codePointAt(0) ?? 0)) % 997, salt)

function marketOf({ seconds, blocked, full }: World): Market {
  return {
    load: ({ name, offer: { slots } }) =>
      slots === null ? 0 : dice(name, full) % 10 < full ? 1 : (dice(name, 3) % 4) / 4,
    refused: ({ name }) => (dice(name, blocked) % 10 < blocked ? 'capacity' : null),
    limited: ({ name }) => dice(name, 7) % 11 === 0,
    expected_s: ({ name, offer: { cpu } }) => (dice(name, 5) % 7 === 0 ? null : 10 + seconds / cpu),
    basis: () => 'model',
    min_billing_s: ({ offer: { provider } }) => (provider === 'aws' ? 60 : 0),
  }
}

/** What a user sees of how good a place is: whether its time is known, then what was asked to be least. */
const worth = ({ placement: { optimize } }: Wanted, { expected, expected_micros }: Ranked): number[] =>
  expected === null ? [1, 0] : [0, optimize === 'speed' ? expected.duration_s : (expected_micros ?? 0)]
const isWorse = (a: number[], b: number[]) =>
  a[0] !== b[0] ? (a[0] ?? 0) > (b[0] ?? 0) : (a[1] ?? 0) > (b[1] ?? 0)

test('no offer that could take the work is better than the chosen one, or left out', () => {
  fc.assert(
    fc.property(world, wanted, (given, want) => {
      const market = marketOf(given)
      const all = place(want, catalogueOf(given.offers), market)
      // Each by itself: whether it can take the work does not depend on the others.
      const alone = given.offers.flatMap((each) => place(want, catalogueOf([each]), market).ranked)
      const [chosen] = all.ranked
      expect(all.ranked).toHaveLength(Math.min(20, alone.length))
      expect(all.rejected.reduce((sum, { count }) => sum + count, 0)).toBe(given.offers.length - alone.length)
      for (const other of alone)
        if (chosen) expect(isWorse(worth(want, chosen), worth(want, other))).toBe(false)
      const worths = all.ranked.map((each) => worth(want, each))
      for (const [index, each] of worths.slice(1).entries())
        expect(isWorse(worths[index] ?? [], each)).toBe(false)
    }),
    runs,
  )
})

test('the order in which vendors list their offers changes nothing', () => {
  const shuffled = world.chain((given) =>
    fc.tuple(fc.constant(given), fc.shuffledSubarray(given.offers, { minLength: given.offers.length })),
  )
  fc.assert(
    fc.property(shuffled, wanted, ([given, offers], want) => {
      const market = marketOf(given)
      expect(place(want, catalogueOf(offers), market)).toEqual(place(want, catalogueOf(given.offers), market))
    }),
    runs,
  )
})

function withoutWish(want: Wanted, name: 'providers' | 'regions' | 'max_usd_per_hour'): Wanted {
  const placement = { ...want.placement }
  delete placement[name]
  return { ...want, placement }
}

const without: Record<string, (want: Wanted) => Wanted> = {
  policy: (want) => ({ ...want, policy: null }),
  budget: (want) => ({ ...want, budget_micros: null }),
  deadline: (want) => ({ ...want, deadline_s: null }),
  exclusion: (want) => ({ ...want, excluded_providers: [] }),
  providers: (want) => withoutWish(want, 'providers'),
  regions: (want) => withoutWish(want, 'regions'),
  price: (want) => withoutWish(want, 'max_usd_per_hour'),
  spot: (want) => ({ ...want, placement: { ...want.placement, spot: 'allow' } }),
  gpu: (want) => ({ ...want, resources: { ...want.resources, gpu: null } }),
  device: (want) => ({ ...want, resources: { ...want.resources, device: 'auto' } }),
  cpu: (want) => ({ ...want, resources: { ...want.resources, cpu: 1 } }),
  memory: (want) => ({ ...want, resources: { ...want.resources, memory_gib: 1 } }),
}

test.for(Object.keys(without))('without its %s, work is placed no worse', (constraint) => {
  fc.assert(
    fc.property(world, wanted, (given, want) => {
      const market = marketOf(given)
      const catalogue = catalogueOf(given.offers)
      const [before] = place(want, catalogue, market).ranked
      const [after] = place(without[constraint]?.(want) ?? want, catalogue, market).ranked
      if (!before) return
      expect(after).toBeDefined()
      if (after) expect(isWorse(worth(want, after), worth(want, before))).toBe(false)
    }),
    runs,
  )
})
