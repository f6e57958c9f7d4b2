import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { keepAccounts } from '../../infra/accounts.ts'
import { keepOffers } from '../../infra/offers.ts'
import type { AccountView } from '../../jobs/accounts.ts'
import { scanOrphans } from '../../jobs/orphans.ts'
import { createKey } from '../../jobs/keys.ts'
import type { Vendor } from '../../jobs/vendor.ts'
import { ProviderError } from '../../providers/errors.ts'
import type { Offer, Provider } from '../../providers/provider.ts'
import { createModelProvider } from '../support/model-provider.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

type Row = Record<string, unknown>
const secret = 'canary-of-a-credential'

/** A vendor whose providers do as the model does, in the region of their settings; `opened` is what they were opened with. */
function modelVendor(world: World, remote = false) {
  const opened: Parameters<Vendor['open']>[0][] = []
  const vendor: Vendor = {
    settings: z.strictObject({ region: z.string().default('eu'), price: z.number().positive().optional() }),
    credentials: z.strictObject({ token: z.string().min(1), user: z.string().optional() }),
    remote,
    open(account) {
      opened.push(account)
      const { provider, offers } = createModelProvider(world.deps.clock)
      const own = { provider: 'cloud', account: account.account, region: String(account.settings['region']) }
      return Promise.resolve<Provider>({
        ...provider,
        name: 'cloud',
        account: account.account,
        offers: () => Promise.resolve(offers.map((offer): Offer => ({ ...offer, ...own }))),
        check: () =>
          account.credentials['token'] === 'broken'
            ? Promise.reject(new ProviderError('unauthorized', { provider: 'cloud', detail: 'the token' }))
            : Promise.resolve([{ name: 'token', ok: true, detail: 'it works' }]),
      })
    },
  }
  world.deps.vendors = async () => ({ cloud: vendor })
  return opened
}

async function call<Body = AccountView>(
  world: World,
  method: string,
  path: string,
  body?: unknown,
  key?: string,
) {
  const answer = await world.request(method, path, {
    ...(body === undefined ? {} : { body }),
    ...(key === undefined ? {} : { key }),
  })
  const text = await answer.text()
  return { status: answer.status, text, body: (text === '' ? null : JSON.parse(text)) as Body }
}
const main = { provider: 'cloud', account: 'main', credentials: { token: secret } }
const add = async (world: World, more: object = {}) =>
  (await call(world, 'POST', '/v1/provider-accounts', { ...main, ...more })).body

/** A server's own accounts, as it keeps them. */
function server(world: World) {
  const accounts = keepAccounts([world.model.provider])
  const books = keepOffers(accounts, { asks: true })
  return {
    accounts,
    async refresh() {
      const changed = await accounts.refresh(world.deps)
      await books.refresh(world.deps)
      return changed
    },
    names: () => accounts.providers.map(({ name, account }) => `${name}/${account}`),
    offers: () =>
      books.now().map(({ offer: { provider, account, region } }) => `${provider}/${account} ${region}`),
  }
}

test('an account is added, shown without its secrets, and used by every server within its next look', async () => {
  await using world = await openTestWorld()
  const opened = modelVendor(world)
  const one = server(world)
  await one.refresh()
  expect(one.names()).toEqual(['model/main'])
  const made = await call(world, 'POST', '/v1/provider-accounts', main)
  expect(made).toMatchObject({
    status: 201,
    body: { settings: { region: 'eu' }, credentials: ['token'], running: 0 },
  })
  expect(await one.refresh()).toBe(true)
  expect(one.names()).toEqual(['model/main', 'cloud/main'])
  expect(one.offers()).toEqual(['cloud/main eu', 'model/main here'])
  expect(await one.refresh()).toBe(false)
  expect(opened).toMatchObject([
    { account: 'main', settings: { region: 'eu' }, credentials: { token: secret } },
  ])
  const listed = await call<{ items: AccountView[] }>(world, 'GET', '/v1/provider-accounts')
  expect(listed.body.items.map(({ id, account }) => [id === null, account])).toEqual([
    [true, 'main'],
    [false, 'main'],
  ])
  const row = await world.deps.db.selectFrom('provider_accounts').selectAll().executeTakeFirstOrThrow()
  expect(`${made.text}${listed.text}${JSON.stringify(row)}`).not.toContain(secret)
})

test('a change opens it anew, and what is left as it was does not', async () => {
  await using world = await openTestWorld()
  const opened = modelVendor(world)
  const one = server(world)
  const { id } = await add(world)
  await one.refresh()
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { regions: ['us'] })
  await one.refresh()
  expect([opened.length, one.offers()]).toEqual([1, ['model/main here']])
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { settings: { region: 'us' } })
  await one.refresh()
  expect([opened.length, one.offers()]).toEqual([2, ['cloud/main us', 'model/main here']])
  // The credentials were kept.
  expect(opened[1]).toMatchObject({ settings: { region: 'us' }, credentials: { token: secret } })
  const { body } = await call(world, 'PATCH', `/v1/provider-accounts/${id}`, {
    credentials: { token: 'new', user: 'ops' },
  })
  expect(body.credentials).toEqual(['token', 'user'])
  await one.refresh()
  expect(opened[2]?.credentials).toEqual({ token: 'new', user: 'ops' })
})

test('what is drained or disabled is given nothing more, and is watched as long as something runs there', async () => {
  await using world = await openTestWorld()
  modelVendor(world)
  const one = server(world)
  const { id } = await add(world)
  await one.refresh()
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { draining: true })
  await one.refresh()
  expect([one.names(), one.offers()]).toEqual([['model/main', 'cloud/main'], ['model/main here']])
  // An attempt that is there.
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  await world.deps.db.updateTable('attempts').set({ provider: 'cloud', account: 'main' }).execute()
  const asked = await call<Row>(world, 'PATCH', `/v1/provider-accounts/${id}`, { enabled: false })
  expect(asked).toMatchObject({ status: 409, body: { code: 'account_in_use' } })
  expect(asked.text).toContain('1 attempt is there: drain it')
  const path = `/v1/provider-accounts/${id}`
  const disabled = await call(world, 'PATCH', path, { enabled: false, force: true })
  expect(disabled.body).toMatchObject({ running: 1, enabled: false })
  await one.refresh()
  expect([one.names(), one.offers()]).toEqual([['model/main', 'cloud/main'], ['model/main here']])
  expect(await call<Row>(world, 'DELETE', `/v1/provider-accounts/${id}`)).toMatchObject({
    status: 409,
    body: { code: 'account_in_use' },
  })
  const now = world.deps.clock.now()
  await world.deps.db.updateTable('attempts').set({ state: 'ended', ended_at: now }).execute()
  await one.refresh()
  expect(one.names()).toEqual(['model/main'])
})

test('credentials are changed while a job runs: what is there is looked after by the new ones', async () => {
  await using world = await openTestWorld()
  const opened = modelVendor(world)
  const one = server(world)
  const { id } = await add(world)
  await one.refresh()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  await world.deps.db.updateTable('attempts').set({ provider: 'cloud', account: 'main' }).execute()
  Object.assign(world.deps, { providers: one.accounts.providers })
  const changed = await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { credentials: { token: 'new' } })
  expect(changed.body).toMatchObject({ running: 1, enabled: true })
  await one.refresh()
  expect(opened.map(({ credentials }) => credentials['token'])).toEqual([secret, 'new'])
  expect(one.names()).toEqual(['model/main', 'cloud/main'])
  world.advance(10)
  await world.pass()
  const [row] = await world.deps.db.selectFrom('attempts').select(['state', 'outcome']).execute()
  expect(row).toMatchObject({ state: 'starting', outcome: null })
})

test('it is drained and disabled whatever a release or its environment asks of new accounts', async () => {
  await using world = await openTestWorld()
  modelVendor(world, true)
  const { id } = await add(world)
  world.deps.settings.is_reachable = false
  const drained = await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { draining: true })
  expect(drained).toMatchObject({ status: 200, body: { draining: true } })
  world.deps.vendors = async () => ({})
  const disabled = await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { enabled: false })
  expect(disabled).toMatchObject({ status: 200, body: { enabled: false } })
  expect((await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { settings: {} })).status).toBe(422)
})

test('it is removed when it has been disabled for a minute', async () => {
  await using world = await openTestWorld()
  modelVendor(world)
  const { id } = await add(world)
  const remove = () => call<Row | null>(world, 'DELETE', `/v1/provider-accounts/${id}`)
  expect(await remove()).toMatchObject({ status: 409, body: { code: 'account_in_use' } })
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { enabled: false })
  expect(await remove()).toMatchObject({ status: 409 })
  world.advance(61)
  expect((await remove()).status).toBe(204)
  expect((await remove()).status).toBe(404)
  expect((await add(world)).account).toBe('main')
})

test('it is not removed while a machine is left there that nobody else would stop', async () => {
  await using world = await openTestWorld()
  modelVendor(world)
  const one = server(world)
  const { id } = await add(world)
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { enabled: false })
  const at = world.deps.clock.now()
  const stray = { id: 'orp_stray', name: 'berth-stray', attempt_id: null, since: null, handle: '{}' }
  const seen = { usd_micros_per_hour: 360_000, first_seen_at: at, last_seen_at: at }
  await world.deps.db
    .insertInto('orphans')
    .values({ ...stray, ...seen, provider: 'cloud', account: 'main' })
    .execute()
  world.advance(61)
  const remove = () => call<Row | null>(world, 'DELETE', `/v1/provider-accounts/${id}`)
  const refused = await remove()
  expect(refused).toMatchObject({ status: 409, body: { code: 'account_in_use' } })
  expect(refused.text).toContain('1 thing is left there')
  await one.refresh()
  Object.assign(world.deps, { providers: one.accounts.providers })
  // The next look finds it gone.
  await scanOrphans(world.deps)
  expect((await remove()).status).toBe(204)
})

test('a test says what it saw, and a provider that throws is a check that failed', async () => {
  await using world = await openTestWorld()
  modelVendor(world)
  const { id } = await add(world)
  const test_ = () => call<Row>(world, 'POST', `/v1/provider-accounts/${id}/test`)
  expect((await test_()).body).toEqual({
    ok: true,
    checks: [{ name: 'token', ok: true, detail: 'it works' }],
  })
  expect((await call(world, 'GET', `/v1/provider-accounts/${id}`)).body).toMatchObject({
    checks: [{ ok: true }],
    checked_at: world.deps.clock.now().toISOString(),
  })
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { credentials: { token: 'broken' } })
  expect((await test_()).body).toMatchObject({
    ok: false,
    checks: [{ name: 'account', detail: 'unauthorized: the token' }],
  })
})

test('an account that cannot be opened takes no other with it, and what it had goes on', async () => {
  await using world = await openTestWorld()
  modelVendor(world)
  const one = server(world)
  const { id } = await add(world)
  await one.refresh()
  const { cloud } = await world.deps.vendors()
  if (!cloud) throw new Error('it is there')
  world.deps.vendors = async () => ({
    cloud: { ...cloud, open: () => Promise.reject(new Error(`no SDK for ${secret}`)) },
  })
  await call(world, 'PATCH', `/v1/provider-accounts/${id}`, { settings: { region: 'us' } })
  await add(world, { account: 'second' })
  await one.refresh()
  await one.refresh()
  expect([one.names(), one.offers()]).toEqual([['model/main', 'cloud/main'], ['model/main here']])
  const told = world.logged.filter(({ message }) => message === 'an account could not be opened')
  expect(told).toHaveLength(2)
  expect(JSON.stringify(told)).not.toContain(secret)
})

describe('refused is', () => {
  test.each([
    ['an unknown provider', { provider: 'mars' }, 422, 'provider'],
    ['a wrong name', { account: 'Main Account' }, 422, 'account'],
    ['an unknown setting', { settings: { colour: 'red' } }, 422, 'settings.colour'],
    ['a setting of a wrong type', { settings: { price: 'much' } }, 422, 'settings.price'],
    ['a missing credential', { credentials: {} }, 422, 'credentials.token'],
    ['an unknown field', { budget: 1 }, 422, 'budget'],
    ['regions that are none', { regions: [] }, 422, 'regions'],
  ])('%s, by its field', async (_, more, status, path) => {
    await using world = await openTestWorld()
    modelVendor(world)
    const answer = await call<{ errors: { path: string }[] }>(world, 'POST', '/v1/provider-accounts', {
      ...main,
      ...more,
    })
    expect(answer.status).toBe(status)
    expect(answer.body.errors[0]?.path).toBe(path)
    expect(answer.text).not.toContain(secret)
    expect(await world.deps.db.selectFrom('provider_accounts').selectAll().execute()).toEqual([])
  })

  test('a second of the same name, of the environment too', async () => {
    await using world = await openTestWorld()
    modelVendor(world)
    await add(world)
    expect(await call(world, 'POST', '/v1/provider-accounts', main)).toMatchObject({ status: 409 })
    const vendors = await world.deps.vendors()
    world.deps.vendors = async () => ({ ...vendors, model: vendors['cloud'] as Vendor })
    expect(await call(world, 'POST', '/v1/provider-accounts', { ...main, provider: 'model' })).toMatchObject({
      status: 409,
    })
  })

  test('one whose machines could not reach this server', async () => {
    await using world = await openTestWorld()
    modelVendor(world, true)
    world.deps.settings.is_reachable = false
    const { status, text } = await call(world, 'POST', '/v1/provider-accounts', main)
    expect([status, text]).toEqual([422, expect.stringContaining('BERTH_PUBLIC_URL')])
  })

  test('a key that is no administrator’s', async () => {
    await using world = await openTestWorld()
    modelVendor(world)
    const { id } = await add(world)
    const key = await createKey(world.deps, world.project_id, 'desk', 'member')
    const paths: [string, string, unknown?][] = [
      ['GET', '/v1/provider-accounts'],
      ['POST', '/v1/provider-accounts', main],
      ['GET', `/v1/provider-accounts/${id}`],
      ['PATCH', `/v1/provider-accounts/${id}`, { enabled: false }],
      ['DELETE', `/v1/provider-accounts/${id}`],
      ['POST', `/v1/provider-accounts/${id}/test`],
    ]
    for (const [method, path, body] of paths)
      expect([path, (await call(world, method, path, body, key)).status]).toEqual([path, 403])
  })
})
