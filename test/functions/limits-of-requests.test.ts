// What one client may take from the others at the gateway.
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { boundedJson } from '../../functions/_body.ts'
import type { Env } from '../../functions/_env.ts'
import { problemOf } from '../../functions/_problem.ts'
import { shedLoad } from '../../functions/_shed.ts'
import { createKey } from '../../jobs/keys.ts'
import { createRates } from '../../jobs/rates.ts'
import { openTestWorld, type World } from '../support/world.ts'

function limited(world: World, rate_limit: number) {
  const app = createApp({ ...world.deps, rates: createRates(world.deps.clock, rate_limit, 'rep_one') })
  return async (key: string) => {
    const answer = await app.request('/v1/project', { headers: { authorization: `Bearer ${key}` } })
    const told = (name: string) => answer.headers.get(name)
    return [
      answer.status,
      told('ratelimit-limit'),
      told('ratelimit-remaining'),
      told('ratelimit-reset'),
      told('retry-after'),
    ]
  }
}

test('every answer says how much is left, and a refusal when to come again', async () => {
  await using world = await openTestWorld()
  const ask = limited(world, 2)
  expect(await ask(world.key)).toEqual([200, '2', '1', '1', null])
  expect(await ask(world.key)).toEqual([200, '2', '0', '1', null])
  expect(await ask(world.key)).toEqual([429, '2', '0', '1', '1'])
  world.advance(1)
  expect(await ask(world.key)).toEqual([200, '2', '1', '1', null])
})

test('many keys of a project share a bound, and another project’s are not held by it', async () => {
  await using world = await openTestWorld()
  const ask = limited(world, 1)
  const keys = await Promise.all(
    Array.from({ length: 12 }, (_, n) => createKey(world.deps, world.project_id, `key ${n}`, 'viewer')),
  )
  const answers: unknown[] = []
  for (const key of keys) answers.push((await ask(key))[0])
  expect(answers).toEqual([...Array.from({ length: 10 }, () => 200), 429, 429])
  expect(await ask(keys[11] ?? '')).toEqual([429, '10', '0', '1', '1'])
  const { key } = await world.secondProject()
  expect((await ask(key))[0]).toBe(200)
  world.advance(1)
  expect((await ask(keys[11] ?? ''))[0]).toBe(200)
})

test('a body that does not arrive in time is refused', async () => {
  const app = new Hono<Env>().post('/slow', boundedJson(1_000, 'client', 1), (c) => c.text('done'))
  app.onError((error, c) => problemOf(error, c, () => undefined))
  const body = new ReadableStream<Uint8Array>({ start: (to) => to.enqueue(Buffer.from('{')) })
  const headers = { 'content-type': 'application/json' }
  const init: RequestInit & { duplex: 'half' } = { method: 'POST', headers, body, duplex: 'half' }
  const answer = await app.request('/slow', init)
  expect([answer.status, await answer.text()]).toEqual([408, expect.stringContaining('"code":"too_slow"')])
})

test('what comes while too many requests are under way is told to come again; health is answered', async () => {
  const held = Promise.withResolvers<void>()
  const app = new Hono<Env>()
    .use(shedLoad(2))
    .get('/slow', async (c) => {
      await held.promise
      return c.text('done')
    })
    .get('/healthz', (c) => c.text('ok'))
  app.onError((error, c) => problemOf(error, c, () => undefined))
  const ask = async () => (await app.request('/slow')).status
  const slow = [ask(), ask()]
  const refused = await app.request('/slow')
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([503, '1'])
  expect((await app.request('/healthz')).status).toBe(200)
  held.resolve()
  expect(await Promise.all(slow)).toEqual([200, 200])
  expect(await ask()).toBe(200)
})

test('a server with thousands of requests under way sheds the next one, and takes it when they have ended', async () => {
  await using world = await openTestWorld()
  const held = Promise.withResolvers<void>()
  const gather = () => held.promise
  const app = createApp({ ...world.deps, gather })
  const ask = async () => {
    const answer = await app.request('/v1/project', { headers: { authorization: `Bearer ${world.key}` } })
    return answer.status
  }
  const waiting = Array.from({ length: 4_096 }, () => ask())
  expect(await ask()).toBe(503)
  held.resolve()
  expect(new Set(await Promise.all(waiting))).toEqual(new Set([200]))
  expect(await ask()).toBe(200)
})
