// `npm run bench -- placement [--offers 4000] [--rounds 300]`: ranking thousands of offers for work of several shapes,
// with refusals that are remembered, attempts that hold places, limits and durations from history.
import { catalogueOf } from '../jobs/catalogue.ts'
import { signatureOf } from '../jobs/kinds/kind.ts'
import { deviceDefaults } from '../jobs/limits.ts'
import { type Places, rank, remembering, signing, type Work } from '../jobs/market.ts'
import { whole } from '../jobs/shards.ts'
import { jobSpec } from '../jobs/spec.ts'
import { countLaunch, type OpenCounts } from '../jobs/store/open.ts'
import type { Offer } from '../providers/provider.ts'
import { createSteadyCloud } from './support/steady-cloud.ts'
import { shapes } from '../test/support/shapes.ts'
import { backtest } from '../test/support/world.ts'
import { type Measurement, option, percentile, rounded } from './measurement.ts'

const now = new Date('2026-03-02T09:00:00Z')
/** Rounds before those that are measured, for the compiler of the engine. */
const warmUps = 50

const asked: Record<string, Record<string, unknown>> = {
  anything: {},
  any_gpu: { resources: { gpu: {} } },
  rtx_4090: { resources: { gpu: { models: ['RTX 4090'] } } },
  ada_24_gib: { resources: { gpu: { memory_gib: 24, compute_capability: '8.9' } } },
  two_models_two_providers: {
    resources: { gpu: { models: ['A100', 'H100'] } },
    placement: { providers: ['aws', 'runpod'], spot: 'allow' },
  },
  fastest_before_a_deadline: {
    placement: { optimize: 'speed', spot: 'allow' },
    deadline_at: '2026-03-02T12:00:00Z',
    budget_usd: 5,
  },
  nothing_fits: { resources: { gpu: { memory_gib: 1_000 } } },
}

export const measure: Measurement = (options) => {
  const count = option(options, 'offers', 4_000)
  const rounds = option(options, 'rounds', 300)
  const offers = offersOf(count)
  const catalogue_ms = timed(Math.min(rounds, 50), () => void catalogueOf(offers))
  const figures: Record<string, number> = {
    offers: count,
    rounds,
    catalogue_p50_ms: rounded(percentile(catalogue_ms, 0.5), 3),
  }
  const targets: Record<string, { at_most: number }> = {}
  const places = placesOf(offers)
  for (const [name, more] of Object.entries(asked)) {
    const work = workOf(more)
    const history = new Map(
      catalogueOf(offers)
        .slice(0, 500)
        .map((entry) => [entry.history, 90]),
    )
    places.histories.set(`${work.project_id}/${signatureOf(work.spec, whole)}`, history)
    const taken_ms = timed(rounds, () => void rank(places, work, now))
    figures[`${name}_p50_ms`] = rounded(percentile(taken_ms, 0.5), 3)
    figures[`${name}_p99_ms`] = rounded(percentile(taken_ms, 0.99), 3)
    targets[`${name}_p50_ms`] = { at_most: 1 }
  }
  return Promise.resolve({ figures, targets })
}

function timed(rounds: number, work: () => void): number[] {
  const taken_ms: number[] = []
  for (let round = -warmUps; round < rounds; round++) {
    const from_ms = performance.now()
    work()
    if (round >= 0) taken_ms.push(performance.now() - from_ms)
  }
  return taken_ms
}

/** Every shape in many regions, at prices that differ a little. */
function offersOf(count: number): Offer[] {
  return Array.from({ length: count }, (_, n) => {
    const { assumed: _assumed, ...shape } = shapes[n % shapes.length] as (typeof shapes)[number]
    const region = Math.floor(n / shapes.length)
    return {
      ...shape,
      region: `region-${region}`,
      usd_per_hour: shape.usd_per_hour * (1 + (region % 17) / 100),
    }
  })
}

/** One offer in ten refused a launch lately, and one in twenty is held by an attempt. */
function placesOf(offers: readonly Offer[]): Places {
  const catalogue = catalogueOf(offers)
  const open: OpenCounts = new Map()
  const memory = new Map<
    string,
    { code: 'capacity'; failures: number; blocked_until: Date; updated_at: Date }
  >()
  for (const [n, { name, offer }] of catalogue.entries()) {
    const { provider, account, id: offer_id } = offer
    if (n % 20 === 0)
      countLaunch(open, { provider, account, offer_id, kind: 'backtest', project_id: 'prj_b' })
    if (n % 10 === 0)
      memory.set(name, {
        code: 'capacity',
        failures: 1,
        blocked_until: new Date(now.getTime() + 60_000),
        updated_at: now,
      })
  }
  const limits = new Map(Object.entries(deviceDefaults).map(([key, most]) => [`device:${key}`, most]))
  for (const scope of ['project:prj_a', 'kind:backtest', 'account:aws/main', 'account:runpod/main'])
    limits.set(scope, 100_000)
  const { traits } = createSteadyCloud().provider
  return {
    offers: catalogue,
    open,
    memory,
    refusals: remembering(catalogue, memory),
    limits,
    policies: new Map([
      ['prj_a', { regions: catalogue.slice(0, 150).map(({ offer: { region } }) => region), spot: 'allow' }],
    ]),
    rows: new Map(),
    histories: new Map(),
    traits_of: () => traits,
    container_of: () => null,
    calls_of: () => 0,
    decided: new Map(),
    signature_of: signing(),
  }
}

function workOf(more: Record<string, unknown>): Work {
  const spec = jobSpec.parse(backtest(more))
  const allowance_micros = spec.budget_usd === undefined ? null : spec.budget_usd * 1e6
  return { project_id: 'prj_a', spec, part: whole, excluded_providers: [], allowance_micros }
}
