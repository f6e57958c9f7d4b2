// From the queue to the vendor's answers: who comes first, how much is called at once, and what is written for it.
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { runPass } from '../../jobs/reconcile.ts'
import { isPostgres } from '../support/database.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function submit(world: World, more: Record<string, unknown> = {}): Promise<string> {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(more) })
  expect(answer.status).toBe(201)
  return ((await answer.json()) as { id: string }).id
}

const launched = async ({ deps }: World) =>
  (await deps.db.selectFrom('attempts').select('job_id').orderBy('job_id').execute()).map(
    ({ job_id }) => job_id,
  )

describe('of many shapes of one project', () => {
  test('those that came first are launched first, whatever their shapes', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = 9
    const ids: string[] = []
    // One shape has the first twelve, and then they take turns.
    for (let n = 0; n < 30; n++) {
      world.advance(1)
      ids.push(await submit(world, { resources: { cpu: n < 12 ? 1 : 1 + (n % 3) } }))
    }
    await world.pass()
    expect(await launched(world)).toEqual(ids.slice(0, 9))
  })

  test('none is forgotten when some have no place', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = 4
    const fitting: string[] = []
    for (let n = 0; n < 20; n++) {
      world.advance(1)
      const id = await submit(world, { resources: { cpu: n % 2 === 0 ? 1 : 512 } })
      if (n % 2 === 0) fitting.push(id)
    }
    await world.pass()
    expect(await launched(world)).toEqual(fitting.slice(0, 4))
  })
})

describe('an account that may be called twice a second', () => {
  async function openSlowWorld() {
    const world = await openTestWorld()
    const { provider, offers } = world.model
    Object.assign(provider.traits, { calls_per_s: 2 })
    for (const offer of offers) offer.slots = null
    const { launch } = provider
    const calls = { atOnce: 0, most: 0, answer: () => undefined as void }
    const held: (() => void)[] = []
    provider.launch = async (request, secrets, signal) => {
      calls.atOnce++
      calls.most = Math.max(calls.most, calls.atOnce)
      await new Promise<void>((resolve) => held.push(resolve))
      calls.atOnce--
      return launch(request, secrets, signal)
    }
    calls.answer = () => held.shift()?.()
    return { world, calls, held }
  }
  const turns = () => new Promise((resolve) => setTimeout(resolve, 1))
  /** Until all calls of a pass were answered. */
  async function answerAll(done: Promise<unknown>, answer: () => void): Promise<void> {
    let isOver = false
    void done.then(() => (isOver = true))
    while (!isOver) {
      answer()
      await turns()
    }
  }

  test('gets two calls at once from all passes of a process, and all of them in the end', async () => {
    const { world, calls } = await openSlowWorld()
    await using _ = world
    for (let n = 0; n < 6; n++) await submit(world)
    const first = await runPass(world.deps, 'rep_one')
    for (let n = 0; n < 6; n++) await submit(world)
    const second = await runPass(world.deps, 'rep_one')
    await answerAll(Promise.all([first.calls, second.calls]), calls.answer)
    expect(calls.most).toBe(2)
    const rows = await world.deps.db.selectFrom('attempts').select(['state', 'launched_at']).execute()
    expect(rows).toHaveLength(12)
    expect(rows.filter(({ state, launched_at }) => state === 'starting' && launched_at)).toHaveLength(12)
    const leased = await world.deps.db
      .selectFrom('shards')
      .select('id')
      .where('lease_token', 'is not', null)
      .execute()
    expect(leased).toEqual([])
  })

  test('gets no more than it can be called for within ten seconds; the rest stays in the queue', async () => {
    const { world, calls } = await openSlowWorld()
    await using _ = world
    for (let n = 0; n < 30; n++) await submit(world)
    const { calls: made } = await runPass(world.deps, 'rep_one')
    expect(await launched(world)).toHaveLength(20)
    const called = await world.deps.db
      .selectFrom('attempts')
      .select('id')
      .where('launch_called_at', 'is not', null)
      .execute()
    // What waits for its call does not say that it may have been made.
    expect(called).toHaveLength(2)
    await answerAll(made, calls.answer)
    expect(calls.most).toBe(2)
  })
})

// On PostgreSQL, with connections of their own, either may come first.
test.skipIf(isPostgres)(
  'a launch that is told something before its commit leaves its lane to others',
  async () => {
    await using world = await openTestWorld()
    Object.assign(world.model.provider.traits, { calls_per_s: 1 })
    const { db, random, lanes } = world.deps
    const id = await submit(world)
    const told: Promise<unknown>[] = []
    const deciding = (bytes: number) => {
      // What a launch is named by is drawn when it is decided.
      if (bytes === 32) told.push(sql`update shards set facts_version = facts_version + 1`.execute(db))
      return random(bytes)
    }
    const { calls } = await runPass({ ...world.deps, random: deciding }, 'rep_one')
    await Promise.all([calls, ...told])
    expect(told.length).toBeGreaterThan(0)
    expect(await launched(world)).toEqual([])
    expect(lanes.calls('model/main')).toBe(0)
    await world.pass()
    expect(await launched(world)).toEqual([id])
  },
)

test('an intent says in its own commit that it is about to be called, with the request as it is repeated', async () => {
  await using world = await openTestWorld()
  await submit(world)
  const requests: string[] = []
  const { launch } = world.model.provider
  world.model.provider.launch = (request, secrets, signal) => {
    requests.push(JSON.stringify(request))
    return launch(request, secrets, signal)
  }
  world.model.faults.launch.push('unknown_outcome')
  await world.pass()
  const [row] = await world.deps.db
    .selectFrom('attempts')
    .select(['created_at', 'launch_called_at'])
    .execute()
  expect(row?.launch_called_at).toEqual(row?.created_at)
  world.advance(2)
  await world.pass()
  expect(requests).toHaveLength(2)
  expect(requests[1]).toBe(requests[0])
})

test('a machine that runs as it was launched is looked at without a write', async () => {
  await using world = await openTestWorld()
  await submit(world)
  await world.pass()
  const { db } = world.deps
  const before = await db.selectFrom('attempts').selectAll().execute()
  world.advance(2)
  await world.pass()
  expect(await db.selectFrom('attempts').selectAll().execute()).toEqual(before)
  for (const machine of world.model.machines.values()) machine.seen = { state: 'pending', detail: 'boots' }
  world.advance(5)
  await world.pass()
  expect((await db.selectFrom('attempts').select('seen_state').execute())[0]?.seen_state).toBe('pending')
})
