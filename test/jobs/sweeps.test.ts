// A sweep is one job: cut by its predicted time, retried in parts, joined by a merge, paid by one budget.
import { describe, expect, test } from 'vitest'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** 100 points over 20 symbols and 33 years: some seconds of work of the model's eight cores. */
const grid = { fast: { range: [1, 10, 1] }, slow: { range: [100, 1_000, 100] } }
/** Half an hour of it. */
const large = {
  fast: { range: [1, 1_000, 1] },
  slow: { range: [1_001, 2_000, 1] },
  stop_loss: { range: [0, 0.09, 0.01] },
}

const sweep = (more: Record<string, unknown> = {}, parameters: object = large) => ({
  kind: 'backtest',
  params: { data: { dataset: 'sample:sp500-20' }, strategy: { name: 'sma_cross' }, parameters },
  ...more,
})

interface Job {
  id: string
  state: string
  outcome: string | null
  error: { code: string; message: string } | null
  warnings: { code: string; message: string }[]
  shards: Record<string, number>
  result: unknown
  progress: number
}

async function open() {
  const world = await openTestWorld()
  const [offer] = world.model.offers
  if (offer) Object.assign(offer, { slots: null })
  return world
}

async function submit(world: World, body: unknown): Promise<Job> {
  const answer = await world.request('POST', '/v1/jobs', { body })
  expect(answer.status).toBe(201)
  return (await answer.json()) as Job
}
const read = async (world: World, path: string) => (await (await world.request('GET', path)).json()) as never
const jobOf = (world: World, id: string): Promise<Job> => read(world, `/v1/jobs/${id}`)

interface Machine {
  attempt_id: string
  token: string
  shard: { index: number; of: number; role: string }
  inputs: { name: string; url: string; sha256: string }[]
}

/** Machines whose runners have not started yet, with what they are told to do. */
async function fresh(world: World, started: Set<string>): Promise<Machine[]> {
  const machines: Machine[] = []
  for (const [attempt_id, { token }] of world.model.machines) {
    if (started.has(attempt_id)) continue
    started.add(attempt_id)
    const spec = await world.request('GET', `/v1/attempts/${attempt_id}/spec`, { key: token })
    const { shard, inputs } = (await spec.json()) as Machine
    await report(world, { attempt_id, token }, { type: 'started', instance: attempt_id })
    machines.push({ attempt_id, token, shard, inputs })
  }
  return machines.toSorted((a, b) => a.shard.index - b.shard.index)
}

async function report(
  world: World,
  { attempt_id, token }: Pick<Machine, 'attempt_id' | 'token'>,
  body: object,
) {
  const answer = await world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: token, body })
  expect(answer.status).toBe(200)
}

const point = (number: number, objective: number | null) => ({
  point: number,
  objective,
  parameters: { fast: number },
  metrics: { sharpe: objective },
})

/** Uploads one file and reports success with points. */
async function finish(world: World, machine: Machine, more: object = {}) {
  const name = 'points.parquet'
  const path = `/v1/attempts/${machine.attempt_id}/artifacts/${name}`
  const headers = { 'content-type': 'application/octet-stream' }
  const body = `rows of ${machine.shard.role} ${machine.shard.index}`
  expect((await world.request('PUT', path, { key: machine.token, body, headers })).status).toBe(200)
  await report(world, machine, {
    type: 'finished',
    exit_code: 0,
    failure: null,
    result: { by: machine.shard.role },
    points: [point(machine.shard.index * 10, machine.shard.index / 10)],
    ...more,
  })
}

/** Until machines whose runners have ended are confirmed to be gone. */
async function rest(world: World) {
  for (let round = 0; round < 3; round++) {
    await world.settle(4)
    world.advance(2)
  }
}

/** Runs every part that comes up to its end, the merge too. */
async function runAll(world: World, started = new Set<string>()) {
  const done: Machine[] = []
  for (let round = 0; round < 10; round++) {
    await world.settle(4)
    const machines = await fresh(world, started)
    await world.settle(1)
    for (const machine of machines) await finish(world, machine)
    done.push(...machines)
    // A machine whose runner has ended is confirmed to be gone a second later.
    world.advance(2)
  }
  return done
}

describe('a sweep is cut', () => {
  test('by its predicted time, up to eight parts unless told otherwise', async () => {
    await using world = await open()
    expect((await submit(world, sweep({}, grid))).shards).toMatchObject({ total: 1 })
    expect((await submit(world, sweep())).shards).toMatchObject({ total: 8, waiting: 8 })
    const three = await submit(world, sweep({ parallelism: { max_shards: 3 } }))
    expect(three.shards).toMatchObject({ total: 3, waiting: 3 })
    expect((await submit(world, backtest({ parallelism: { max_shards: 3 } }))).shards).toMatchObject({
      total: 1,
    })
  })

  test('a billion points are accepted, and stored in a few kilobytes', async () => {
    await using world = await open()
    const parameters = {
      fast: { range: [1, 1_000, 1] },
      slow: { range: [1_001, 2_000, 1] },
      stop_loss: { range: [0, 0.999, 0.001] },
    }
    const { id } = await submit(world, sweep({}, parameters))
    const { spec } = await world.deps.db
      .selectFrom('jobs')
      .select('spec')
      .where('id', '=', id)
      .executeTakeFirstOrThrow()
    expect(JSON.stringify(spec).length).toBeLessThan(4_096)
    await world.pass()
    expect(await jobOf(world, id)).toMatchObject({ state: 'scheduled', shards: { total: 8 } })
  })

  test('an estimate says into how many parts, and what all of them cost', async () => {
    await using world = await open()
    const estimate = async (max_shards: number) =>
      (await (
        await world.request('POST', '/v1/jobs/estimate', { body: sweep({ parallelism: { max_shards } }) })
      ).json()) as { shards: number; estimated_usd: number; offers: { expected_duration_s: number }[] }
    const [one, four] = [await estimate(1), await estimate(4)]
    expect([one.shards, four.shards]).toEqual([1, 4])
    const [whole, part] = [one.offers[0]?.expected_duration_s ?? 0, four.offers[0]?.expected_duration_s ?? 0]
    expect(part).toBeLessThan(whole / 3)
    expect(four.estimated_usd).toBeGreaterThan(one.estimated_usd)
    expect(four.estimated_usd).toBeLessThan(one.estimated_usd * 1.5)
  })

  test('an estimate knows that bars on which more may happen take longer', async () => {
    await using world = await open()
    const { stop_loss: _, ...points } = large
    const seconds = async (params: Record<string, unknown>) => {
      const body = sweep({ parallelism: { max_shards: 1 } }, points) as { params: object }
      const answer = await world.request('POST', '/v1/jobs/estimate', {
        body: { ...body, params: { ...body.params, ...params } },
      })
      const { offers } = (await answer.json()) as { offers: { expected_duration_s: number }[] }
      return offers[0]?.expected_duration_s ?? 0
    }
    const source =
      'from berth import strategy\n@strategy\nclass A:\n    def step(s, bar, t, t1, p):\n        return keep()\n'
    const ranks = {
      strategy: { name: 'momentum_top_k' },
      parameters: { k: { range: [1, 1_000, 1] }, window: { range: [1, 1_000, 1] } },
      portfolio: { mode: 'shared' },
    }
    const [states, stopped, short, stepped, shared] = [
      await seconds({}),
      await seconds({ execution: { stop_loss: 0.05 } }),
      await seconds({ execution: { direction: 'both' } }),
      await seconds({ strategy: { source, class: 'A' } }),
      await seconds(ranks),
    ]
    expect(stopped).toBe(short)
    expect(shared).toBeGreaterThan(5 * stopped)
    expect([stopped > 2 * states, stepped > 2 * states, stepped < stopped]).toEqual([true, true, true])
  })
})

describe('its parts', () => {
  test('run at once, and one merge joins what they made', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 3 } }))
    const done = await runAll(world)
    expect(done.map(({ shard }) => shard)).toEqual([
      { index: 0, of: 3, role: 'work' },
      { index: 1, of: 3, role: 'work' },
      { index: 2, of: 3, role: 'work' },
      { index: 3, of: 3, role: 'merge' },
    ])
    const job = await jobOf(world, id)
    expect(job).toMatchObject({
      state: 'succeeded',
      outcome: 'succeeded',
      progress: 1,
      result: { by: 'merge' },
    })
    expect(job.shards).toEqual({ total: 3, waiting: 0, active: 0, succeeded: 3, failed: 0 })
    const merge = done[3]
    expect(merge?.inputs.map(({ name }) => name)).toEqual([0, 1, 2].map((n) => `shards/${n}/points.parquet`))
    const { items } = (await read(world, `/v1/jobs/${id}/artifacts`)) as { items: { name: string }[] }
    expect(items.map(({ name }) => name)).toEqual([
      'points.parquet',
      ...[0, 1, 2].map((n) => `shards/${n}/points.parquet`),
    ])
    const artifact = async (name: string) =>
      (await world.request('GET', `/v1/jobs/${id}/artifacts/${encodeURIComponent(name)}`)).text()
    expect(await artifact('points.parquet')).toBe('rows of merge 3')
    expect(await artifact('shards/1/points.parquet')).toBe('rows of work 1')
    const events = (await read(world, `/v1/jobs/${id}/events`)) as { items: { type: string }[] }
    expect(events.items.map(({ type }) => type)).toEqual([
      'job.queued',
      'job.scheduled',
      'job.running',
      'job.succeeded',
    ])
  })

  test('are all in the cost that a webhook tells, however many they are', async () => {
    await using world = await open()
    const parameters = { ...large, stop_loss: { range: [0, 0.999, 0.001] } }
    const webhook = { url: 'https://example.com/hook', events: ['job.succeeded'] }
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 24 }, webhook }, parameters))
    await world.settle(4)
    const started = new Set<string>()
    const machines = await fresh(world, started)
    world.advance(100)
    for (const machine of machines) await finish(world, machine)
    await rest(world)
    await runAll(world, started)
    await world.deliver()
    const told = JSON.parse(world.sent[0]?.body ?? '') as { data: { job: { cost: { actual_usd: number } } } }
    const parts = await world.deps.db
      .selectFrom('attempts')
      .select(['launched_at', 'ended_at', 'usd_micros_per_hour'])
      .where('job_id', '=', id)
      .where('shard_index', '<', 24)
      .execute()
    expect(parts.length).toBe(24)
    const seconds = parts.map(
      ({ launched_at, ended_at }) => ((ended_at?.getTime() ?? 0) - (launched_at?.getTime() ?? 0)) / 1_000,
    )
    const usd =
      (seconds.reduce((sum, each) => sum + each, 0) * (parts[0]?.usd_micros_per_hour ?? 0)) / 3_600e6
    expect(usd).toBeGreaterThan(0)
    expect(told.data.job.cost.actual_usd).toBeGreaterThanOrEqual(usd)
  })

  test('are read by the merge alone', async () => {
    await using world = await open()
    await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    const started = new Set<string>()
    const [first, second] = await fresh(world, started)
    if (!first || !second) throw new Error('two parts run')
    await finish(world, first)
    const path = (machine: Machine) => `/v1/attempts/${machine.attempt_id}/shards/0/points.parquet`
    expect((await world.request('GET', path(second), { key: second.token })).status).toBe(404)
    await finish(world, second)
    await world.settle(4)
    const [merge] = await fresh(world, started)
    if (!merge) throw new Error('the merge runs')
    const answer = await world.request('GET', path(merge), { key: merge.token })
    expect([answer.status, await answer.text()]).toEqual([200, 'rows of work 0'])
  })

  test('are retried alone', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 3 } }))
    await world.settle(4)
    const started = new Set<string>()
    const [first, second, third] = await fresh(world, started)
    if (!first || !second || !third) throw new Error('three parts run')
    await report(world, second, { type: 'finished', exit_code: 1, failure: null })
    await finish(world, first)
    await world.settle(4)
    world.advance(10)
    await world.settle(4)
    const again = await fresh(world, started)
    expect(again.map(({ shard }) => shard.index)).toEqual([1])
    for (const machine of [...again, third]) await finish(world, machine)
    await runAll(world, started)
    expect(await jobOf(world, id)).toMatchObject({ state: 'succeeded', shards: { succeeded: 3, failed: 0 } })
  })

  test('all end when one has failed for good, and its error is the job’s', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    const [first, second] = await fresh(world, new Set())
    if (!first || !second) throw new Error('two parts run')
    const error = { message: 'params.strategy: unknown' }
    await report(world, first, { type: 'finished', exit_code: 2, failure: 'invalid_params', error })
    await world.settle(4)
    expect(await jobOf(world, id)).toMatchObject({ state: 'running', error: null })
    await report(world, second, { type: 'finished', exit_code: 75, failure: null })
    await world.settle(4)
    const job = await jobOf(world, id)
    expect(job).toMatchObject({ state: 'failed', outcome: 'failed', error: { code: 'invalid_params' } })
  })

  test('go on when one has failed, if the job says so, and it is a warning', async () => {
    await using world = await open()
    const parallelism = { max_shards: 2, on_shard_failure: 'continue' }
    const { id } = await submit(world, sweep({ parallelism }))
    await world.settle(4)
    const started = new Set<string>()
    const [first, second] = await fresh(world, started)
    if (!first || !second) throw new Error('two parts run')
    const error = { message: 'too little memory' }
    await report(world, first, { type: 'finished', exit_code: 2, failure: 'out_of_memory', error })
    await finish(world, second)
    const done = await runAll(world, started)
    expect(done.map(({ shard, inputs }) => [shard.role, inputs.length])).toEqual([['merge', 1]])
    const job = await jobOf(world, id)
    expect(job).toMatchObject({ state: 'succeeded', outcome: 'succeeded', error: null })
    expect(job.warnings).toEqual([
      { code: 'shards_failed', message: '1 of 2 parts failed; the first: too little memory' },
    ])
  })

  test('all run on the class of device of the first one', async () => {
    await using world = await open()
    const [cpu] = world.model.offers
    if (!cpu) throw new Error('the model has an offer')
    const gpu = { model: 'L4', count: 1, memory_gib: 24, compute_capability: '8.9' }
    Object.assign(cpu, { slots: 1 })
    world.model.offers.push({ ...cpu, id: 'gpu', gpu, usd_per_hour: 0.72, slots: null })
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 3 } }))
    await world.settle(4)
    const offers = () => [...world.model.machines.values()].map(({ request }) => request.offer.id)
    expect(offers()).toEqual(['cpu'])
    const explained = (await read(world, `/v1/jobs/${id}/explain`)) as { rejected: { reason: string }[] }
    expect(explained.rejected.map(({ reason }) => reason).toSorted()).toEqual(['busy', 'device'])
    await runAll(world)
    expect(offers().slice(0, 3)).toEqual(['cpu', 'cpu', 'cpu'])
    expect(await jobOf(world, id)).toMatchObject({ state: 'succeeded' })
  })
})

describe('an order', () => {
  test('to stop keeps what the parts have, and still joins it', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    const started = new Set<string>()
    const [first, second] = await fresh(world, started)
    if (!first || !second) throw new Error('two parts run')
    expect((await world.request('POST', `/v1/jobs/${id}/stop`)).status).toBe(202)
    await world.settle(2)
    for (const machine of [first, second]) await finish(world, machine, { exit_code: 75 })
    await world.settle(4)
    const [merge] = await fresh(world, started)
    expect(merge?.shard.role).toBe('merge')
    // There is nothing to stop any more that would not lose what was kept.
    expect((await world.request('POST', `/v1/jobs/${id}/stop`)).status).toBe(202)
    await world.settle(2)
    if (merge) await finish(world, merge)
    await world.settle(4)
    const job = await jobOf(world, id)
    expect(job).toMatchObject({ state: 'succeeded', outcome: 'stopped', result: { by: 'merge' } })
    expect(job.warnings.map(({ code }) => code)).toEqual(['stopped_early'])
  })

  test('to cancel is obeyed by the merge too', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    const started = new Set<string>()
    for (const machine of await fresh(world, started)) await finish(world, machine)
    await world.settle(4)
    const [merge] = await fresh(world, started)
    if (!merge) throw new Error('the merge runs')
    expect((await world.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(202)
    await world.settle(2)
    expect((await jobOf(world, id)).state).toBe('cancelling')
    await report(world, merge, { type: 'finished', exit_code: 75, failure: null })
    await world.settle(4)
    expect(await jobOf(world, id)).toMatchObject({ state: 'cancelled', outcome: 'cancelled' })
  })

  test('to cancel is not too late when all parts have ended and nothing joins them yet', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    for (const machine of await fresh(world, new Set())) await finish(world, machine)
    expect((await world.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(202)
    await world.settle(4)
    expect(await jobOf(world, id)).toMatchObject({ state: 'cancelled' })
    expect(world.model.machines.size).toBe(2)
  })
})

describe('points', () => {
  const list = async (world: World, id: string, query = '') =>
    (await read(world, `/v1/jobs/${id}/points${query}`)) as {
      items: { point: number; shard: number; objective: number | null }[]
      next_cursor: string | null
    }

  test('are listed while it runs: of each part the newest report, then those of its end', async () => {
    await using world = await open()
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
    await world.settle(4)
    const [first, second] = await fresh(world, new Set())
    if (!first || !second) throw new Error('two parts run')
    await report(world, first, { type: 'heartbeat', points: [point(1, 0.1), point(2, 0.2)] })
    await report(world, second, { type: 'heartbeat', points: [point(7, null), { nonsense: true }] })
    expect((await list(world, id)).items.map(({ point }) => point)).toEqual([2, 1, 7])
    await report(world, first, { type: 'heartbeat', points: [point(3, 0.3)] })
    await finish(world, second, { points: [point(8, 0.25), point(9, -1)] })
    expect((await list(world, id)).items).toMatchObject([
      { point: 3, shard: 0, objective: 0.3 },
      { point: 8, shard: 1, objective: 0.25 },
      { point: 9, shard: 1, objective: -1 },
    ])
    // A heartbeat that comes late changes nothing any more.
    await report(world, second, { type: 'heartbeat', points: [point(7, 9)] })
    expect((await list(world, id)).items.map(({ point }) => point)).toEqual([3, 8, 9])
  })

  test.for(['-objective', 'objective', 'point'])(
    'are paged by %s without a gap or a repetition',
    async (sort) => {
      await using world = await open()
      const { id } = await submit(world, sweep({ parallelism: { max_shards: 2 } }))
      await world.settle(4)
      const [first] = await fresh(world, new Set())
      if (!first) throw new Error('a part runs')
      const points = [...Array(25).keys()].map((n) => point(n, n % 5 === 0 ? null : (n % 7) / 7))
      await finish(world, first, { points })
      const all = (await list(world, id, `?sort=${sort}&limit=500`)).items.map(({ point }) => point)
      expect(all).toHaveLength(25)
      const paged: number[] = []
      let cursor = ''
      for (let page = 0; page < 10; page++) {
        const { items, next_cursor } = await list(world, id, `?sort=${sort}&limit=4${cursor}`)
        paged.push(...items.map(({ point }) => point))
        if (next_cursor === null) break
        cursor = `&cursor=${next_cursor}`
      }
      expect(paged).toEqual(all)
      const bad = await world.request('GET', `/v1/jobs/${id}/points?cursor=x`)
      expect([bad.status, ((await bad.json()) as { code: string }).code]).toEqual([422, 'invalid_cursor'])
    },
  )
})

describe('one budget', () => {
  test('is shared by all parts and their merge', async () => {
    await using world = await open()
    const budget_usd = 0.1
    const { id } = await submit(world, sweep({ parallelism: { max_shards: 4 }, budget_usd }))
    await world.settle(4)
    const bounds = async () =>
      await world.deps.db
        .selectFrom('attempts')
        .select(['timeout_s', 'usd_micros_per_hour', 'timeout_reason'])
        .where('job_id', '=', id)
        .execute()
    const parts = await bounds()
    expect(parts).toHaveLength(4)
    expect(new Set(parts.map(({ timeout_reason }) => timeout_reason))).toEqual(new Set(['over_budget']))
    const most = parts.reduce(
      (sum, { timeout_s, usd_micros_per_hour }) => sum + ((timeout_s + 30) * usd_micros_per_hour) / 3_600,
      0,
    )
    expect(most).toBeLessThanOrEqual(budget_usd * 0.95 * 1e6)
    expect(most).toBeGreaterThan(budget_usd * 0.94 * 1e6)
    const started = new Set<string>()
    const machines = await fresh(world, started)
    // As slow as each of them may be.
    world.advance((parts[0]?.timeout_s ?? 0) - 1)
    for (const machine of machines) await finish(world, machine)
    await world.settle(4)
    const [merge] = await fresh(world, started)
    if (!merge) throw new Error('the merge runs')
    expect(merge.shard.role).toBe('merge')
    await rest(world)
    const bound_s = (await bounds()).at(-1)?.timeout_s ?? 0
    world.advance(bound_s - 1)
    await finish(world, merge)
    await rest(world)
    const job = (await jobOf(world, id)) as Job & { cost: { actual_usd: number; final: boolean } }
    expect(job).toMatchObject({ state: 'succeeded', cost: { final: true } })
    expect(job.cost.actual_usd).toBeLessThanOrEqual(budget_usd)
  })
})
