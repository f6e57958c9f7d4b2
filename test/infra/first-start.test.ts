// What the first start of a database makes, once, however many servers start on it.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ensureAdminKey, ensureInstallation } from '../../infra/first-start.ts'
import { createSealer } from '../../infra/secrets.ts'
import { createKeyCheck } from '../../jobs/keys.ts'
import { openTestDatabase } from '../support/database.ts'
import { freePort, startServer } from '../support/server.ts'
import { newFolder } from './new-folder.ts'

const at = new Date('2026-01-01T00:00:00Z')

async function openFirstStart() {
  const { db, close } = await openTestDatabase()
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
  const start = { db, clock: { now: () => at }, random, sealer: createSealer(randomBytes(32)) }
  await ensureInstallation(start)
  return { start, [Symbol.asyncDispose]: close }
}

test('of servers that share a database one writes an admin key, and new folders leave no more of them', async () => {
  await using world = await openFirstStart()
  const { start } = world
  const files = [1, 2, 3].map(() => join(newFolder(), 'admin.key'))
  const made = await Promise.all(files.map((file) => ensureAdminKey(start, file, true)))
  expect(made.filter(Boolean)).toHaveLength(1)
  expect(files.map((file) => existsSync(file))).toEqual(made)
  const [first = '', other = ''] = files.toSorted((a, b) => Number(existsSync(b)) - Number(existsSync(a)))
  const check = createKeyCheck({ ...start, gather: () => Promise.resolve() })
  expect(await check(readFileSync(first, 'utf8').trim())).toMatchObject({
    role: 'admin',
    is_operator: true,
  })

  await start.db.updateTable('api_keys').set({ revoked_at: at }).execute()
  expect(await ensureAdminKey(start, other, true)).toBe(true)
})

test('the embedded database has one folder: a file that is gone is written again', async () => {
  await using world = await openFirstStart()
  for (const file of [1, 2].map(() => join(newFolder(), 'admin.key')))
    expect(await ensureAdminKey(world.start, file, false)).toBe(true)
})

test('a server without the role api tells its health and its figures alone, and has kept what it compiled when it is ready', async () => {
  const caches = newFolder()
  const env = { BERTH_ROLES: 'pass,webhooks,offers', XDG_CACHE_HOME: caches }
  const server = await startServer(newFolder(), await freePort(), env)
  try {
    const answers = ['/readyz', '/metrics', '/v1/jobs'].map((path) => fetch(`${server.url}${path}`))
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 404])
    // One that is killed from now on has left it to the next.
    const kept = readdirSync(join(caches, 'berth', 'node'), { recursive: true, withFileTypes: true })
    expect(kept.filter((each) => each.isFile()).length).toBeGreaterThan(100)
  } finally {
    await server.stop()
  }
})
