// Where work goes, how much of it at once, and what is said about that.
import { describe, expect, test } from 'vitest'
import { claimShard } from '../../jobs/store/claim.ts'
import { commitDecision } from '../../jobs/store/commit.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const submit = async (world: World, more: Record<string, unknown> = {}, key = world.key) =>
  ((await (await world.request('POST', '/v1/jobs', { body: backtest(more), key })).json()) as { id: string })
    .id
const json = async (world: World, path: string) => (await (await world.request('GET', path)).json()) as never
const explain = async (world: World, id: string) =>
  (await json(world, `/v1/jobs/${id}/explain`)) as {
    state: string
    reason: { code: string; text: string }
    queue_position: number | null
    next_try_at: string | null
    offers: { offer: string; expected_usd: number; basis: string }[]
    rejected: { reason: string; count: number; text: string }[]
  }
const put = (world: World, path: string, body: object) => world.request('PUT', path, { body })
const launched = (world: World) => [...world.model.machines.values()].map(({ request }) => request.offer.id)

/** A second offer that costs twice as much, without a bound of its own. */
function addDear(world: World) {
  const [cheap] = world.model.offers
  if (!cheap) throw new Error('the model has an offer')
  world.model.offers.push({ ...cheap, id: 'dear', usd_per_hour: 0.72, slots: null })
  return cheap
}

describe('an offer that is out of stock', () => {
  test('is passed over at once for the next one, and asked again when its time is up', async () => {
    await using world = await openTestWorld()
    addDear(world)
    world.model.faults.launch.push('capacity')
    await submit(world)
    await world.settle(3)
    expect(launched(world)).toEqual(['dear'])
    await submit(world)
    await world.settle(3)
    expect(launched(world)).toEqual(['dear', 'dear'])
    world.advance(61)
    await submit(world)
    await world.settle(3)
    expect(launched(world)).toEqual(['dear', 'dear', 'cpu'])
  })

  test('is tried by one launch alone, and by the others when that one succeeds', async () => {
    await using world = await openTestWorld()
    world.model.faults.launch.push('capacity')
    const first = await submit(world)
    await world.settle(3)
    const told = await explain(world, first)
    expect(told).toMatchObject({ state: 'queued', reason: { code: 'capacity' }, queue_position: 1 })
    expect(told.next_try_at).toBe(new Date(world.deps.clock.now().getTime() + 60_000).toISOString())
    world.advance(60)
    world.model.faults.launch.push('capacity')
    await submit(world)
    await world.settle(3)
    expect(world.model.calls.filter(({ call }) => call === 'launch')).toHaveLength(2)
    // The second refusal in a row counts double.
    world.advance(100)
    await world.settle(2)
    expect(launched(world)).toEqual([])
    world.advance(21)
    await world.settle(3)
    expect(launched(world)).toEqual(['cpu', 'cpu'])
  })
})

test.each([
  ['unauthorized', 121],
  ['balance', 301],
] as const)('an account that answers %s is asked for nothing until its time is up', async (code, after_s) => {
  await using world = await openTestWorld()
  addDear(world)
  world.model.faults.launch.push(code)
  const id = await submit(world)
  await world.settle(3)
  expect(launched(world)).toEqual([])
  expect(await explain(world, id)).toMatchObject({ reason: { code } })
  world.advance(after_s)
  await world.settle(3)
  expect(launched(world)).toEqual(['cpu'])
})

describe('limits', () => {
  test('bound what runs, may be changed while it does, and are named as the reason', async () => {
    await using world = await openTestWorld()
    addDear(world)
    const set = (max_running: number) =>
      put(world, '/v1/limits', { scope: 'kind', key: 'backtest', max_running })
    expect((await set(1)).status).toBe(200)
    const ids = [await submit(world), await submit(world)]
    await world.settle(3)
    expect(launched(world)).toHaveLength(1)
    const states = await Promise.all(ids.map((id) => explain(world, id)))
    expect(states.map(({ reason }) => reason.code).toSorted()).toEqual(['limit', 'starting'])
    await set(2)
    await world.settle(3)
    expect(launched(world)).toHaveLength(2)
  })

  test('of a device hold by default, for fixed capacity', async () => {
    await using world = await openTestWorld()
    const [offer] = world.model.offers
    if (offer) Object.assign(offer, { slots: 100, cpu: 2 })
    for (let n = 0; n < 6; n++) await submit(world)
    await world.settle(4)
    expect(launched(world)).toHaveLength(4)
  })

  test.for([
    [{ scope: 'kind', key: 'Back test', max_running: 1 }, 'key'],
    [{ scope: 'device', key: 'backtest/tpu', max_running: 1 }, 'key'],
    [{ scope: 'project', key: 'prj_x', max_running: -1 }, 'max_running'],
    [{ scope: 'all', key: 'x', max_running: 1 }, 'scope'],
  ] as const)('%j is refused by its field', async ([body, path]) => {
    await using world = await openTestWorld()
    const answer = await put(world, '/v1/limits', body)
    expect([answer.status, await answer.json()]).toMatchObject([422, { errors: [{ path }] }])
  })

  test('can be deleted, and a default comes back', async () => {
    await using world = await openTestWorld()
    const body = { scope: 'device', key: 'backtest/gpu', max_running: 9 }
    const { id } = (await (await put(world, '/v1/limits', body)).json()) as { id: string }
    expect((await world.request('DELETE', `/v1/limits/${id}`)).status).toBe(204)
    const { items } = (await json(world, '/v1/limits')) as { items: object[] }
    expect(items).toContainEqual({ id: null, scope: 'device', key: 'backtest/gpu', max_running: 4 })
  })
})

test('a policy holds whatever a job asks for', async () => {
  await using world = await openTestWorld()
  expect((await put(world, '/v1/policy', { max_usd_per_hour: 0.1 })).status).toBe(200)
  const id = await submit(world, { placement: { max_usd_per_hour: 5 } })
  await world.settle(2)
  expect(await explain(world, id)).toMatchObject({
    reason: { code: 'unsatisfiable' },
    rejected: [{ reason: 'policy', count: 1 }],
  })
  expect(await json(world, '/v1/policy')).toEqual({ max_usd_per_hour: 0.1 })
  await put(world, '/v1/policy', {})
  await world.settle(2)
  expect(launched(world)).toEqual(['cpu'])
})

test('projects take turns by weight, however many jobs one of them has', async () => {
  await using world = await openTestWorld()
  const [offer] = world.model.offers
  if (offer) Object.assign(offer, { slots: 8, cpu: 8 })
  const second = await world.secondProject()
  await world.deps.db.updateTable('projects').set({ weight: 3 }).where('id', '=', second.id).execute()
  for (let n = 0; n < 20; n++) await submit(world)
  for (let n = 0; n < 20; n++) await submit(world, {}, second.key)
  await world.settle(3)
  const rows = await world.deps.db.selectFrom('attempts').select('project_id').execute()
  const mine = rows.filter(({ project_id }) => project_id === second.id)
  expect([rows.length, mine.length]).toEqual([8, 6])
})

describe('estimates', () => {
  test('come from the model first, and from history when the same work has run', async () => {
    await using world = await openTestWorld()
    const estimate = async () =>
      (await (await world.request('POST', '/v1/jobs/estimate', { body: backtest() })).json()) as {
        offers: { basis: string; expected_duration_s: number; expected_usd: number }[]
        estimated_usd: number
      }
    const before = await estimate()
    expect(before.offers).toMatchObject([{ basis: 'model', expected_usd: before.estimated_usd }])
    const id = await submit(world)
    expect(await json(world, `/v1/jobs/${id}`)).toMatchObject({
      cost: { estimated_usd: before.estimated_usd },
    })
    await world.pass()
    const [[attempt_id, machine] = []] = world.model.machines
    const say = (body: object) =>
      world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine?.token ?? '', body })
    await say({ type: 'started', instance: 'one' })
    await world.pass()
    world.advance(100)
    await say({ type: 'finished', exit_code: 0, failure: null, result: {} })
    await world.settle(3)
    expect((await estimate()).offers).toMatchObject([{ basis: 'history', expected_duration_s: 100 }])
    expect(await explain(world, id)).toMatchObject({
      reason: { code: 'succeeded' },
      offers: [{ offer: 'cpu' }],
    })
  })

  test('store nothing', async () => {
    await using world = await openTestWorld()
    await world.request('POST', '/v1/jobs/estimate', { body: backtest() })
    expect(await json(world, '/v1/jobs')).toMatchObject({ items: [] })
  })
})

test('a refusal is forgotten when the offer takes a launch: the next one counts as the first', async () => {
  await using world = await openTestWorld()
  world.model.faults.launch.push('capacity')
  await submit(world)
  await world.settle(3)
  world.advance(61)
  await world.settle(3)
  expect(launched(world)).toEqual(['cpu'])
  world.model.faults.launch.push('capacity')
  const second = await submit(world)
  await world.settle(3)
  const in_s =
    (Date.parse((await explain(world, second)).next_try_at ?? '') - world.deps.clock.now().getTime()) / 1_000
  expect(in_s).toBe(60)
})

test.each([
  ['slot', 1, null],
  ['limit', null, { scope: 'kind', key: 'backtest', max_running: 1 }],
] as const)(
  'a launch that was decided before the last %s was taken is not committed',
  async (_, slots, limit) => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = slots
    if (limit) await put(world, '/v1/limits', limit)
    await submit(world)
    await world.settle(2)
    const { db, clock } = world.deps
    const taken = await db.selectFrom('attempts').selectAll().executeTakeFirstOrThrow()
    const job_id = await submit(world)
    const job = await db.selectFrom('jobs').selectAll().where('id', '=', job_id).executeTakeFirstOrThrow()
    const shard = await db
      .selectFrom('shards')
      .selectAll()
      .where('job_id', '=', job_id)
      .executeTakeFirstOrThrow()
    const claimed = await claimShard(db, 'rep_late', 'token', clock.now(), shard.id)
    if (!claimed) throw new Error('the shard is free')
    const id = 'att_late'
    const { request, signature, ...row } = taken
    const attempt = {
      ...row,
      id,
      signature: signature ?? '',
      request: { ...request, attempt_id: id },
    }
    const plan = {
      changes: [{ change: 'launch' as const, attempt, announced: false }],
      calls: [],
      due_at: null,
    }
    const commit = { claimed, job, facts_version: shard.facts_version, plan }
    const deps = { ...world.deps, public_url: world.deps.settings.public_url }
    expect(await commitDecision(deps, commit, clock.now())).toBe('stale')
    expect(await db.selectFrom('attempts').select('id').execute()).toEqual([{ id: taken.id }])
  },
)
