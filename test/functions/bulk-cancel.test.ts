// One request that cancels many jobs.
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const submit = async (world: World, more: Record<string, unknown> = {}, key = world.key) =>
  ((await (await world.request('POST', '/v1/jobs', { body: backtest(more), key })).json()) as JobView).id
const cancel = async (world: World, body: unknown) => {
  const answer = await world.request('POST', '/v1/jobs/cancel', { body })
  return [answer.status, await answer.json()] as [number, { errors?: { path: string; message: string }[] }]
}
const stateOf = async (world: World, id: string, key = world.key) =>
  ((await (await world.request('GET', `/v1/jobs/${id}`, { key })).json()) as JobView).state
const alpha = { labels: { desk: 'alpha' } }

test('every job that the filter finds and that has not ended is cancelled, and no other', async () => {
  await using world = await openTestWorld()
  const other = await world.secondProject()
  const foreign = await submit(world, alpha, other.key)
  const running = await submit(world, alpha)
  await world.settle(3)
  const [waiting, apart] = [await submit(world, alpha), await submit(world, { labels: { desk: 'beta' } })]
  expect(await cancel(world, { label: 'desk:alpha' })).toEqual([202, { cancelled: 2, next_cursor: null }])
  // Those were told already.
  expect(await cancel(world, { label: 'desk:alpha' })).toEqual([202, { cancelled: 0, next_cursor: null }])
  await world.settle(3)
  world.advance(300)
  await world.settle(3)
  expect(await Promise.all([running, waiting].map((id) => stateOf(world, id)))).toEqual([
    'cancelled',
    'cancelled',
  ])
  expect(await stateOf(world, apart)).not.toBe('cancelled')
  expect(await stateOf(world, foreign, other.key)).not.toBe('cancelled')
})

test('a job whose runner has finished well is not cancelled', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.settle(2)
  const [[attempt_id, machine] = ['', { token: '' }]] = [...world.model.machines]
  for (const body of [
    { type: 'started', instance: 'one' },
    { type: 'finished', exit_code: 0, failure: null, result: { a: 1 } },
  ])
    await world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: machine.token, body })
  expect(await cancel(world, { kind: 'backtest' })).toEqual([202, { cancelled: 0, next_cursor: null }])
  await world.settle(2)
  expect(await stateOf(world, id)).toBe('succeeded')
})

test('more than a thousand are cancelled from cursor to cursor', async () => {
  await using world = await openTestWorld()
  world.deps.settings.max_queued = 5_000
  const jobs = Array.from({ length: 600 }, () => backtest())
  for (let n = 0; n < 2; n++) await world.request('POST', '/v1/jobs/batch', { body: { jobs } })
  const everything = { created_before: '2030-01-01T00:00:00Z' }
  const [, first] = (await cancel(world, everything)) as [number, { cancelled: number; next_cursor: string }]
  expect(first.cancelled).toBe(1_000)
  expect(await cancel(world, { ...everything, cursor: first.next_cursor })).toEqual([
    202,
    { cancelled: 200, next_cursor: null },
  ])
  const left = await world.deps.db.selectFrom('jobs').select('id').where('order_kind', 'is', null).execute()
  expect(left).toEqual([])
})

test.for([
  [{}, ''],
  [{ cursor: 'job_01jd3m4k5nep7r8r9s0t1v2w3x' }, ''],
  [{ everything: true }, 'everything'],
  [{ label: 'desk' }, 'label'],
  [{ state: 'lost' }, 'state'],
] as const)('%j names no jobs', async ([body, path]) => {
  await using world = await openTestWorld()
  const id = await submit(world)
  const [status, { errors = [] }] = await cancel(world, body)
  expect([status, errors[0]?.path]).toEqual([422, path])
  if (path === '') expect(errors[0]?.message).toContain('created_before')
  await world.settle(2)
  expect(await stateOf(world, id)).toBe('scheduled')
})
