// What runners say of their machines: the last word, and samples over the life of each.
import { expect, test } from 'vitest'
import { backtest, openTestWorld, type World } from '../support/world.ts'

interface Machine {
  number: number
  progress: number | null
  ended_at: string | null
  history?: { at: string; progress?: number; cpu?: number; gpus?: object[] }[]
}

/** Jobs at work, and the voices of their runners. */
async function open(world: World, jobs: number) {
  for (const offer of world.model.offers) offer.slots = null
  const ids: string[] = []
  for (let n = 0; n < jobs; n++) {
    const answer = await world.request('POST', '/v1/jobs', { body: backtest() })
    ids.push(((await answer.json()) as { id: string }).id)
  }
  await world.settle(3)
  const runners = [...world.model.machines].map(([attempt, { token: key }]) => ({
    say: async (body: object) =>
      (await world.request('POST', `/v1/attempts/${attempt}/report`, { key, body })).status,
  }))
  for (const { say } of runners) expect(await say({ type: 'started', instance: 'one' })).toBe(200)
  return {
    ids,
    runners,
    machines: async (id = '', query = '') =>
      ((await (await world.request('GET', `/v1/jobs/${id}/machines${query}`)).json()) as { items: Machine[] })
        .items,
  }
}

test('heartbeats that come at once are those of their own attempts, the last one of each', async () => {
  await using world = await openTestWorld()
  const { ids, runners, machines } = await open(world, 3)
  for (const more of [0, 0.5]) {
    const said = runners.map(({ say }, n) =>
      say({ type: 'heartbeat', progress: more + n / 8, machine: { cpu: n } }),
    )
    expect(await Promise.all(said)).toEqual([200, 200, 200])
  }
  const seen = (await Promise.all(ids.map((id) => machines(id)))).flat()
  expect(new Set(seen.map(({ progress }) => progress))).toEqual(new Set([0.5, 0.625, 0.75]))
  expect(seen.some((machine) => 'history' in machine)).toBe(false)
})

test('a machine is sampled over its whole life, evenly, in bounded space', async () => {
  await using world = await openTestWorld()
  const {
    ids: [id],
    runners: [runner],
    machines,
  } = await open(world, 1)
  const gpus = Array.from({ length: 9 }, () => ({ utilization: 0.5, power_w: 300, temperature_c: null }))
  // More than an hour of reports.
  for (let beat = 0; beat < 400; beat++) {
    const machine = { cpu: 0.25, memory: null, gpus, kernel: 'told by the machine' }
    await runner?.say({ type: 'heartbeat', progress: beat / 400, machine })
    world.advance(10)
  }
  const [{ history = [] } = {}] = await machines(id, '?history=true')
  expect(history.length).toBeGreaterThan(60)
  expect(history.length).toBeLessThanOrEqual(120)
  expect(history[0]).toEqual({
    at: '2026-03-02T09:00:00.000Z',
    progress: 0,
    cpu: 0.25,
    gpus: Array.from({ length: 8 }, () => ({ utilization: 0.5, power_w: 300 })),
  })
  const gaps = history.slice(1).map(({ at }, n) => Date.parse(at) - Date.parse(history[n]?.at ?? ''))
  // Thinned at 20 and at 40 minutes.
  expect(new Set(gaps)).toEqual(new Set([40_000]))
  expect(history.at(-1)?.at).toBe('2026-03-02T10:06:00.000Z')
})

test('what has ended is told of with its history alone', async () => {
  await using world = await openTestWorld()
  const {
    ids: [id],
    runners: [runner],
    machines,
  } = await open(world, 1)
  await runner?.say({ type: 'heartbeat', progress: 0.5, machine: { cpu: 1 } })
  await runner?.say({ type: 'finished', exit_code: 1, failure: null })
  for (const seconds of [0, 5, 60]) {
    world.advance(seconds)
    await world.settle()
  }
  expect(await machines(id)).toEqual([])
  const [machine] = await machines(id, '?history=true')
  expect(machine?.history).toEqual([{ at: '2026-03-02T09:00:00.000Z', progress: 0.5, cpu: 1 }])
  expect(machine?.ended_at).not.toBeNull()
  expect((await world.request('GET', `/v1/jobs/${id}/machines?history=perhaps`)).status).toBe(422)
})
