import { readFileSync } from 'node:fs'
import { sql } from 'kysely'
import { expect, test, vi } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { createRates } from '../../jobs/rates.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

type Page<Item> = { items: Item[]; next_cursor: string | null }

async function json<Body>(answer: Response | Promise<Response>): Promise<Body> {
  return (await (await answer).json()) as Body
}

async function submitted(world: World, more: object = {}): Promise<JobView> {
  return json<JobView>(world.request('POST', '/v1/jobs', { body: backtest({ ...more }) }))
}

/** Launches the only waiting job and answers as its runner. */
async function launched(world: World) {
  const job = await submitted(world)
  await world.pass()
  const [attempt_id = '', machine] = [...world.model.machines].at(-1) ?? []
  const key = machine?.token ?? ''
  const post = (path: string, body: unknown) =>
    world.request('POST', `/v1/attempts/${attempt_id}/${path}`, { key, body })
  await post('report', { type: 'started', instance: 'one' })
  return { job, attempt_id, key, post }
}

test('the document that is checked in is the one that the routes give', () => {
  expect(readFileSync('openapi.json', 'utf8') === openapiText(), 'run `npm run openapi`').toBe(true)
})

test('a new job has every default filled in', async () => {
  await using world = await openTestWorld()
  const answer = await world.request('POST', '/v1/jobs', { body: backtest({ name: 'first' }) })
  expect(answer.status).toBe(201)
  const job = await json<JobView>(answer)
  expect(answer.headers.get('location')).toBe(`/v1/jobs/${job.id}`)
  expect(job).toMatchObject({
    kind: 'backtest',
    name: 'first',
    state: 'queued',
    progress: 0,
    priority: 'normal',
    attempts: [],
    warnings: [],
    result: null,
    resources: { device: 'auto', gpu: null, cpu: 2, memory_gib: 4, disk_gib: 20 },
    cost: { actual_usd: 0, final: false },
  })
})

test('what no offer can ever meet is accepted with a warning', async () => {
  await using world = await openTestWorld()
  const job = await submitted(world, { resources: { gpu: { models: ['RTX 4090'] } } })
  expect(job.warnings).toMatchObject([{ code: 'unsatisfiable' }])
  await world.pass()
  expect((await json<JobView>(world.request('GET', `/v1/jobs/${job.id}`))).state).toBe('queued')
})

test('an idempotency key answers with the same job, also when both requests come at once', async () => {
  await using world = await openTestWorld()
  const send = (body: unknown) =>
    world.request('POST', '/v1/jobs', { body, headers: { 'idempotency-key': 'one' } })
  const both = await Promise.all([send(backtest()), send(backtest())])
  expect(both.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 201])
  const [a, b] = await Promise.all(both.map((answer) => json<JobView>(answer)))
  expect(a?.id).toBe(b?.id)
  const replayed = await send(backtest())
  expect(replayed.headers.get('idempotent-replayed')).toBe('true')
  const other = await send(backtest({ name: 'other' }))
  expect(other.status).toBe(422)
  expect(await json(other)).toMatchObject({ code: 'idempotency_key_reused' })
  world.advance(24 * 3_600 + 1)
  expect((await send(backtest({ name: 'other' }))).status).toBe(201)
})

test('a full queue refuses with Retry-After and loses nothing', async () => {
  await using world = await openTestWorld()
  for (let n = 0; n < 50; n++) await submitted(world)
  const refused = await world.request('POST', '/v1/jobs', { body: backtest() })
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toBe('30')
  expect((await world.deps.db.selectFrom('jobs').select('id').execute()).length).toBe(50)
})

test('lists are newest first, by keyset, with filters', async () => {
  await using world = await openTestWorld()
  const ids: string[] = []
  for (let n = 0; n < 5; n++) {
    world.advance(1)
    ids.unshift((await submitted(world, { labels: { desk: n % 2 ? 'alpha' : 'beta' } })).id)
  }
  const first = await json<Page<JobView>>(world.request('GET', '/v1/jobs?limit=2'))
  expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
  const second = await json<Page<JobView>>(
    world.request('GET', `/v1/jobs?limit=3&cursor=${first.next_cursor}`),
  )
  expect(second.items.map(({ id }) => id)).toEqual(ids.slice(2))
  expect(second.next_cursor).toBeNull()
  const alpha = await json<Page<JobView>>(
    world.request('GET', '/v1/jobs?label=desk:alpha&state=queued&kind=backtest'),
  )
  expect(alpha.items.length).toBe(2)
  await world.settle(2)
  const placed = await json<Page<JobView>>(world.request('GET', '/v1/jobs?provider=model'))
  expect(placed.items.length).toBe(2)
})

test('a job that has not finished is not deleted; a finished one is gone for readers, not for its key', async () => {
  await using world = await openTestWorld()
  const answer = await world.request('POST', '/v1/jobs', {
    body: backtest(),
    headers: { 'idempotency-key': 'k' },
  })
  const { id } = await json<JobView>(answer)
  expect((await world.request('DELETE', `/v1/jobs/${id}`)).status).toBe(409)
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.pass()
  expect((await world.request('DELETE', `/v1/jobs/${id}`)).status).toBe(204)
  expect((await world.request('GET', `/v1/jobs/${id}`)).status).toBe(404)
  const again = await world.request('POST', '/v1/jobs', {
    body: backtest(),
    headers: { 'idempotency-key': 'k' },
  })
  expect(again.status).toBe(410)
})

test('a second project sees nothing of the first', async () => {
  await using world = await openTestWorld()
  const { job, attempt_id, post } = await launched(world)
  await post('logs', { number: 1, at: '2026-03-02T09:00:01Z', stream: 'stdout', text: 'secret alpha\n' })
  const other = await world.secondProject()
  for (const path of ['', '/events', '/logs', '/attempts', '/result', '/artifacts', '/artifacts/result.json'])
    expect((await world.request('GET', `/v1/jobs/${job.id}${path}`, { key: other.key })).status).toBe(404)
  for (const path of ['stop', 'cancel'])
    expect((await world.request('POST', `/v1/jobs/${job.id}/${path}`, { key: other.key })).status).toBe(404)
  expect((await world.request('DELETE', `/v1/jobs/${job.id}`, { key: other.key })).status).toBe(404)
  expect(await json(world.request('GET', '/v1/jobs', { key: other.key }))).toEqual({
    items: [],
    next_cursor: null,
  })
  expect((await world.request('GET', `/v1/attempts/${attempt_id}/spec`, { key: other.key })).status).toBe(401)
  expect((await world.request('GET', `/v1/attempts/${attempt_id}/spec`)).status).toBe(401)
})

test('every table has project_id, but for what belongs to the installation or to people', async () => {
  await using world = await openTestWorld()
  const tables = await world.deps.db.introspection.getTables()
  const without = tables
    .filter(({ columns }) => !columns.some(({ name }) => name === 'project_id'))
    .map(({ name }) => name)
  expect(without.toSorted()).toEqual([
    'capacity_memory',
    'credentials',
    'gateways',
    'installation',
    'jwks',
    'limits',
    'login_guards',
    'offer_history',
    'offer_sources',
    'offers',
    'orphans',
    'projects',
    'provider_accounts',
    'provider_calls',
    'provider_health',
    'rate_shares',
    'replicas',
    'sessions',
    'users',
    'verifications',
  ])
})

test('a log is read in pages, as text and as a stream that resumes; a repeated chunk is stored once', async () => {
  await using world = await openTestWorld()
  const { job, post, key, attempt_id } = await launched(world)
  const chunk = (number: number, text: string) => ({
    number,
    at: '2026-03-02T09:00:01Z',
    stream: 'stdout',
    text,
  })
  for (const [number, text] of [
    [1, 'one\n'],
    [2, 'two\0\n'],
    [2, 'again\n'],
    [3, 'three\n'],
  ] as const)
    expect((await post('logs', chunk(number, text))).status).toBe(200)
  const path = `/v1/jobs/${job.id}/logs`
  const page = await json<Page<{ text: string }>>(world.request('GET', `${path}?limit=2`))
  expect(page.items.map(({ text }) => text)).toEqual(['one\n', 'two\uFFFD\n'])
  expect(page.next_cursor).toBe('0.1:2')
  const rest = await json<Page<{ text: string }>>(world.request('GET', `${path}?cursor=${page.next_cursor}`))
  expect(rest.items.map(({ text }) => text)).toEqual(['three\n'])
  expect(await (await world.request('GET', `${path}?format=text`)).text()).toBe('one\ntwo\uFFFD\nthree\n')
  await world.request('POST', `/v1/attempts/${attempt_id}/report`, {
    key,
    body: { type: 'finished', exit_code: 0, failure: null, result: {} },
  })
  await world.pass()
  const headers = { accept: 'text/event-stream', 'last-event-id': '0.1:1' }
  const stream = await (await world.request('GET', path, { headers })).text()
  expect(stream).toContain('id: 0.1:3')
  expect(stream).not.toContain('one')
  expect(stream.trimEnd().endsWith('event: end\ndata: {}')).toBe(true)
})

test('events stream from where the reader was', async () => {
  await using world = await openTestWorld()
  const { id } = await submitted(world)
  await world.request('POST', `/v1/jobs/${id}/cancel`)
  await world.pass()
  const headers = { accept: 'text/event-stream', 'last-event-id': '1' }
  const stream = await (await world.request('GET', `/v1/jobs/${id}/events`, { headers })).text()
  expect(stream).toContain('event: job.cancelled')
  expect(stream).not.toContain('job.queued')
})

test('a stream that fails ends, and its error is logged once, without what was asked for', async () => {
  await using world = await openTestWorld()
  const { id } = await submitted(world)
  const printed = vi.spyOn(console, 'error')
  await sql`alter table events rename to away`.execute(world.deps.db)
  const headers = { accept: 'text/event-stream' }
  const answer = await world.request('GET', `/v1/jobs/${id}/events`, { headers })
  expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
  expect(await answer.text()).toBe(': here\n\n')
  await sql`alter table away rename to events`.execute(world.deps.db)
  const failed = { level: 'error', message: 'a request failed', fields: { path: `/v1/jobs/${id}/events` } }
  expect(world.logged.filter(({ level }) => level === 'error')).toMatchObject([failed])
  expect(printed.mock.calls).toEqual([])
  printed.mockRestore()
})

test('a client that goes away in the middle of a body is no failure of the database', async () => {
  await using world = await openTestWorld()
  const { key, attempt_id } = await launched(world)
  const send = (method: string, path: string, headers: Record<string, string>) => {
    const pieces = ['e30K'].values()
    const body = new ReadableStream<Uint8Array>({
      pull(stream) {
        const { value } = pieces.next()
        if (value !== undefined) stream.enqueue(new TextEncoder().encode(value))
        // As Node says it of the connection of a request.
        else stream.error(Object.assign(new Error('aborted'), { code: 'ECONNRESET' }))
      },
    })
    const half = { duplex: 'half' } as RequestInit
    return world.app.request(path, { method, body, headers, ...half })
  }
  const asJson = (more: object) => ({
    authorization: `Bearer ${world.key}`,
    'content-type': 'application/json',
    ...more,
  })
  const upload = { authorization: `Bearer ${key}` }
  const answers = await Promise.all([
    send('POST', '/v1/jobs', asJson({ 'content-length': '100' })),
    send('POST', '/v1/jobs', asJson({})),
    send('PUT', `/v1/attempts/${attempt_id}/artifacts/a.html`, upload),
    send('POST', `/v1/attempts/${attempt_id}/artifacts/a.html`, upload),
  ])
  for (const answer of answers)
    expect([answer.status, await answer.json()]).toMatchObject([400, { code: 'malformed_request' }])
  expect(world.logged).toEqual([])
})

test('artifacts come back as they were sent, and no name leaves the folder', async () => {
  await using world = await openTestWorld()
  const { job, key, attempt_id, post } = await launched(world)
  const { targets } = await json<{ targets: { name: string; url: string }[] }>(
    post('urls', { names: ['plots/a.html'] }),
  )
  expect(targets).toMatchObject([{ name: 'plots/a.html', method: 'PUT' }])
  const put = (url: string, body: string) =>
    world.app.request(url, { method: 'PUT', body, headers: { authorization: `Bearer ${key}` } })
  expect(await json(put(targets[0]?.url ?? '', '<p>hi'))).toMatchObject({ bytes: 5 })
  const list = await json<Page<{ name: string; url: string; sha256: string }>>(
    world.request('GET', `/v1/jobs/${job.id}/artifacts`),
  )
  expect(list.items).toMatchObject([
    { name: 'plots/a.html', content_type: 'text/html; charset=utf-8', bytes: 5 },
  ])
  const read = await world.request('GET', new URL(list.items[0]?.url ?? '').pathname)
  expect(await read.text()).toBe('<p>hi')
  expect(read.headers.get('content-security-policy')).toContain('sandbox')
  for (const name of ['..', '../x', 'a/../b', '/etc/passwd', '.hidden', 'a//b', 'a\\b', 'x'.repeat(256)]) {
    const answer = await put(`/v1/attempts/${attempt_id}/artifacts/${encodeURIComponent(name)}`, 'x')
    expect([name, answer.status >= 400 && answer.status < 500]).toEqual([name, true])
  }
  expect((await post('urls', { names: ['../x'] })).status).toBe(422)
})

test('an order needs no body, with or without a content type', async () => {
  await using world = await openTestWorld()
  for (const headers of [{}, { 'content-type': 'application/json' }]) {
    const { id } = await submitted(world)
    const answer = await world.request('POST', `/v1/jobs/${id}/cancel`, { body: '', headers })
    expect(answer.status).toBe(202)
  }
})

test('wait_s answers when the job has ended', async () => {
  await using world = await openTestWorld()
  const { job, post } = await launched(world)
  await post('report', { type: 'finished', exit_code: 0, failure: null, result: { ok: true } })
  await world.pass()
  const done = await json<JobView>(world.request('GET', `/v1/jobs/${job.id}?wait_s=60`))
  expect(done.state).toBe('succeeded')
  expect(await json(world.request('GET', `/v1/jobs/${job.id}/result`))).toEqual({ ok: true })
  const attempts = await json<Page<{ number: number }>>(world.request('GET', `/v1/jobs/${job.id}/attempts`))
  expect(attempts.items).toMatchObject([{ number: 1 }])
})

test('health, readiness, the document and the reference page need no key', async () => {
  await using world = await openTestWorld()
  for (const path of ['/healthz', '/readyz', '/openapi.json', '/reference'])
    expect([path, (await world.request('GET', path, { key: null })).status]).toEqual([path, 200])
})

test('a viewer reads and changes nothing; only an admin reads the webhook secret', async () => {
  await using world = await openTestWorld()
  const { id } = await submitted(world)
  await world.deps.db.updateTable('api_keys').set({ role: 'viewer' }).execute()
  expect((await world.request('GET', `/v1/jobs/${id}`)).status).toBe(200)
  expect((await world.request('POST', `/v1/jobs/${id}/cancel`)).status).toBe(403)
  expect((await world.request('GET', '/v1/webhooks/secret')).status).toBe(403)
})

test('a key that asks too often is told when to ask again', async () => {
  await using world = await openTestWorld()
  const app = createApp({ ...world.deps, rates: createRates(world.deps.clock, 2, 'rep_one') })
  const ask = () => app.request('/v1/jobs', { headers: { authorization: `Bearer ${world.key}` } })
  expect([(await ask()).status, (await ask()).status]).toEqual([200, 200])
  const refused = await ask()
  expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1'])
  world.advance(0.5)
  expect((await ask()).status).toBe(200)
})
