import { once } from 'node:events'
import { expect, test, vi } from 'vitest'
import { keepAccounts } from '../../infra/accounts.ts'
import { startLoops } from '../../infra/loops.ts'
import { keepOffers } from '../../infra/offers.ts'
import { patience_ms } from '../support/patience.ts'
import type { Deps } from '../../jobs/deps.ts'
import { backtest, openTestWorld } from '../support/world.ts'

/** What the loops of a server are given; nothing outside the world changes. */
function workOf(deps: Deps, replica: string) {
  const accounts = keepAccounts(deps.providers)
  return {
    deps,
    accounts,
    offers: keepOffers(accounts, { asks: false }),
    replica,
    sync: () => Promise.resolve(),
    raise_high_water: () => Promise.resolve(),
    folders: null,
  }
}

test('a replica shows that it lives while its pass waits for a slow vendor', async () => {
  await using world = await openTestWorld()
  // Loops wait in real time.
  world.advance((new Date().getTime() - world.deps.clock.now().getTime()) / 1_000)
  const slow = Promise.withResolvers<never[]>()
  const asked = Promise.withResolvers<Date>()
  const [provider] = world.deps.providers
  if (!provider) throw new Error('a test world has a provider')
  const deps = {
    ...world.deps,
    clock: { now: () => new Date() },
    providers: [
      {
        ...provider,
        inspect: () => {
          asked.resolve(new Date())
          return slow.promise
        },
      },
    ],
  }
  const replica = 'rep_slow'
  const loops = startLoops(workOf(deps, replica), ['pass'])
  await world.request('POST', '/v1/jobs', { body: backtest() })
  const asked_at = await asked.promise
  // Two renewals after the call: the first might have been under way.
  await vi.waitFor(
    async () => {
      const row = await deps.db
        .selectFrom('replicas')
        .select('renewed_at')
        .where('id', '=', replica)
        .executeTakeFirstOrThrow()
      expect(row.renewed_at.getTime()).toBeGreaterThan(asked_at.getTime() + 2_000)
    },
    { timeout: patience_ms, interval: 100 },
  )
  slow.resolve([])
  await loops.stop()
})

test('a server writes down which keys are used, and measures its passes', async () => {
  await using world = await openTestWorld()
  await world.request('GET', '/v1/jobs')
  const loops = startLoops(workOf(world.deps, 'rep_one'), ['pass'])
  await vi.waitFor(
    async () => {
      const { last_used_at } = await world.deps.db
        .selectFrom('api_keys')
        .select('last_used_at')
        .where('name', '=', 'test')
        .executeTakeFirstOrThrow()
      expect(last_used_at).not.toBe(null)
      expect(await world.deps.meter?.text()).toMatch(/^berth_pass_seconds_count [1-9]/m)
    },
    { timeout: patience_ms, interval: 100 },
  )
  await loops.stop()
})

test('a server rests after a pass that took long and decided nothing, and stops while it rests', async () => {
  await using world = await openTestWorld()
  let now_ms = 1_000
  const rested = Promise.withResolvers<number>()
  const deps = {
    ...world.deps,
    // Each pass looks at them.
    offers() {
      now_ms += 40
      return world.deps.offers()
    },
  }
  const loops = startLoops(workOf(deps, 'rep_one'), ['pass'], {
    now_ms: () => now_ms,
    async pause(ms, signal) {
      // No other loop comes again within a second.
      if (ms < 1_000) rested.resolve(ms)
      if (!signal.aborted) await once(signal, 'abort')
    },
  })
  expect(await rested.promise).toBe(160)
  await loops.stop()
})
