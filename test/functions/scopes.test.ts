// Keys that are narrowed to a service: they do that and nothing else, and make no wider ones.
import { expect, test } from 'vitest'
import { createKey } from '../../jobs/keys.ts'
import { scopes } from '../../jobs/scopes.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const narrowed = (world: World, of: string[], role: 'viewer' | 'member' | 'admin' = 'admin') =>
  createKey(world.deps, world.project_id, of.join(' '), role, null, of)

test('a key does what its scopes say, and is told which one is missing', async () => {
  await using world = await openTestWorld()
  const asked: [string, string, unknown?][] = [
    ['GET', '/v1/jobs'],
    ['POST', '/v1/jobs', backtest()],
    ['GET', '/v1/datasets'],
    [
      'POST',
      '/v1/datasets',
      { name: 'x', format: 'csv', bytes: 1, sha256: 'a'.repeat(64), adjustment: 'none' },
    ],
    ['GET', '/v1/keys'],
    ['GET', '/v1/orphans'],
    ['GET', '/v1/offers'],
    ['GET', '/v1/me'],
    ['GET', '/metrics'],
  ]
  const may = async (key: string) => {
    const answers = []
    for (const [method, path, body] of asked) {
      const answer = await world.request(method, path, { key, ...(body === undefined ? {} : { body }) })
      answers.push(answer.status === 403 ? 0 : 1)
    }
    return answers.join('')
  }
  expect({
    'jobs:read': await may(await narrowed(world, ['jobs:read'])),
    'jobs:write': await may(await narrowed(world, ['jobs:write'])),
    'data:read': await may(await narrowed(world, ['data:read'])),
    'data:write': await may(await narrowed(world, ['data:write'])),
    admin: await may(await narrowed(world, ['admin'])),
    all: await may(await narrowed(world, [...scopes])),
    none: await may(world.key),
  }).toEqual({
    'jobs:read': '100000110',
    'jobs:write': '110000110',
    'data:read': '001000110',
    'data:write': '001100110',
    admin: '000011111',
    all: '111111111',
    none: '111111111',
  })
  const refused = await world.request('GET', '/v1/jobs', { key: await narrowed(world, ['data:read']) })
  expect(await refused.json()).toMatchObject({
    code: 'forbidden',
    detail: 'This needs a key with the scope jobs:read; this one has data:read.',
  })
})

test('a key for one kind of job reads all that there is of a job of that kind, and nothing of another', async () => {
  await using world = await openTestWorld()
  const made = await world.request('POST', '/v1/jobs', { body: backtest() })
  const { id } = (await made.json()) as { id: string }
  const parts = [
    '',
    '/spec',
    '/events',
    '/logs',
    '/attempts',
    '/machines',
    '/points',
    '/series',
    '/trades',
    '/surface',
  ]
  const statuses = async (key: string) => {
    const answers = parts.map((part) => world.request('GET', `/v1/jobs/${id}${part}`, { key }))
    return (await Promise.all(answers)).map(({ status }) => status)
  }
  expect(await statuses(await narrowed(world, ['backtest:read']))).not.toContain(403)
  expect(new Set(await statuses(await narrowed(world, ['training:read'])))).toEqual(new Set([403]))
})

test('a role bounds a key whatever its scopes say', async () => {
  await using world = await openTestWorld()
  const key = await narrowed(world, ['jobs:write', 'admin'], 'viewer')
  expect((await world.request('GET', '/v1/jobs', { key })).status).toBe(200)
  expect((await world.request('POST', '/v1/jobs', { key, body: backtest() })).status).toBe(403)
  expect((await world.request('GET', '/v1/keys', { key })).status).toBe(403)
})

test('a key for one kind of jobs submits, sees and stops no others', async () => {
  await using world = await openTestWorld()
  const backtests = await narrowed(world, ['backtest:write'], 'member')
  const trainings = await narrowed(world, ['training:write'], 'member')
  const status = async (key: string, method: string, path: string, body?: unknown) =>
    (await world.request(method, path, { key, ...(body === undefined ? {} : { body }) })).status
  const made = await world.request('POST', '/v1/jobs', { key: backtests, body: backtest() })
  const { id } = (await made.json()) as { id: string }
  expect(made.status).toBe(201)
  expect(await status(trainings, 'POST', '/v1/jobs', backtest())).toBe(403)
  expect(await status(trainings, 'POST', '/v1/jobs/batch', { jobs: [backtest()] })).toBe(403)
  expect(
    await status(backtests, 'POST', '/v1/jobs/batch', { jobs: [backtest(), { kind: 'training' }] }),
  ).toBe(403)
  expect(await status(trainings, 'POST', '/v1/jobs', [])).toBe(403)
  for (const [method, path] of [
    ['GET', `/v1/jobs/${id}`],
    ['GET', `/v1/jobs/${id}/logs`],
    ['POST', `/v1/jobs/${id}/cancel`],
  ] as const) {
    expect([path, await status(trainings, method, path)]).toEqual([path, 403])
    expect([path, (await status(backtests, method, path)) < 300]).toEqual([path, true])
  }
  expect(await status(trainings, 'GET', '/v1/jobs/job_01jd3m4k5nep7r8r9s0t1v2w3x')).toBe(404)
  expect(await status(backtests, 'GET', '/v1/jobs')).toBe(403)
  expect(await status(backtests, 'GET', '/v1/jobs?kind=backtest')).toBe(200)
  expect(await status(backtests, 'GET', '/v1/jobs?kind=training')).toBe(403)
  expect(await status(backtests, 'GET', '/v1/events')).toBe(403)
  expect(await status(trainings, 'POST', '/v1/jobs/cancel', { kind: 'backtest' })).toBe(403)
  expect(await status(trainings, 'POST', '/v1/jobs/cancel', { state: 'queued' })).toBe(403)
  expect(await status(backtests, 'POST', '/v1/jobs/cancel', { kind: 'backtest' })).toBe(202)
})

test('a narrowed key makes and rotates none that is wider, and says what it may', async () => {
  await using world = await openTestWorld()
  const key = await narrowed(world, ['admin', 'jobs:read'])
  const make = (of: string[] | null) =>
    world.request('POST', '/v1/keys', { key, body: { name: 'x', role: 'member', scopes: of } })
  expect((await make(null)).status).toBe(403)
  expect((await make(['jobs:write'])).status).toBe(403)
  const made = await make(['jobs:read'])
  expect([made.status, await made.json()]).toMatchObject([201, { scopes: ['jobs:read'] }])
  const wide = await world.request('POST', '/v1/keys', { body: { name: 'wide', role: 'admin' } })
  const { id } = (await wide.json()) as { id: string }
  const rotate = (by: string) => world.request('POST', `/v1/keys/${id}/rotate`, { key: by, body: {} })
  expect((await rotate(key)).status).toBe(403)
  expect((await rotate(world.key)).status).toBe(201)
  const me = await world.request('GET', '/v1/me', { key })
  const { may, scopes: own } = (await me.json()) as { may: string[]; scopes: string[] }
  expect(own).toEqual(['admin', 'jobs:read'])
  expect([may.includes('listJobs'), may.includes('createJob'), may.includes('createApiKey')]).toEqual([
    true,
    false,
    true,
  ])
  const unknown = await world.request('POST', '/v1/keys', { body: { name: 'x', scopes: ['everything'] } })
  expect(await unknown.json()).toMatchObject({ errors: [{ path: 'scopes.0' }] })
})
