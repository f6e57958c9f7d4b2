import { expect, test } from 'vitest'
import { keepAccounts } from '../../infra/accounts.ts'
import { createTicker } from '../../infra/edge/tick.ts'
import { edgeVendors } from '../../infra/edge/vendors.ts'
import type { Role } from '../../infra/settings.ts'
import type { Provider } from '../../providers/provider.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const nothing = () => Promise.resolve()

function tickerOf(world: World, providers: readonly Provider[], roles: readonly Role[]) {
  const { deps } = world
  const offers = {
    now: deps.offers,
    sources: () => [],
    look: nothing,
    settled: nothing,
    refresh: nothing,
  }
  const accounts = keepAccounts(providers)
  return createTicker({ deps, accounts, offers, config: { roles }, freshen: nothing, settle: nothing })
}

const submit = (world: World) => world.request('POST', '/v1/jobs', { body: backtest() })

async function attempts({ deps }: World): Promise<number> {
  return (await deps.db.selectFrom('attempts').select('id').execute()).length
}

test('a tick claims no more than its rows, begins nothing after its time, and goes on at the next', async () => {
  await using world = await openTestWorld()
  for (let each = 0; each < 2; each++) await submit(world)
  const { tick } = tickerOf(world, [world.model.provider], ['pass'])
  expect(await tick({ rows: 1, ms: 0 })).toEqual({ passes: 1, decided: 1, tried: 0 })
  expect(await attempts(world)).toBe(1)
  await tick({ rows: 10, ms: 60_000 })
  expect(await attempts(world)).toBe(2)
})

test('what a deleted project has is removed by ticks alone', async () => {
  await using world = await openTestWorld()
  const { key } = await world.secondProject()
  await world.request('PUT', '/v1/secrets/TOKEN', { key, body: { value: 'gone' } })
  expect((await world.request('DELETE', '/v1/projects/prj_second')).status).toBe(202)
  world.advance(3_600)
  await tickerOf(world, [world.model.provider], ['pass']).tick({ rows: 10, ms: 60_000 })
  const { db } = world.deps
  expect(await db.selectFrom('secrets').select('name').execute()).toEqual([])
  const project = await db
    .selectFrom('projects')
    .select('purged_at')
    .where('id', '=', 'prj_second')
    .executeTakeFirst()
  expect(project?.purged_at).toEqual(world.deps.clock.now())
})

test('a function that has not the role makes no pass', async () => {
  await using world = await openTestWorld()
  await submit(world)
  expect(await tickerOf(world, [world.model.provider], ['api']).tick({ rows: 10, ms: 60_000 })).toEqual({
    passes: 0,
    decided: 0,
    tried: 0,
  })
  expect(await attempts(world)).toBe(0)
})

test('where there is an account that it cannot call, it leaves the pass to a server on Node, and says so', async () => {
  await using world = await openTestWorld()
  await submit(world)
  const { deps } = world
  const opened = {
    account: 'desk',
    settings: {},
    credentials: {},
    installation: deps.installation,
    clock: deps.clock,
  }
  const aws = await edgeVendors['aws']?.open(opened)
  if (!aws) throw new Error('it is known')
  const { tick } = tickerOf(world, [world.model.provider, aws], ['pass', 'offers', 'webhooks'])
  expect(await tick({ rows: 10, ms: 60_000 })).toEqual({ passes: 0, decided: 0, tried: 0 })
  expect(await attempts(world)).toBe(0)
  expect(world.logged).toContainEqual({
    level: 'error',
    message: 'the roles pass and offers are left to a server on Node, which calls these accounts',
    fields: { accounts: ['aws/desk'] },
  })
  await expect(aws.check(AbortSignal.timeout(1_000))).rejects.toMatchObject({ code: 'unavailable' })
})

test('an account of another vendor is set up elsewhere', () => {
  const parsed = edgeVendors['aws']?.settings.safeParse({ region: 'us-east-1' })
  expect(parsed?.error?.issues[0]?.message).toContain('are set up at a server on Node')
})
