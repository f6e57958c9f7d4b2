import { expect, test } from 'vitest'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const read = async (world: World, path: string, key?: string) =>
  (await (await world.request('GET', path, key === undefined ? {} : { key })).json()) as Record<
    string,
    unknown
  >

const submit = async (world: World, more: object = {}) => {
  const answer = await world.request('POST', '/v1/jobs', { body: backtest(more as Record<string, unknown>) })
  return ((await answer.json()) as { id: string }).id
}

test('the overview counts what is at work, and groups what waits by its reason', async () => {
  await using world = await openTestWorld()
  await submit(world)
  await submit(world)
  await world.pass()
  world.advance(1)
  const third = await submit(world)
  const dear = await submit(world, { placement: { max_usd_per_hour: 0.1 } })
  const { key } = await world.secondProject()
  expect(await read(world, '/v1/overview', key)).toMatchObject({ attempts: 0, usd_per_hour: 0, waiting: [] })
  const overview = await read(world, '/v1/overview')
  expect(overview).toMatchObject({
    jobs: { queued: 2, scheduled: 2, running: 0, cancelling: 0 },
    attempts: 2,
    usd_per_hour: 0.72,
  })
  expect(overview['waiting']).toEqual(
    expect.arrayContaining([
      expect.objectContaining({
        jobs: 1,
        job_id: third,
        reason: {
          code: 'busy',
          text: 'Every offer that fits is taken or refused at the moment. model/main: all of its slots are taken.',
        },
        rejected: [expect.objectContaining({ reason: 'busy' })],
      }),
      expect.objectContaining({
        jobs: 1,
        job_id: dear,
        reason: expect.objectContaining({ code: 'unsatisfiable' }),
      }),
    ]),
  )
})

test('jobs of one wish are one group, with the oldest', async () => {
  await using world = await openTestWorld()
  const first = await submit(world, { placement: { max_usd_per_hour: 0.1 } })
  world.advance(60)
  await submit(world, { placement: { max_usd_per_hour: 0.1 } })
  const { waiting } = (await read(world, '/v1/overview')) as { waiting: unknown[] }
  expect(waiting).toEqual([
    expect.objectContaining({ jobs: 2, job_id: first, since: '2026-03-02T09:00:00.000Z' }),
  ])
})

test('a spec can be submitted again as it is, and tells viewers no address of a webhook', async () => {
  await using world = await openTestWorld()
  const id = await submit(world, { webhook: { url: 'https://example.com/hook?token=secret' } })
  const spec = await read(world, `/v1/jobs/${id}/spec`)
  expect(spec).toMatchObject({
    kind: 'backtest',
    timeout_s: 7_200,
    webhook: { url: 'https://example.com/hook?token=secret' },
  })
  expect((await world.request('POST', '/v1/jobs', { body: spec })).status).toBe(201)
  const made = await world.request('POST', '/v1/keys', { body: { name: 'looks', role: 'viewer' } })
  const { key } = (await made.json()) as { key: string }
  expect(await read(world, `/v1/jobs/${id}/spec`, key)).not.toHaveProperty('webhook')
})

test('operators see what runs of every project, a page at a time; nobody else does', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  const second = await world.secondProject()
  const other = await world.request('POST', '/v1/jobs', {
    body: backtest({ name: 'theirs' }),
    key: second.key,
  })
  const { id: theirs } = (await other.json()) as { id: string }
  await world.pass()
  world.advance(3_600)
  const first = (await read(world, '/v1/attempts?limit=1')) as {
    items: { job_id: string }[]
    next_cursor: string
  }
  const rest = (await read(world, `/v1/attempts?limit=1&cursor=${first.next_cursor}`)) as typeof first
  const [one, two] = [first.items[0], rest.items[0]]
  expect(new Set([one?.job_id, two?.job_id])).toEqual(new Set([id, theirs]))
  expect(rest.next_cursor).toBeNull()
  expect(one).toMatchObject({ provider: 'model', usd_per_hour: 0.36, heard_at: null })
  expect(await read(world, '/v1/attempts?account=other')).toMatchObject({ items: [] })
  expect((await world.request('GET', '/v1/attempts', { key: second.key })).status).toBe(403)
  expect((await world.request('GET', '/v1/attempts?cursor=nothing')).status).toBe(422)
})

test('what has ended is listed no longer', async () => {
  await using world = await openTestWorld()
  const id = await submit(world)
  await world.pass()
  expect(await read(world, '/v1/attempts')).toMatchObject({ items: [{ job_id: id }] })
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  for (const seconds of [0, 151, 60]) {
    world.advance(seconds)
    await world.settle()
  }
  expect(await read(world, '/v1/attempts')).toMatchObject({ items: [] })
})
