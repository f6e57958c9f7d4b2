import { createRoute, OpenAPIHono } from '@hono/zod-openapi'
import { expect, test } from 'vitest'
import { createGuards, guardRoutes } from '../../functions/_gate.ts'
import type { Right } from '../../functions/_rights.ts'
import type { Env } from '../../functions/_env.ts'
import { createKey } from '../../jobs/keys.ts'
import { openTestWorld, type World } from '../support/world.ts'

const route = createRoute({
  method: 'get',
  path: '/v1/things',
  operationId: 'listThings',
  responses: { 200: { description: 'Things' } },
})

/** An app with one operation, and what the table says. */
function appWith({ deps }: World, table: Record<string, Right>) {
  const app = new OpenAPIHono<Env>()
  const { complete } = guardRoutes(app, createGuards(deps), table)
  return { app, add: () => app.openapi(route, (c) => c.text('things')), complete }
}

test('an operation of which nobody has said who may is not served', async () => {
  await using world = await openTestWorld()
  expect(() => appWith(world, {}).add()).toThrow('functions/_rights.ts has no entry for listThings')
})

test('neither is an entry without an operation, nor a route that is no operation', async () => {
  await using world = await openTestWorld()
  const unused = appWith(world, { listThings: 'viewer', dropThings: 'admin' })
  unused.add()
  expect(() => unused.complete()).toThrow('functions/_rights.ts names dropThings')
  const hidden = appWith(world, { listThings: 'viewer' })
  hidden.add()
  expect(() => hidden.complete()).not.toThrow()
  hidden.app.get('/v1/hidden', (c) => c.text('hidden'))
  expect(() => hidden.complete()).toThrow('GET /v1/hidden is no operation')
})

test('only admins of the project that runs the installation change what is no project’s own', async () => {
  await using world = await openTestWorld()
  const { id, key } = await world.secondProject()
  const limit = { scope: 'kind', key: 'backtest', max_running: 0 }
  const asked: [string, string, unknown?][] = [
    ['PUT', '/v1/limits', limit],
    ['GET', '/v1/orphans'],
    ['GET', '/v1/provider-accounts'],
    ['PATCH', '/v1/project', { weight: 1_000 }],
  ]
  const member = await createKey(world.deps, world.project_id, 'member', 'member')
  for (const [method, path, body] of asked) {
    for (const other of [key, member])
      expect([path, (await world.request(method, path, { key: other, body })).status]).toEqual([path, 403])
    expect([path, (await world.request(method, path, { body })).status]).toEqual([path, 200])
  }
  expect((await world.request('PATCH', '/v1/project', { key, body: { name: 'desk' } })).status).toBe(200)
  for (const of of [world.project_id, id])
    await world.request('PUT', '/v1/limits', {
      body: { scope: 'project', key: of, max_running: 5 },
    })
  const shown = async (as?: string) => {
    const answer = await world.request('GET', '/v1/limits', as === undefined ? {} : { key: as })
    const { items } = (await answer.json()) as { items: { scope: string; key: string }[] }
    return items.filter(({ scope }) => scope === 'project').map((each) => each.key)
  }
  expect(await shown(key)).toEqual([id])
  expect((await shown()).toSorted()).toEqual([world.project_id, id].toSorted())
})

test('a stranger’s report is refused before its body is read', async () => {
  await using world = await openTestWorld()
  const path = '/v1/attempts/att_01jd3m4k5nep7r8r9s0t1v2w3x/report'
  for (const key of [null, world.key, 'brt_shd_x.y.z'])
    expect((await world.request('POST', path, { key, body: '{' })).status).toBe(401)
})
