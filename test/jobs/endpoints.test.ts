import { Webhook } from 'standardwebhooks'
import { Webhook as SvixWebhook } from 'svix'
import { describe, expect, test } from 'vitest'
import type { DeliveryView } from '../../jobs/deliveries.ts'
import type { EndpointView } from '../../jobs/endpoints.ts'
import { sweepRetention } from '../../jobs/retention.ts'
import { createKey } from '../../jobs/keys.ts'
import { person } from '../support/people.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

type Made = EndpointView & { secret: string }

async function call<Body>(
  world: World,
  method: string,
  path: string,
  body?: unknown,
  more: { key?: string; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: Body }> {
  const answer = await world.request(method, path, { ...(body === undefined ? {} : { body }), ...more })
  const text = await answer.text()
  return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as Body }
}

async function register(world: World, more: object = {}): Promise<Made> {
  const { status, body } = await call<Made>(world, 'POST', '/v1/webhooks', {
    url: 'https://example.com/hook',
    ...more,
  })
  expect([status, body]).toMatchObject([201, {}])
  return body
}

/** A job that is cancelled at once: job.queued and job.cancelled. */
async function announce(world: World, more: Record<string, unknown> = {}): Promise<string> {
  const { body } = await call<{ id: string }>(world, 'POST', '/v1/jobs', backtest(more))
  await world.request('POST', `/v1/jobs/${body.id}/cancel`)
  await world.pass()
  return body.id
}

const read = async (world: World, { id }: { id: string }) =>
  (await call<EndpointView>(world, 'GET', `/v1/webhooks/${id}`)).body
const deliveries = async (world: World, { id }: { id: string }, query = '') =>
  (
    await call<{ items: DeliveryView[]; next_cursor: string | null }>(
      world,
      'GET',
      `/v1/webhooks/${id}/deliveries${query}`,
    )
  ).body

const headersOf = (headers: Headers) => Object.fromEntries(headers.entries())
const typesTo = (world: World, url: string) =>
  world.sent
    .filter((each) => each.url === url)
    .map(({ body }) => (JSON.parse(body) as { type: string }).type)
    .toSorted()

test('an endpoint is told of what it asked for, and a job’s own webhook beside it', async () => {
  await using world = await openTestWorld()
  await register(world, { url: 'https://all.example.com/' })
  await register(world, { url: 'https://ends.example.com/', events: ['job.cancelled'] })
  await register(world, { url: 'https://off.example.com/', enabled: false })
  const id = await announce(world, { webhook: { url: 'https://own.example.com/' } })
  await world.deliver()
  expect(typesTo(world, 'https://all.example.com/')).toEqual(['job.cancelled', 'job.queued'])
  expect(typesTo(world, 'https://ends.example.com/')).toEqual(['job.cancelled'])
  expect(typesTo(world, 'https://own.example.com/')).toEqual(['job.cancelled'])
  expect(typesTo(world, 'https://off.example.com/')).toEqual([])
  const of_job = await call<{ items: DeliveryView[] }>(world, 'GET', `/v1/jobs/${id}/deliveries`)
  expect(of_job.body.items.map(({ state }) => state)).toEqual(Array(4).fill('delivered'))
})

test('an endpoint is told of what people submit', async () => {
  await using world = await openTestWorld()
  await register(world)
  const { secret } = await person(world, 'carl', { project_id: world.project_id, role: 'member' })
  const { status } = await call(world, 'POST', '/v1/jobs', backtest(), { key: secret })
  expect(status).toBe(201)
  await world.deliver()
  expect(typesTo(world, 'https://example.com/hook')).toEqual(['job.queued'])
})

test('an endpoint is told of what concerns no job', async () => {
  await using world = await openTestWorld()
  const endpoint = await register(world, { events: ['budget.warning', 'budget.exhausted'] })
  await call(world, 'PUT', '/v1/budgets', { scope: 'project', period: 'total', limit_usd: 0.022 })
  await call(world, 'POST', '/v1/jobs', backtest())
  await world.pass()
  await world.deliver()
  expect(world.sent.map(({ body }) => JSON.parse(body) as unknown)).toMatchObject([
    { type: 'budget.warning', data: { subject: { id: expect.stringMatching(/^bud_/) }, sequence: 1 } },
  ])
  expect((await deliveries(world, endpoint)).items).toMatchObject([{ job_id: null, state: 'delivered' }])
})

test('messages verify by standardwebhooks and by svix, with the secret of their endpoint alone', async () => {
  await using world = await openTestWorld()
  const [one, two] = [
    await register(world, { url: 'https://one.example.com/' }),
    await register(world, { url: 'https://two.example.com/' }),
  ]
  await announce(world)
  await world.deliver()
  for (const endpoint of [one, two]) {
    const { body, headers } = world.sent.find(({ url }) => url === endpoint.url) ?? {
      body: '',
      headers: new Headers(),
    }
    // The test's clock is fixed; the libraries compare with the real one.
    const signed = headersOf(headers)
    const at = new Date(Number(signed['webhook-timestamp']) * 1_000)
    expect(at).toEqual(world.deps.clock.now())
    for (const library of [Webhook, SvixWebhook]) {
      const own = new library(endpoint.secret).sign(signed['webhook-id'] ?? '', at, body)
      expect(own).toBe(signed['webhook-signature'])
      const other = new library((endpoint === one ? two : one).secret)
      expect(other.sign(signed['webhook-id'] ?? '', at, body)).not.toBe(own)
    }
  }
})

test('both libraries accept a message of now as it is received', async () => {
  await using world = await openTestWorld()
  world.advance((new Date().getTime() - world.deps.clock.now().getTime()) / 1_000)
  const { id, secret } = await register(world)
  await call(world, 'POST', `/v1/webhooks/${id}/rotate`)
  const rotated = (await call<Made>(world, 'POST', `/v1/webhooks/${id}/rotate`, { grace_s: 60 })).body
  await announce(world)
  await world.deliver()
  const { body, headers } = world.sent[0] ?? { body: '', headers: new Headers() }
  for (const key of [secret, rotated.secret])
    for (const library of [Webhook, SvixWebhook]) {
      expect(() => new library(key).verify(body, headersOf(headers))).not.toThrow()
      expect(() => new library(key).verify(`${body} `, headersOf(headers))).toThrow()
    }
})

test('a rotated secret signs beside the new one for the time that was asked for, and no longer', async () => {
  await using world = await openTestWorld()
  const first = await register(world, { events: ['job.cancelled'] })
  const second = (await call<Made>(world, 'POST', `/v1/webhooks/${first.id}/rotate`, { grace_s: 3_600 })).body
  expect(second.secret).not.toBe(first.secret)
  expect(second.old_secrets_until).toHaveLength(1)
  const signers = async () => {
    world.sent.length = 0
    await announce(world)
    await world.deliver()
    const { body, headers } = world.sent[0] ?? { body: '', headers: new Headers() }
    const given = headers.get('webhook-signature')?.split(' ')
    const at = new Date(Number(headers.get('webhook-timestamp')) * 1_000)
    const sign = (secret: string) => new Webhook(secret).sign(headers.get('webhook-id') ?? '', at, body)
    return {
      count: given?.length,
      first: given?.includes(sign(first.secret)),
      second: given?.[0] === sign(second.secret),
    }
  }
  expect(await signers()).toEqual({ count: 2, first: true, second: true })
  world.advance(3_601)
  expect(await signers()).toEqual({ count: 1, first: false, second: true })
  const third = (await call<Made>(world, 'POST', `/v1/webhooks/${first.id}/rotate`, { grace_s: 0 })).body
  expect(third.old_secrets_until).toEqual([])
  expect(await signers()).toEqual({ count: 1, first: false, second: false })
})

test('a secret is shown once, and a repeated request does not make a second endpoint', async () => {
  await using world = await openTestWorld()
  const body = { url: 'https://example.com/hook' }
  const headers = { 'idempotency-key': 'one' }
  const made = await call<Made>(world, 'POST', '/v1/webhooks', body, { headers })
  expect(made.status).toBe(201)
  const again = await call<{ code: string; detail: string }>(world, 'POST', '/v1/webhooks', body, { headers })
  expect([again.status, again.body.code]).toEqual([409, 'already_created'])
  expect(again.body.detail).toContain(made.body.id)
  const list = await call<{ items: object[] }>(world, 'GET', '/v1/webhooks')
  expect(list.body.items).toHaveLength(1)
  const texts = [list.body, await read(world, made.body), again.body].map((each) => JSON.stringify(each))
  for (const text of texts) expect(text).not.toContain('whsec_')
  const [row] = await world.deps.db.selectFrom('webhooks').selectAll().execute()
  expect(JSON.stringify(row)).not.toContain(made.body.secret.slice(6))
})

test('a test is sent at once and once, also to one that is disabled, and its answer is told', async () => {
  await using world = await openTestWorld()
  const { id, secret } = await register(world, { enabled: false })
  world.receive(() => new Response(`no\0${'x'.repeat(5_000)}`, { status: 500 }))
  const failed = await call<DeliveryView>(world, 'POST', `/v1/webhooks/${id}/test`)
  expect([failed.status, failed.body]).toMatchObject([
    200,
    {
      type: 'webhook.test',
      state: 'exhausted',
      attempts: 1,
      last_attempt: { status: 500, error: 'answered 500' },
    },
  ])
  expect(failed.body.last_attempt?.response?.length).toBe(1_000)
  world.advance(3_600)
  expect(await world.deliver()).toBe(0)
  expect((await read(world, { id })).failures).toBe(0)
  world.receive(() => new Response('thanks'))
  const done = await call<DeliveryView>(world, 'POST', `/v1/webhooks/${id}/test`)
  expect(done.body).toMatchObject({ state: 'delivered', last_attempt: { status: 200, response: 'thanks' } })
  const sent = world.sent.at(-1)
  const at = new Date(Number(sent?.headers.get('webhook-timestamp')) * 1_000)
  expect(new Webhook(secret).sign(done.body.id, at, sent?.body ?? '')).toBe(
    sent?.headers.get('webhook-signature'),
  )
})

test('a message is sent again under its id, with a schedule of its own', async () => {
  await using world = await openTestWorld()
  const endpoint = await register(world, { events: ['job.cancelled'] })
  await announce(world)
  await world.deliver()
  const [first] = (await deliveries(world, endpoint)).items
  const path = `/v1/deliveries/${first?.id}/redeliver`
  world.receive(() => new Response('', { status: 500 }))
  const asked = await call<DeliveryView>(world, 'POST', path)
  expect([asked.status, asked.body.state, asked.body.attempts]).toEqual([202, 'pending', 1])
  await world.deliver()
  world.receive(() => new Response('', { status: 200 }))
  world.advance(6.1)
  await world.deliver()
  const whole = await call<DeliveryView & { history: { number: number; status: number }[] }>(
    world,
    'GET',
    `/v1/deliveries/${first?.id}`,
  )
  expect(whole.body).toMatchObject({ state: 'delivered', attempts: 3 })
  expect(whole.body.history.map(({ status }) => status)).toEqual([200, 500, 200])
  expect(new Set(world.sent.map(({ headers }) => headers.get('webhook-id')))).toEqual(new Set([first?.id]))
  expect(new Set(world.sent.map(({ body }) => body)).size).toBe(1)
  await call(world, 'PATCH', `/v1/webhooks/${endpoint.id}`, { enabled: false })
  expect(await call(world, 'POST', path)).toMatchObject({ status: 409, body: { code: 'webhook_disabled' } })
})

test('a message that an earlier version delivered can be asked for again', async () => {
  await using world = await openTestWorld()
  const id = await announce(world, { webhook: { url: 'https://own.example.com/' } })
  await world.deliver()
  await world.deps.db.updateTable('deliveries').set({ receiver_id: null }).execute()
  await world.deps.db.deleteFrom('receivers').execute()
  const path = `/v1/jobs/${id}/deliveries`
  const [delivery] = (await call<{ items: DeliveryView[] }>(world, 'GET', path)).body.items
  expect((await call(world, 'POST', `/v1/deliveries/${delivery?.id}/redeliver`)).status).toBe(202)
  expect(await world.deliver()).toBe(1)
})

describe('an endpoint', () => {
  test('that is called elsewhere when its old address answers 410 stays, and is sent what failed there', async () => {
    await using world = await openTestWorld()
    const [old, other] = ['https://example.com/old', 'https://example.com/new']
    const hook = await register(world, { url: old })
    world.receive(async (url) => {
      if (url !== old) return new Response('', { status: 200 })
      await call(world, 'PATCH', `/v1/webhooks/${hook.id}`, { url: other })
      return new Response('', { status: 410 })
    })
    await announce(world)
    await world.deliver()
    expect(await read(world, hook)).toMatchObject({ state: 'enabled', url: other, failures: 0 })
    expect(typesTo(world, other)).toEqual(['job.cancelled', 'job.queued'])
  })

  test('that answers 410 is disabled, what waits for it is given up, and the others are told', async () => {
    await using world = await openTestWorld()
    const gone = await register(world, { url: 'https://gone.example.com/' })
    const other = await register(world, { url: 'https://other.example.com/', events: ['webhook.disabled'] })
    world.receive((url) => new Response('', { status: url === gone.url ? 410 : 200 }))
    await announce(world)
    await announce(world)
    await world.deliver()
    expect(await read(world, gone)).toMatchObject({ state: 'disabled', disabled_reason: 'gone' })
    expect((await deliveries(world, gone)).items.map(({ state }) => state)).toEqual(
      Array(4).fill('exhausted'),
    )
    expect(typesTo(world, other.url)).toEqual(['webhook.disabled'])
    await announce(world)
    expect((await deliveries(world, gone)).items).toHaveLength(4)
    const feed = await call<{ items: { type: string; data: object }[] }>(world, 'GET', '/v1/events')
    expect(feed.body.items.filter(({ type }) => type === 'webhook.disabled')).toMatchObject([
      { job_id: null, sequence: 1, data: { subject: { id: gone.id, reason: 'gone' } } },
    ])
  })

  test('that takes nothing for five days is disabled; enabled, it begins anew', async () => {
    await using world = await openTestWorld()
    const endpoint = await register(world, { events: ['job.cancelled'] })
    world.receive(() => new Response('', { status: 500 }))
    for (let hour = 0; hour < 24 * 5 + 2; hour++) {
      if (hour % 24 === 0) await announce(world)
      await world.deliver()
      world.advance(3_600)
    }
    await world.deliver()
    expect(await read(world, endpoint)).toMatchObject({ state: 'disabled', disabled_reason: 'failing' })
    world.receive(() => new Response('', { status: 200 }))
    const { body } = await call<EndpointView>(world, 'PATCH', `/v1/webhooks/${endpoint.id}`, {
      enabled: true,
    })
    expect(body).toMatchObject({ state: 'enabled', disabled_reason: null, failures: 0, failing_since: null })
    await announce(world)
    expect(await world.deliver()).toBe(1)
  }, 120_000)

  test('that has moved is called at its new address, also with what waits', async () => {
    await using world = await openTestWorld()
    const endpoint = await register(world, { events: ['job.cancelled'] })
    world.receive(() => new Response('', { status: 500 }))
    await announce(world)
    await world.deliver()
    world.receive(() => new Response('', { status: 200 }))
    await call(world, 'PATCH', `/v1/webhooks/${endpoint.id}`, { url: 'https://new.example.com/' })
    world.advance(6.1)
    await world.deliver()
    expect(world.sent.map(({ url }) => url)).toEqual([endpoint.url, 'https://new.example.com/'])
  })

  test('that is deleted is told nothing more', async () => {
    await using world = await openTestWorld()
    const endpoint = await register(world)
    await announce(world)
    expect((await call(world, 'DELETE', `/v1/webhooks/${endpoint.id}`)).status).toBe(204)
    expect(await world.deliver()).toBe(0)
    expect((await call(world, 'GET', `/v1/webhooks/${endpoint.id}`)).status).toBe(404)
    expect((await call(world, 'DELETE', `/v1/webhooks/${endpoint.id}`)).status).toBe(404)
    const rows = await world.deps.db.selectFrom('deliveries').select('state').execute()
    expect(rows.map(({ state }) => state)).toEqual(['exhausted', 'exhausted'])
  })

  test('is one of a hundred at most', async () => {
    await using world = await openTestWorld()
    for (let n = 0; n < 100; n++) await register(world, { url: `https://example.com/${n}` })
    const more = await call<{ code: string }>(world, 'POST', '/v1/webhooks', { url: 'https://example.com/' })
    expect([more.status, more.body.code]).toEqual([409, 'too_many_webhooks'])
  })

  test('of another project is not there, nor are its deliveries', async () => {
    await using world = await openTestWorld()
    const endpoint = await register(world)
    await announce(world)
    await world.deliver()
    const [delivery] = (await deliveries(world, endpoint)).items
    const { key } = await world.secondProject()
    const asked: [string, string, unknown?][] = [
      ['GET', `/v1/webhooks/${endpoint.id}`],
      ['PATCH', `/v1/webhooks/${endpoint.id}`, {}],
      ['DELETE', `/v1/webhooks/${endpoint.id}`],
      ['POST', `/v1/webhooks/${endpoint.id}/test`],
      ['POST', `/v1/webhooks/${endpoint.id}/rotate`],
      ['GET', `/v1/webhooks/${endpoint.id}/deliveries`],
      ['GET', `/v1/deliveries/${delivery?.id}`],
      ['POST', `/v1/deliveries/${delivery?.id}/redeliver`],
    ]
    for (const [method, path, body] of asked)
      expect([path, (await call(world, method, path, body, { key })).status]).toEqual([path, 404])
    expect(
      (await call<{ items: object[] }>(world, 'GET', '/v1/webhooks', undefined, { key })).body.items,
    ).toEqual([])
  })
})

test('who may do what', async () => {
  await using world = await openTestWorld()
  const { id } = await register(world)
  const keys = {
    viewer: await createKey(world.deps, world.project_id, 'v', 'viewer'),
    member: await createKey(world.deps, world.project_id, 'm', 'member'),
  }
  const allowed = async (role: keyof typeof keys, method: string, path: string, body?: unknown) =>
    (await call(world, method, path, body, { key: keys[role] })).status !== 403
  expect(await allowed('viewer', 'GET', '/v1/webhooks')).toBe(false)
  expect(await allowed('member', 'GET', '/v1/webhooks')).toBe(true)
  expect(await allowed('member', 'POST', `/v1/webhooks/${id}/test`)).toBe(true)
  expect(await allowed('viewer', 'GET', '/v1/events')).toBe(true)
  for (const [method, path, body] of [
    ['POST', '/v1/webhooks', { url: 'https://example.com/' }],
    ['PATCH', `/v1/webhooks/${id}`, {}],
    ['DELETE', `/v1/webhooks/${id}`, undefined],
    ['POST', `/v1/webhooks/${id}/rotate`, {}],
  ] as const)
    expect(await allowed('member', method, path, body)).toBe(false)
})

test.for<[string, object, string]>([
  ['no address', {}, 'url'],
  ['an address of another kind', { url: 'ftp://example.com/' }, 'url'],
  ['a target that is not allowed', { url: 'https://forbidden.example.com/' }, 'url'],
  ['a name that leads to one', { url: 'https://rebound.example.com/' }, 'url'],
  ['an unknown type', { url: 'https://example.com/', events: ['job.exploded'] }, 'events.0'],
  ['no types', { url: 'https://example.com/', events: [] }, 'events'],
  ['an unknown field', { url: 'https://example.com/', secret: 'whsec_x' }, 'secret'],
  ['a long description', { url: 'https://example.com/', description: 'x'.repeat(501) }, 'description'],
])('%s is refused by its name, and nothing is stored', async ([, body, path]) => {
  await using world = await openTestWorld()
  const answer = await call<{ errors: { path: string }[] }>(world, 'POST', '/v1/webhooks', body)
  expect([answer.status, answer.body.errors[0]?.path]).toEqual([422, path])
  expect(await world.deps.db.selectFrom('webhooks').selectAll().execute()).toEqual([])
})

test('the largest job there can be is a message of less than 20 kB', async () => {
  await using world = await openTestWorld()
  await register(world)
  const labels = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`label-${n}`, '€'.repeat(255)]))
  await announce(world, { labels, name: '€'.repeat(200) })
  await world.deliver()
  expect(world.sent).toHaveLength(2)
  for (const { body } of world.sent) expect(Buffer.byteLength(body)).toBeLessThan(20_000)
})

test('what has ended is kept for a month', async () => {
  await using world = await openTestWorld()
  const endpoint = await register(world)
  await announce(world)
  await world.deliver()
  world.advance(29 * 86_400)
  await sweepRetention(world.deps)
  expect((await deliveries(world, endpoint)).items).toHaveLength(2)
  world.advance(2 * 86_400)
  await sweepRetention(world.deps)
  expect((await deliveries(world, endpoint)).items).toHaveLength(0)
  expect(await world.deps.db.selectFrom('delivery_attempts').selectAll().execute()).toEqual([])
})

test('deliveries are listed newest first, by state and in pages', async () => {
  await using world = await openTestWorld()
  const endpoint = await register(world)
  for (let n = 0; n < 3; n++) await announce(world)
  await world.deliver()
  const all = (await deliveries(world, endpoint)).items.map(({ id }) => id)
  expect(all).toEqual(all.toSorted().toReversed())
  expect(all).toHaveLength(6)
  const first = await deliveries(world, endpoint, '?limit=4')
  const rest = await deliveries(world, endpoint, `?limit=4&cursor=${first.next_cursor}`)
  expect([...first.items, ...rest.items].map(({ id }) => id)).toEqual(all)
  expect(rest.next_cursor).toBeNull()
  expect((await deliveries(world, endpoint, '?state=pending')).items).toEqual([])
})
