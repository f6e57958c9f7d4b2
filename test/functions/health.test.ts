// What a balancer asks every moment: whether a server can take work.
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { openTestWorld } from '../support/world.ts'

test('the last answer of the database holds for some seconds while it is asked anew, until it fails', async () => {
  await using world = await openTestWorld()
  const ready = async () => (await world.request('GET', '/readyz', { key: null })).status
  const rename = (from: string, to: string) =>
    sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(world.deps.db)
  expect(await ready()).toBe(200)
  await rename('installation', 'away')
  world.advance(0.9)
  expect(await ready(), 'not asked again yet').toBe(200)
  world.advance(2)
  expect(await ready(), 'asked beside').toBe(200)
  await expect.poll(ready).toBe(503)
  await rename('away', 'installation')
  expect(await ready(), 'a failure is not kept').toBe(200)
  await rename('installation', 'away')
  world.advance(3.1)
  expect(await ready(), 'too old to hold').toBe(503)
  await rename('away', 'installation')
})

test('an answer from before the clock was set back does not hold', async () => {
  await using world = await openTestWorld()
  const ready = async () => (await world.request('GET', '/readyz', { key: null })).status
  expect(await ready()).toBe(200)
  await sql`alter table installation rename to away`.execute(world.deps.db)
  world.advance(-3_600)
  expect(await ready()).toBe(503)
  await sql`alter table away rename to installation`.execute(world.deps.db)
})
