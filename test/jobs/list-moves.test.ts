// Jobs move between the lists of their labels and providers.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import { fillLists } from '../../migrations/0008_reads.ts'
import { backtest, openTestWorld } from '../support/world.ts'

test('a job is found where it is, as it is launched, ends and is deleted', async () => {
  await using world = await openTestWorld()
  const list = async (query: Record<string, string>) => {
    const answer = await world.request('GET', `/v1/jobs?${new URLSearchParams(query).toString()}`)
    return ((await answer.json()) as { items: JobView[] }).items.length
  }
  const label = 'ü:a:b\n'
  const body = backtest({ labels: { ü: 'a:b\n', desk: 'x' } })
  const { id } = (await (await world.request('POST', '/v1/jobs', { body })).json()) as JobView
  expect(await list({ label })).toBe(1)
  expect(await list({ label: 'ü:a' })).toBe(0)
  expect(await list({ label, state: 'queued' })).toBe(1)
  expect(await list({ provider: 'model' })).toBe(0)
  await world.settle(2)
  expect(await list({ label, state: 'scheduled' })).toBe(1)
  expect(await list({ label, state: 'queued' })).toBe(0)
  expect(await list({ label, provider: 'model' })).toBe(1)
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  world.advance(600)
  await world.settle(3)
  const lists = () => world.deps.db.selectFrom('job_lists').selectAll().orderBy('list').execute()
  const moved = await lists()
  expect(moved).toHaveLength(5)
  // The migration puts the jobs there are into the same lists.
  await world.deps.db.deleteFrom('job_lists').execute()
  await sql.raw(fillLists).execute(world.deps.db)
  expect(await lists()).toEqual(moved)
  expect(await list({ label, provider: 'model', state: 'cancelled' })).toBe(1)
  expect(await list({ label, state: 'failed' })).toBe(0)
  await world.request('DELETE', `/v1/jobs/${id}`)
  expect(await list({ label })).toBe(0)
  expect(await lists()).toEqual([])
})

test.for([
  'state=lost',
  'kind=%00',
  'label=a:%00',
  'provider=%00',
  'created_after=then',
  'label=desk',
  'cursor=%00',
])('a list by %s is refused', async (query) => {
  await using world = await openTestWorld()
  expect((await world.request('GET', `/v1/jobs?${query}`)).status).toBe(422)
})
