import { describe, expect, test } from 'vitest'
import type { BudgetView } from '../../jobs/budgets.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

// The model's price is 0.36 USD an hour: 100 micro-dollars a second. A launch reserves 60 s and a stop of
// 30 s and 120 s: 21,000 micro-dollars.
const first_usd = 0.021

const put = (world: World, body: object, key?: string) =>
  world.request('PUT', '/v1/budgets', key === undefined ? { body } : { body, key })

async function budgets(world: World): Promise<BudgetView[]> {
  return ((await (await world.request('GET', '/v1/budgets')).json()) as { items: BudgetView[] }).items
}
async function submit(world: World, more: object = {}): Promise<string> {
  return (
    (await (await world.request('POST', '/v1/jobs', { body: backtest({ ...more }) })).json()) as JobView
  ).id
}
async function job(world: World, id: string): Promise<JobView> {
  return (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
}
function runner(world: World) {
  const [attempt_id, machine] = [...world.model.machines].at(-1) ?? []
  return (body: object) =>
    world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine?.token ?? '', body })
}
const started = { type: 'started', instance: 'one' }
const finished = { type: 'finished', exit_code: 0, failure: null, result: {} }

describe('a budget of a project', () => {
  test('is reserved at the intent, extended while the attempt runs, and settled when nothing is left', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: 1 })
    await submit(world)
    await world.pass()
    expect(await budgets(world)).toMatchObject([{ reserved_usd: first_usd, spent_usd: 0 }])
    const say = runner(world)
    await say(started)
    await world.pass()
    world.advance(31)
    await world.pass()
    // Paid up to 60 s after the launch, now for 60 s more.
    expect(await budgets(world)).toMatchObject([{ reserved_usd: 0.027, spent_usd: 0 }])
    await say(finished)
    await world.pass()
    for (let n = 0; n < 3; n++) {
      world.advance(2)
      await world.pass()
    }
    const [settled] = await budgets(world)
    expect(settled?.reserved_usd).toBe(0)
    expect(settled?.spent_usd).toBe(0.0035)
    const ledger = await world.deps.db
      .selectFrom('ledger')
      .select(['entry', 'usd_micros'])
      .orderBy('id')
      .execute()
    expect(ledger.map(({ entry, usd_micros }) => [entry, usd_micros])).toEqual([
      ['reserve', 21_000],
      ['reserve', 6_000],
      ['release', -27_000],
      ['settle', 3_500],
    ])
  })

  test('without room lets jobs wait, and says that it is exhausted; with a higher limit they run', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: first_usd })
    await submit(world)
    const second = await submit(world)
    await world.settle(2)
    expect(world.model.machines.size).toBe(1)
    expect((await job(world, second)).state).toBe('queued')
    expect((await budgets(world))[0]?.exhausted_at).not.toBeNull()
    const events = await world.deps.db
      .selectFrom('events')
      .select('type')
      .where('job_id', 'is', null)
      .execute()
    expect(events.map(({ type }) => type).toSorted()).toEqual(['budget.exhausted', 'budget.warning'])
    await put(world, { scope: 'project', limit_usd: 1 })
    world.advance(61)
    await world.settle(2)
    expect(world.model.machines.size).toBe(2)
  })

  test('without room until queue_timeout_s is over is what the job has failed for', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: 0 })
    const id = await submit(world, { queue_timeout_s: 100 })
    await world.settle(2)
    world.advance(101)
    await world.settle(2)
    const { state, error } = await job(world, id)
    expect([state, error?.code]).toEqual(['failed', 'queue_timeout'])
    expect(error?.message).toBe('No budget had room for it within 100 s of waiting.')
    expect(error?.hint).toContain('GET /v1/budgets')
  })

  test('that runs out stops the attempt with grace, and what was reserved covers the stop', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: 0.022 })
    const id = await submit(world)
    await world.pass()
    const say = runner(world)
    await say(started)
    await world.pass()
    world.advance(31)
    await world.pass()
    const answer = await say({ type: 'heartbeat' })
    expect(await answer.json()).toMatchObject({ stop: { reason: 'over_budget' } })
    await say({ ...finished, exit_code: 75 })
    await world.pass()
    const failed = await job(world, id)
    expect(failed).toMatchObject({ state: 'failed', outcome: 'over_budget' })
    expect(failed.error?.message).toBe(
      'The attempt would have cost more than a budget of the project has room for.',
    )
    expect(failed.error?.hint).toContain('GET /v1/budgets')
    for (let n = 0; n < 3; n++) {
      world.advance(2)
      await world.pass()
    }
    const [budget] = await budgets(world)
    expect(budget?.spent_usd).toBeLessThanOrEqual(0.022)
    expect(budget?.reserved_usd).toBe(0)
  })

  test('that the world was not looked at for an hour pays for the hour when it is seen again', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: 1 })
    await submit(world)
    await world.pass()
    await runner(world)(started)
    await world.pass()
    world.advance(3_600)
    await world.pass()
    // 3,600 s and the next 60 s, and the stop of 150 s.
    expect((await budgets(world))[0]?.reserved_usd).toBe(0.381)
  })

  test('begins anew with the month', async () => {
    await using world = await openTestWorld()
    await put(world, { scope: 'project', limit_usd: first_usd })
    await submit(world)
    const waiting = await submit(world, { queue_timeout_s: 30 * 86_400 })
    await world.settle(2)
    expect((await job(world, waiting)).state).toBe('queued')
    // From 2 March, 9:00, to the first hours of April.
    world.advance(29.7 * 86_400)
    await world.settle(2)
    expect((await job(world, waiting)).attempts).toHaveLength(1)
  })
})

test('a budget of a label counts only its jobs', async () => {
  await using world = await openTestWorld()
  await put(world, { scope: 'label', label: { name: 'desk', value: 'alpha' }, period: 'total', limit_usd: 0 })
  const alpha = await submit(world, { labels: { desk: 'alpha' } })
  const beta = await submit(world, { labels: { desk: 'beta' } })
  await world.settle(2)
  expect((await job(world, alpha)).state).toBe('queued')
  expect((await job(world, beta)).state).toBe('scheduled')
})

test('many passes at once never reserve more than the limit', async () => {
  await using world = await openTestWorld()
  for (const offer of world.model.offers) offer.slots = 100
  await put(world, { scope: 'project', limit_usd: 5 * first_usd })
  for (let n = 0; n < 40; n++) await submit(world)
  await Promise.all(['a', 'b', 'c', 'd'].map((name) => world.pass(`rep_${name}`)))
  await world.settle(2)
  expect(world.model.machines.size).toBe(5)
  expect((await budgets(world))[0]?.reserved_usd).toBeCloseTo(5 * first_usd, 9)
})

test('usage is what was settled, by group', async () => {
  await using world = await openTestWorld()
  await submit(world, { labels: { desk: 'alpha' } })
  await world.pass()
  const say = runner(world)
  await say(started)
  world.advance(10)
  await say(finished)
  await world.pass()
  for (let n = 0; n < 3; n++) {
    world.advance(2)
    await world.pass()
  }
  for (const [query, group] of [
    ['group_by=day', '2026-03-02'],
    ['group_by=kind', 'backtest'],
    ['group_by=provider', 'model'],
    ['group_by=label&label=desk', 'alpha'],
  ]) {
    const { items } = (await (await world.request('GET', `/v1/usage?${query}`)).json()) as {
      items: unknown[]
    }
    expect(items).toEqual([{ group, basis: 'modelled', usd: 0.0014, attempts: 1, seconds: 14 }])
  }
  const other = await world.secondProject()
  const theirs = await world.request('GET', '/v1/usage', { key: other.key })
  expect(await theirs.json()).toEqual({ items: [] })
})

test('budgets are for admins to change, are refused when they make no sense, and are nobody else’s', async () => {
  await using world = await openTestWorld()
  expect((await put(world, { scope: 'label', limit_usd: 1 })).status).toBe(422)
  expect((await put(world, { scope: 'project', limit_usd: -1 })).status).toBe(422)
  const [a, b] = [
    await put(world, { scope: 'project', limit_usd: 1 }),
    await put(world, { scope: 'project', limit_usd: 2 }),
  ]
  const [{ id }, changed] = [(await a.json()) as BudgetView, (await b.json()) as BudgetView]
  expect(changed).toMatchObject({ id, limit_usd: 2 })
  const other = await world.secondProject()
  expect((await world.request('DELETE', `/v1/budgets/${id}`, { key: other.key })).status).toBe(404)
  await world.deps.db
    .updateTable('api_keys')
    .set({ role: 'member' })
    .where('project_id', '=', world.project_id)
    .execute()
  expect((await put(world, { scope: 'project', limit_usd: 3 })).status).toBe(403)
  expect((await world.request('DELETE', `/v1/budgets/${id}`)).status).toBe(403)
})
