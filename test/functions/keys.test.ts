// API keys of a project: shown once, ended when they should be, and never all at once.
import { expect, test } from 'vitest'
import { openTestWorld, type World } from '../support/world.ts'

interface Key {
  id: string
  key: string
  prefix: string
  last_used_at: string | null
}

async function make(world: World, body: object, key = world.key): Promise<Key> {
  const answer = await world.request('POST', '/v1/keys', { body, key })
  expect(answer.status).toBe(201)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  return (await answer.json()) as Key
}

const list = async (world: World, key = world.key) => {
  const answer = await world.request('GET', '/v1/keys', { key })
  return { text: await answer.clone().text(), items: ((await answer.json()) as { items: Key[] }).items }
}

/** Whether a key works. */
const works = async (world: World, key: string) =>
  (await world.request('GET', '/v1/jobs', { key })).status === 200

test('a key is shown once, works with its role, and is listed by its prefix', async () => {
  await using world = await openTestWorld()
  const made = await make(world, { name: 'notebook', role: 'viewer' })
  expect(made).toMatchObject({ name: 'notebook', role: 'viewer', expires_at: null, revoked_at: null })
  expect(made.key).toMatch(new RegExp(`^berth_${made.prefix}_`))
  expect(await works(world, made.key)).toBe(true)
  expect((await world.request('GET', '/v1/keys', { key: made.key })).status).toBe(403)
  const { text, items } = await list(world)
  expect(items.map(({ id }) => id)).toContain(made.id)
  expect(text).not.toContain(made.key)
  expect(text).not.toContain(made.key.split('_')[2])
})

test('a key that has expired works no more', async () => {
  await using world = await openTestWorld()
  const expires_at = new Date(world.deps.clock.now().getTime() + 60_000).toISOString()
  const { key } = await make(world, { name: 'for a minute', expires_at })
  expect(await works(world, key)).toBe(true)
  world.advance(60)
  expect(await works(world, key)).toBe(false)
  const past = await world.request('POST', '/v1/keys', { body: { name: 'late', expires_at } })
  expect(await past.json()).toMatchObject({
    errors: [{ path: 'expires_at', message: 'must be in the future' }],
  })
})

test('a rotated key works for the overlap beside the new one', async () => {
  await using world = await openTestWorld()
  const old = await make(world, { name: 'desk', role: 'member' })
  const answer = await world.request('POST', `/v1/keys/${old.id}/rotate`, { body: { overlap_s: 3_600 } })
  const fresh = (await answer.json()) as Key
  expect(fresh).toMatchObject({ name: 'desk', role: 'member', expires_at: null })
  expect([await works(world, old.key), await works(world, fresh.key)]).toEqual([true, true])
  world.advance(3_600)
  expect([await works(world, old.key), await works(world, fresh.key)]).toEqual([false, true])
  // What has ended is not brought back.
  expect((await world.request('POST', `/v1/keys/${old.id}/rotate`, { body: {} })).status).toBe(404)
})

test('a revoked key works nowhere from then on, and not the one that asks is revoked', async () => {
  await using world = await openTestWorld()
  const other = await make(world, { name: 'admin', role: 'admin' })
  const own = (await list(world, other.key)).items.find(({ id }) => id !== other.id)?.id ?? ''
  const self = await world.request('DELETE', `/v1/keys/${other.id}`, { key: other.key })
  expect([self.status, await self.json()]).toMatchObject([409, { code: 'key_in_use' }])
  expect((await world.request('DELETE', `/v1/keys/${own}`, { key: other.key })).status).toBe(204)
  expect(await works(world, world.key)).toBe(false)
  expect((await world.request('DELETE', `/v1/keys/${own}`, { key: other.key })).status).toBe(204)
  expect((await world.request('DELETE', '/v1/keys/key_no', { key: other.key })).status).toBe(404)
})

test('when a key was last used is told to the minute', async () => {
  await using world = await openTestWorld()
  const { id, key } = await make(world, { name: 'used' })
  const lastUse = async () => {
    await world.deps.key_use?.write(world.deps)
    return (await list(world)).items.find((each) => each.id === id)?.last_used_at
  }
  expect(await lastUse()).toBe(null)
  world.advance(90)
  const at = world.deps.clock.now().toISOString()
  await works(world, key)
  await works(world, `${key.slice(0, -1)}${key.endsWith('A') ? 'B' : 'A'}`)
  expect(await lastUse()).toBe(at)
})

test('a project has two hundred keys that work at most', async () => {
  await using world = await openTestWorld()
  for (let n = 0; n < 199; n++) await make(world, { name: `key ${n}` })
  const more = await world.request('POST', '/v1/keys', { body: { name: 'one more' } })
  expect([more.status, (await more.json()) as object]).toMatchObject([
    422,
    { detail: expect.stringContaining('at most 200') },
  ])
  const [newest] = (await list(world)).items
  await world.request('DELETE', `/v1/keys/${newest?.id}`)
  await make(world, { name: 'one more' })
})
