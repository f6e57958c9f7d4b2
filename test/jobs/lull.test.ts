// While nothing changes, a queue in which nothing finds a place is not looked at again and again.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { keepCatalogue } from '../../jobs/catalogue.ts'
import { isLull, newLull, noteLook } from '../../jobs/lull.ts'
import { runPass } from '../../jobs/reconcile.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld } from '../support/world.ts'

/** A server that passes once a second, and what it read of the queue. */
async function openServer() {
  const world = await openTestWorld()
  const catalogued = keepCatalogue()
  let looks = 0
  const deps = {
    ...world.deps,
    offers: () => catalogued(world.model.offers),
    db: world.deps.db.withPlugin({
      transformQuery({ node }) {
        if (JSON.stringify(node).includes('recursive heads')) looks++
        return node
      },
      transformResult: ({ result }) => Promise.resolve(result),
    }),
  }
  const lull = newLull()
  const submit = async (more: Record<string, unknown> = {}) =>
    ((await (await world.request('POST', '/v1/jobs', { body: backtest(more) })).json()) as JobView).id
  return {
    world,
    submit,
    /** Passes for so long; how often the queue was looked at. */
    async passFor(seconds: number) {
      looks = 0
      for (let second = 0; second < seconds; second++) {
        await (
          await runPass(deps, 'rep_one', false, lull)
        ).calls
        world.advance(1)
      }
      return looks
    },
    launched: () => [...world.model.machines.values()].map(({ request }) => request.offer.id),
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  }
}

/** A job that found no stock at the only offer that fits it, which is remembered for minutes. */
async function outOfStock() {
  const server = await openServer()
  server.world.model.faults.launch.push('capacity', 'capacity', 'capacity')
  await server.submit()
  await server.passFor(200)
  expect(server.launched()).toEqual([])
  return server
}

test('a queue that waits for stock is left alone until the stock may be back', async () => {
  await using server = await outOfStock()
  // It was refused three times: after 0, 60 and 180 s. The next try comes 240 s after that.
  expect(await server.passFor(100)).toBeLessThanOrEqual(8)
  await server.passFor(140)
  expect(server.launched()).toEqual(['cpu'])
})

test.for([
  ['a job is submitted', async ({ submit }) => void (await submit({ placement: { spot: 'allow' } }))],
  [
    'an offer comes',
    async ({ world }) => {
      const [cpu] = world.model.offers
      if (cpu) world.model.offers.push({ ...cpu, id: 'other' })
    },
  ],
  [
    'a limit is raised',
    async ({ world }) =>
      void (await world.request('PUT', '/v1/limits', {
        body: { scope: 'kind', key: 'backtest', max_running: 9 },
      })),
  ],
  ['a policy changes', async ({ world }) => void (await world.request('PUT', '/v1/policy', { body: {} }))],
  [
    'somebody forgets a refusal',
    async ({ world: { deps } }) => {
      await deps.db.deleteFrom('capacity_memory').execute()
      await sql`select nextval('queue_changes')`.execute(deps.db)
    },
  ],
] as [string, (server: Awaited<ReturnType<typeof openServer>>) => Promise<void>][])(
  'it is looked at again at once when %s',
  async ([, change]) => {
    await using server = await outOfStock()
    await server.passFor(20)
    expect(await server.passFor(3)).toBe(0)
    await change(server)
    expect(await server.passFor(1)).toBeGreaterThan(0)
  },
)

test('a place that comes free is taken at once', async () => {
  await using server = await openServer()
  const { world } = server
  const [offer] = world.model.offers
  if (offer) Object.assign(offer, { slots: 1 })
  const first = await server.submit()
  const second = await server.submit()
  await server.passFor(20)
  expect(server.launched()).toHaveLength(1)
  expect(await server.passFor(3)).toBe(0)
  await world.request('POST', `/v1/jobs/${first}/cancel`)
  world.advance(300)
  await server.passFor(10)
  expect(server.launched()).toHaveLength(2)
  expect((await (await world.request('GET', `/v1/jobs/${second}`)).json()) as JobView).toMatchObject({
    attempts: [{ provider: 'model' }],
  })
})

test('a change that nobody counted is noticed within half a minute', async () => {
  await using server = await outOfStock()
  await server.passFor(20)
  await server.world.deps.db.deleteFrom('capacity_memory').execute()
  await server.passFor(31)
  expect(server.launched()).toEqual(['cpu'])
})

test('of thousands of shapes each has its turn, and then they rest', async () => {
  await using server = await openServer()
  const { world } = server
  world.deps.settings.max_queued = 10_000
  for (let part = 0; part < 3; part++) {
    const jobs = Array.from({ length: 800 }, (_, n) =>
      backtest({ resources: { cpu: 50 + part * 10 + n / 100 } }),
    )
    await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
  }
  await server.submit({ resources: { cpu: 1 } })
  // Whichever look it is that comes to it.
  await server.passFor(4)
  expect(server.launched()).toEqual(['cpu'])
  await server.passFor(20)
  expect(await server.passFor(5)).toBe(0)
})

test('a lull begins when what was counted must have been committed, and ends with a memory', () => {
  const lull = newLull()
  const at = (second: number) => new Date(second * 1_000)
  const refused = { code: 'capacity' as const, failures: 1, updated_at: at(0) }
  const memory = new Map([['an offer', { ...refused, blocked_until: at(20) }]])
  const offers = keepCatalogue()([])
  const look = (second: number, found = false) => noteLook(lull, { found, next: null, memory }, at(second))
  const rests = (second: number, mark = 'one') => isLull(lull, mark, offers, at(second))
  expect(rests(1)).toBe(false)
  look(1)
  expect(rests(5)).toBe(false)
  look(6)
  expect(rests(19)).toBe(true)
  expect(rests(20)).toBe(false)
  look(20, true)
  expect(rests(21)).toBe(false)
  look(21)
  expect(rests(22)).toBe(true)
  expect(rests(23, 'two')).toBe(false)
})
