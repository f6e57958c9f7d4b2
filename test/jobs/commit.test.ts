// Many plans in one transaction: each is written or nothing of it, and none sees less than those before it took.
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import type { Change, NewAttempt } from '../../jobs/plan.ts'
import type { Commit } from '../../jobs/store/batch.ts'
import { claimShard } from '../../jobs/store/claim.ts'
import { commitDecisions } from '../../jobs/store/commit.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** 0.36 USD an hour for a metering period and a stop: what a launch reserves. */
const first_usd = 0.021

async function submit(world: World, jobs: number): Promise<void> {
  for (let n = 0; n < jobs; n++) await world.request('POST', '/v1/jobs', { body: backtest() })
}

/** Gives the only job another shard. */
async function addShard(world: World): Promise<void> {
  const { db } = world.deps
  await sql`insert into shards select (jsonb_populate_record(s, '{"id": "shd_second", "index": 1}')).* from shards s`.execute(
    db,
  )
  await db.updateTable('jobs').set({ shards_total: 2, shards_waiting: 2 }).execute()
}

/** Leases every shard, in the order of their ids. */
async function claimAll({ deps }: World) {
  const { db, clock } = deps
  const shards = await db.selectFrom('shards').selectAll().orderBy('id').execute()
  const jobs = await db.selectFrom('jobs').selectAll().execute()
  return Promise.all(
    shards.map(async (shard) => {
      const claimed = await claimShard(db, 'rep_one', `token of ${shard.id}`, clock.now(), shard.id)
      const job = jobs.find(({ id }) => id === shard.job_id)
      if (!claimed || !job) throw new Error('the shard is free')
      return { shard, job, claimed }
    }),
  )
}
type Taken = Awaited<ReturnType<typeof claimAll>>[number]

const commitOf = (
  { shard, job, claimed }: Taken,
  changes: Change[],
  facts_version: number | null = shard.facts_version,
): Commit => ({ claimed, job, facts_version, plan: { changes, calls: [], due_at: null } })

function launch(world: World, { shard }: Taken, more: Partial<NewAttempt> = {}): Change {
  const [offer] = world.model.offers
  if (!offer) throw new Error('there is an offer')
  const id = `att_of_${shard.id}`
  const request: NewAttempt['request'] = {
    attempt_id: id,
    name: `berth-${shard.id}`,
    installation: 'here',
    kind: 'backtest',
    offer,
    image: null,
    device: 'cpu',
    cpu: 1,
    memory_gib: 1,
    disk_gib: 1,
    deadline_at: '2026-03-03T00:00:00Z',
    berth_url: 'http://berth.test',
  }
  const attempt: NewAttempt = {
    id,
    nonce: 'nonce',
    request,
    kind: 'backtest',
    signature: 'same',
    ranking: null,
    usd_micros_per_hour: 360_000,
    basis: 'modelled',
    min_billing_s: 0,
    timeout_s: 600,
    timeout_reason: 'timed_out',
    paid_s: null,
    ...more,
  }
  return { change: 'launch', attempt, announced: false }
}

const commit = (world: World, commits: readonly Commit[]) =>
  commitDecisions({ ...world.deps, public_url: () => '' }, commits, world.deps.clock.now())

const ended = (state: 'succeeded' | 'failed', message = ''): Change => ({
  change: 'finish',
  state,
  outcome: state,
  error:
    state === 'failed'
      ? { code: 'user_code', message, where: 'user', exit_code: 3, hint: null, log_tail: null }
      : null,
  warnings: [],
  result: state === 'succeeded' ? { of: message } : null,
  cached_from: null,
})

const theJob = ({ deps }: World) => deps.db.selectFrom('jobs').selectAll().executeTakeFirstOrThrow()
const events = async ({ deps }: World) =>
  (await deps.db.selectFrom('events').select('type').orderBy('sequence').execute()).map(({ type }) => type)
const attempts = async ({ deps }: World) =>
  (await deps.db.selectFrom('attempts').select('shard_id').orderBy('shard_id').execute()).map(
    ({ shard_id }) => shard_id,
  )

describe('two shards of one job in one batch', () => {
  test('add up: both are launched, and the job is scheduled once', async () => {
    await using world = await openTestWorld()
    await submit(world, 1)
    await addShard(world)
    const taken = await claimAll(world)
    const commits = taken.map((each) => commitOf(each, [launch(world, each)]))
    expect(await commit(world, commits)).toEqual(['done', 'done'])
    expect(await theJob(world)).toMatchObject({ state: 'scheduled', shards_waiting: 0, shards_active: 2 })
    expect(await events(world)).toEqual(['job.queued', 'job.scheduled'])
    expect(await attempts(world)).toHaveLength(2)
  })

  test('of which one fails make the job fail of that, whichever comes last', async () => {
    for (const order of [0, 1]) {
      await using world = await openTestWorld()
      await submit(world, 1)
      await addShard(world)
      const [first, second] = await claimAll(world)
      if (!first || !second) throw new Error('there are two')
      const commits = [
        commitOf(first, [ended('failed', 'what it failed of')]),
        commitOf(second, [ended('succeeded')]),
      ]
      expect(await commit(world, order === 0 ? commits : commits.toReversed())).toEqual(['done', 'done'])
      expect(await theJob(world)).toMatchObject({
        state: 'failed',
        outcome: 'failed',
        error: { message: 'what it failed of' },
        shards_waiting: 0,
        shards_failed: 1,
        shards_succeeded: 1,
      })
      expect(await events(world)).toEqual(['job.queued', 'job.failed'])
    }
  })

  test('the shard that goes on is looked at at once when the other fails for good', async () => {
    await using world = await openTestWorld()
    await submit(world, 1)
    await addShard(world)
    const [first] = await claimAll(world)
    if (!first) throw new Error('there are two')
    expect(await commit(world, [commitOf(first, [ended('failed')])])).toEqual(['done'])
    const others = await world.deps.db
      .selectFrom('shards')
      .select('due_at')
      .where('state', '=', 'waiting')
      .execute()
    expect(others).toEqual([{ due_at: world.deps.clock.now() }])
  })
})

test.each([
  ['slots', 2, null],
  // As it is when the launches commit: it may have been lowered since they were decided.
  ['a limit', null, { scope: 'kind', key: 'backtest', max_running: 2 }],
])('%s for part of a batch: the first take them, and the rest is stale', async (_, slots, limit) => {
  await using world = await openTestWorld()
  for (const offer of world.model.offers) offer.slots = slots
  await submit(world, 4)
  const taken = await claimAll(world)
  const commits = taken.map((each) => commitOf(each, [launch(world, each)]))
  if (limit) expect((await world.request('PUT', '/v1/limits', { body: limit })).status).toBe(200)
  expect(await commit(world, commits)).toEqual(['done', 'done', 'stale', 'stale'])
  expect(await attempts(world)).toEqual(taken.slice(0, 2).map(({ shard }) => shard.id))
})

test('a share of the budget of a job of which a part has come back since: the launch is decided anew', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest({ budget_usd: 1 }) })
  await addShard(world)
  const [first, second] = await claimAll(world)
  if (!first || !second) throw new Error('there are two')
  expect(await commit(world, [commitOf(first, [launch(world, first)])])).toEqual(['done'])
  const [again] = await world.deps.db.selectFrom('jobs').selectAll().execute()
  const since = again ? { ...second, job: again } : second
  const attempt_id = `att_of_${first.shard.id}`
  const error = null
  const back: Change[] = [
    { change: 'conclude', attempt_id, outcome: 'lost', exit_code: null, error },
    {
      change: 'requeue',
      after: 'lost',
      not_before: world.deps.clock.now(),
      exclude_provider: null,
      shape_hash: 'again',
      uses_up: false,
      progressed: false,
    },
  ]
  const token = { replica: 'rep_one', token: 'again' }
  await claimShard(world.deps.db, token.replica, token.token, world.deps.clock.now(), first.shard.id)
  const retried = { ...first, claimed: { shard_id: first.shard.id, lease: token } }
  expect(await commit(world, [commitOf(retried, back, null)])).toEqual(['done'])
  expect(await commit(world, [commitOf(since, [launch(world, since)])])).toEqual(['stale'])
  const [now] = await world.deps.db.selectFrom('jobs').selectAll().execute()
  const anew = now ? { ...second, job: now } : second
  expect(await commit(world, [commitOf(anew, [launch(world, anew)])])).toEqual(['done'])
})

test('a budget with room for part of a batch: what it pays for is launched, and no more is reserved', async () => {
  await using world = await openTestWorld()
  for (const offer of world.model.offers) offer.slots = null
  const body = { scope: 'project', period: 'total', limit_usd: 2.5 * first_usd }
  expect((await world.request('PUT', '/v1/budgets', { body })).status).toBe(200)
  await submit(world, 4)
  const commits = (await claimAll(world)).map((each) => commitOf(each, [launch(world, each)]))
  expect(await commit(world, commits)).toEqual(['done', 'done', 'over_budget', 'over_budget'])
  const { db } = world.deps
  expect(await db.selectFrom('budget_periods').select('reserved_micros').execute()).toEqual([
    { reserved_micros: 42_000 },
  ])
  expect(await db.selectFrom('reservations').select('micros').execute()).toHaveLength(2)
  expect((await events(world)).filter((type) => type.startsWith('budget.')).toSorted()).toEqual([
    'budget.exhausted',
    'budget.warning',
  ])
})

describe('one of many', () => {
  test('that was decided on old facts is left out, and one whose lease another has', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = null
    await submit(world, 5)
    const taken = await claimAll(world)
    const commits = taken.map((each) => commitOf(each, [launch(world, each)]))
    const { db } = world.deps
    const [, second, , fourth] = taken
    const change = (id: string | undefined, values: object) =>
      db
        .updateTable('shards')
        .set(values)
        .where('id', '=', id ?? '')
        .execute()
    await change(second?.shard.id, { facts_version: 1 })
    await change(fourth?.shard.id, { lease_token: 'of another' })
    expect(await commit(world, commits)).toEqual(['done', 'stale', 'done', 'stale', 'done'])
    expect(await attempts(world)).toHaveLength(3)
    const left = await db.selectFrom('shards').select('state').orderBy('id').execute()
    expect(left.map(({ state }) => state)).toEqual(['active', 'waiting', 'active', 'waiting', 'active'])
  })

  test('that the database refuses fails alone', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = null
    await submit(world, 5)
    const taken = await claimAll(world)
    const commits = taken.map((each, n) =>
      // What no row may hold: a price that is no whole number.
      commitOf(each, [launch(world, each, n === 3 ? { usd_micros_per_hour: 0.5 } : {})]),
    )
    const answers = await commit(world, commits)
    expect(answers.toSpliced(3, 1)).toEqual(['done', 'done', 'done', 'done'])
    expect(answers[3]).toMatchObject({ error: { code: '22P02' } })
    expect(await attempts(world)).toHaveLength(4)
  })

  test('that asks for an illegal move fails alone', async () => {
    await using world = await openTestWorld()
    for (const offer of world.model.offers) offer.slots = null
    await submit(world, 4)
    const taken = await claimAll(world)
    const commits = taken.map((each, n) =>
      commitOf(each, n === 1 ? [ended('succeeded'), launch(world, each)] : [launch(world, each)]),
    )
    const answers = await commit(world, commits)
    expect(answers.toSpliced(1, 1)).toEqual(['done', 'done', 'done'])
    expect(String((answers[1] as { error: unknown }).error)).toContain('cannot go from succeeded to active')
    expect(await attempts(world)).toHaveLength(3)
    expect((await events(world)).filter((type) => type === 'job.succeeded')).toEqual([])
  })
})

test('what another reports while a handle is recorded stays due', async () => {
  await using world = await openTestWorld()
  await submit(world, 1)
  await world.pass()
  const { db, clock } = world.deps
  const [taken] = await claimAll(world)
  if (!taken) throw new Error('there is one')
  const attempt = await db.selectFrom('attempts').select('id').executeTakeFirstOrThrow()
  await db.updateTable('attempts').set({ state: 'launching' }).execute()
  await db.updateTable('shards').set({ facts_version: 7, due_at: clock.now() }).execute()
  const later = new Date(clock.now().getTime() + 60_000)
  const handled = commitOf(taken, [{ change: 'launched', attempt_id: attempt.id, handle: {} }], null)
  handled.plan.due_at = later
  expect(await commit(world, [handled])).toEqual(['done'])
  expect(await db.selectFrom('shards').select(['due_at', 'lease_token']).execute()).toEqual([
    { due_at: clock.now(), lease_token: null },
  ])
})

test('an attempt that its budget tells to stop is not launched again by the same plan', async () => {
  await using world = await openTestWorld()
  const body = { scope: 'project', period: 'total', limit_usd: first_usd }
  expect((await world.request('PUT', '/v1/budgets', { body })).status).toBe(200)
  await submit(world, 1)
  // Its answer is lost: the launch will be repeated.
  world.model.faults.launch.push('unknown_outcome')
  await world.pass()
  world.advance(61)
  await world.pass()
  expect(world.model.calls).toMatchObject([{ call: 'launch' }])
  const [attempt] = await world.deps.db.selectFrom('attempts').select(['state', 'stop_reason']).execute()
  expect(attempt).toEqual({ state: 'stopping', stop_reason: 'over_budget' })
})
