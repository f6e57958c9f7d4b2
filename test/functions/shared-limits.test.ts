// Bounds on requests, shared by several servers on one database.
import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { createRates } from '../../jobs/rates.ts'
import { openTestWorld, type World } from '../support/world.ts'

const per_s = 6

/** Servers on the world's database that divide their bounds every second, as infra/loops.ts has them do. */
function serve(world: World, count: number) {
  const servers = Array.from({ length: count }, (_, n) => {
    const rates = createRates(world.deps.clock, per_s, `rep_${n}`)
    return { rates, app: createApp({ ...world.deps, rates }) }
  })
  const lease = async () => {
    for (const { rates } of servers) await rates.lease(world.deps)
  }
  const ask = async (n: number, address?: string, key = world.key) => {
    const env = address === undefined ? undefined : { incoming: { socket: { remoteAddress: address } } }
    const init = { headers: { authorization: `Bearer ${key}` } }
    return (await servers[n]?.app.request('/v1/project', init, env)) ?? expect.unreachable()
  }
  return { servers, lease, ask }
}

/** How many are let through in `seconds`, of requests that come evenly; `rates`: at each server, in the second of that number. */
async function admitted(world: World, seconds: number, rates: (second: number) => number[]) {
  const { lease, ask } = serve(world, rates(0).length)
  // All know of each other.
  await lease()
  world.advance(3)
  await lease()
  let count = 0
  const tenths = 10
  for (let second = 0; second < seconds; second++) {
    for (let tenth = 0; tenth < tenths; tenth++) {
      for (const [n, rate] of rates(second).entries()) {
        const due = Math.floor((rate * (tenth + 1)) / tenths) - Math.floor((rate * tenth) / tenths)
        for (let each = 0; each < due; each++) if ((await ask(n)).status === 200) count++
      }
      world.advance(1 / tenths)
    }
    await lease()
  }
  return count
}

/** A second's worth may come at once, before the rate counts. */
const bound = (seconds: number) => per_s * (seconds + 1)

test.each<[name: string, rates: (second: number) => number[]]>([
  ['evenly', () => [5, 5, 5]],
  ['mostly at one server', () => [12, 1, 1]],
  ['at one server alone', () => [10, 0, 0]],
  ['at another server after a while', (second) => (second < 10 ? [10, 0, 0] : [0, 10, 0])],
])('more than a key may send, %s: servers together let through what one would', async (_, rates) => {
  await using world = await openTestWorld()
  const seconds = 20
  const count = await admitted(world, seconds, rates)
  expect(count / bound(seconds)).toBeGreaterThan(0.9)
  expect(count / bound(seconds)).toBeLessThan(1.1)
})

test('what is within the bound is let through wherever it comes', async () => {
  await using world = await openTestWorld()
  const rates = (second: number) => (second % 6 < 3 ? [2, 1, 0] : [0, 1, 2])
  expect(await admitted(world, 18, rates)).toBe(18 * 3)
})

test('while the database is away a server goes on with the share that it had last', async () => {
  await using world = await openTestWorld()
  const { servers, lease, ask } = serve(world, 2)
  await lease()
  await lease()
  for (let second = 0; second < 8; second++) {
    for (let each = 0; each < 2 * per_s; each++) {
      await ask(0)
      await ask(1)
    }
    world.advance(1)
    await lease()
  }
  const away = { ...world.deps, db: world.deps.db.withSchema('away') }
  let count = 0
  for (let second = 0; second < 6; second++) {
    for (let each = 0; each < 2 * per_s; each++) if ((await ask(0)).status === 200) count++
    world.advance(1)
    await expect(servers[0]?.rates.lease(away)).rejects.toThrow('away')
  }
  expect(count).toBe((6 * per_s) / 2)
})

test('a refusal says truly when to come again', async () => {
  await using world = await openTestWorld()
  const { lease, ask } = serve(world, 4)
  await lease()
  world.advance(3)
  await lease()
  for (let second = 0; second < 5; second++) {
    for (const n of [0, 1, 2, 3]) for (let each = 0; each < per_s; each++) await ask(n)
    world.advance(1)
    await lease()
  }
  const refused = await ask(0)
  expect(refused.status).toBe(429)
  const wait_s = Number(refused.headers.get('retry-after'))
  for (let second = 0; second < wait_s; second++) {
    for (const n of [0, 1, 2, 3]) for (let each = 0; each < per_s; each++) await ask(n)
    world.advance(1)
  }
  expect((await ask(0)).status).toBe(200)
})

test('an address that sends no credential that holds is refused before the database is asked, and others there are served', async () => {
  await using world = await openTestWorld()
  const { ask } = serve(world, 1)
  const [here, elsewhere] = ['192.0.2.7', '192.0.2.8']
  expect((await ask(0, here)).status).toBe(200)
  const guess = (address: string) => ask(0, address, `berth_${'0'.repeat(12)}_${'A'.repeat(43)}`)
  for (let each = 0; each < 10 * per_s; each++) expect((await guess(here)).status).toBe(401)
  const refused = await guess(here)
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
  expect((await guess(elsewhere)).status).toBe(401)
  expect((await ask(0, here)).status).toBe(200)
  world.advance(1)
  expect((await guess(here)).status).toBe(401)
})

test('rows of servers and buckets that are not used go', async () => {
  await using world = await openTestWorld()
  const { lease, ask } = serve(world, 2)
  await lease()
  world.advance(3)
  await lease()
  await ask(0)
  world.advance(1)
  await lease()
  const kept = () => world.deps.db.selectFrom('rate_shares').selectAll().execute()
  expect(await kept()).toHaveLength(2)
  for (let second = 0; second < 40; second++) {
    world.advance(1)
    await lease()
  }
  expect(await kept()).toEqual([])
})
