// People: register, log in, and what ends a session.
import { expect, test, vi } from 'vitest'
import type { Mail } from '../../jobs/identity.ts'
import { another, password, person } from '../support/people.ts'
import { openTestWorld, type World } from '../support/world.ts'

interface Session {
  session_id: string
  access_token: string
  refresh_token: string
  user: { id: string; email: string }
}

const post = (world: World, path: string, body: unknown, more: object = {}) =>
  world.request('POST', path, { key: null, body, ...more })
const login = (world: World, email: string, more: object = {}) =>
  post(world, '/v1/auth/login', { email, password, ...more })
const asProgram = async (world: World, email: string) =>
  (await (await login(world, email, { as: 'token' })).json()) as Session
/** The cookie that an answer sets, as a browser sends it. */
const cookieOf = (answer: Response) => (answer.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
const tokenIn = (mail: Mail | undefined) => /#token=(\S+)/.exec(mail?.text ?? '')?.[1] ?? ''
const settle = () => new Promise((done) => setImmediate(done))

test('registration is closed but to operators, and the first person owns the operator’s project', async () => {
  await using world = await openTestWorld()
  const first = { email: 'Ada@Example.com', name: 'Ada', password }
  expect((await post(world, '/v1/auth/register', first)).status).toBe(403)
  const { key } = await world.secondProject()
  expect((await post(world, '/v1/auth/register', first, { key })).status).toBe(403)
  const made = await post(world, '/v1/auth/register', first, { key: world.key })
  expect([made.status, await made.json()]).toEqual([201, { email: 'ada@example.com', must_verify: false }])
  await post(world, '/v1/auth/register', { ...first, email: 'bob@example.com' }, { key: world.key })
  const again = await post(world, '/v1/auth/register', first, { key: world.key })
  expect([again.status, await again.json()]).toMatchObject([409, { code: 'user_exists' }])
  const members = await world.request('GET', `/v1/projects/${world.project_id}/members`)
  expect(await members.json()).toMatchObject({
    items: [
      { email: 'ada@example.com', role: 'owner' },
      { email: 'bob@example.com', role: 'member' },
    ],
  })
})

test('a browser is given a strict cookie, which reaches the same API as a key', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'member' })
  const answer = await login(world, ada.email)
  const set = answer.headers.get('set-cookie') ?? ''
  expect(set).toMatch(/^berth=brs_[^;]+; Max-Age=1209600; Path=\/; HttpOnly; SameSite=Strict$/)
  expect(await answer.json()).toMatchObject({ access_token: null, refresh_token: null })
  world.deps.settings.public_url = () => 'https://berth.example.com'
  const secure = (await login(world, ada.email)).headers.get('set-cookie') ?? ''
  expect(secure).toMatch(
    /^__Host-berth=brs_[^;]+; Max-Age=1209600; Path=\/; HttpOnly; Secure; SameSite=Strict$/,
  )
  const headers = { cookie: cookieOf(await login(world, ada.email)) }
  expect((await world.request('GET', '/v1/jobs', { key: null, headers })).status).toBe(200)
  const me = await world.request('GET', '/v1/me', { key: null, headers })
  expect(await me.json()).toMatchObject({
    by: 'user',
    id: ada.id,
    email: ada.email,
    role: 'member',
    project: { id: world.project_id, name: 'default' },
    is_operator: true,
    may: expect.arrayContaining(['createJob', 'logOut']) as string[],
  })
  const keys = await world.request('GET', '/v1/keys', { key: null, headers })
  expect([keys.status, await keys.json()]).toMatchObject([
    403,
    { detail: 'This needs the role admin; in this project you are member.' },
  ])
})

test('a cookie changes something only from the pages of this server', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'member' })
  const cookie = cookieOf(await login(world, ada.email))
  const said = async (headers: Record<string, string>) => {
    const path = '/v1/jobs/cancel'
    const answer = await world.request('POST', path, {
      key: null,
      headers: { cookie, host: 'berth.test', ...headers },
      body: { state: 'queued' },
    })
    return answer.status
  }
  const own = { origin: 'http://berth.test' }
  expect(await said({})).toBe(403)
  expect(await said({ origin: 'https://evil.example' })).toBe(403)
  expect(await said({ origin: 'null' })).toBe(403)
  expect(await said({ ...own, 'sec-fetch-site': 'cross-site' })).toBe(403)
  expect(await said({ ...own, 'sec-fetch-site': 'same-site' })).toBe(403)
  expect(await said(own)).toBe(202)
  expect(await said({ 'sec-fetch-site': 'same-origin' })).toBe(202)
  // A bearer token is sent by no browser by itself.
  const bearer = { key: ada.secret, body: { state: 'queued' } }
  expect((await world.request('POST', '/v1/jobs/cancel', bearer)).status).toBe(202)
  const elsewhere = { headers: { origin: 'https://evil.example' } }
  const body = { email: ada.email, password }
  expect((await post(world, '/v1/auth/login', body, elsewhere)).status).toBe(403)
})

test('a token ends with its session, and is checked with the published keys', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'viewer' })
  const { access_token, refresh_token } = await asProgram(world, ada.email)
  const works = async (key: string) => (await world.request('GET', '/v1/jobs', { key })).status
  expect(await works(access_token)).toBe(200)
  const next = await world.request('POST', '/v1/auth/token', { key: refresh_token })
  const { access_token: second, expires_in } = (await next.json()) as {
    access_token: string
    expires_in: number
  }
  expect([await works(second), expires_in]).toEqual([200, 900])
  const { keys } = (await (await world.request('GET', '/v1/auth/jwks', { key: null })).json()) as {
    keys: { kid: string; alg: string; x: string; d?: string }[]
  }
  const header = JSON.parse(Buffer.from(access_token.split('.')[0] ?? '', 'base64url').toString()) as object
  expect(header).toMatchObject({ alg: 'EdDSA', kid: keys[0]?.kid })
  expect(keys.map(({ d }) => d)).toEqual([undefined])
  const forged = `${access_token.split('.').slice(0, 2).join('.')}.${'A'.repeat(86)}`
  expect(await works(forged)).toBe(401)
  expect((await world.request('POST', '/v1/auth/logout', { key: access_token })).status).toBe(204)
  expect([await works(access_token), await works(second), await works(refresh_token)]).toEqual([
    401, 401, 401,
  ])
})

test('a token is good for a quarter of an hour, and a session for two weeks', async () => {
  vi.useFakeTimers({ toFake: ['Date'] })
  try {
    await using world = await openTestWorld()
    vi.setSystemTime(world.deps.clock.now())
    const ada = await person(world, 'ada', { project_id: world.project_id, role: 'viewer' })
    const { access_token, refresh_token } = await asProgram(world, ada.email)
    const pass = (seconds: number) => {
      world.advance(seconds)
      vi.setSystemTime(world.deps.clock.now())
    }
    const works = async (key: string) => (await world.request('GET', '/v1/jobs', { key })).status
    pass(899)
    expect(await works(access_token)).toBe(200)
    pass(2)
    expect([await works(access_token), await works(refresh_token)]).toEqual([401, 200])
    pass(14 * 86_400)
    expect(await works(refresh_token)).toBe(401)
  } finally {
    vi.useRealTimers()
  }
})

test('who guesses is shut out for a quarter of an hour, on all servers, and the right password ends that', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'viewer' })
  const wrong = () => post(world, '/v1/auth/login', { email: ada.email, password: 'not this one' })
  const unknown = await post(world, '/v1/auth/login', { email: 'nobody@example.com', password })
  const first = await wrong()
  const told = async (answer: Response) => ({
    ...((await answer.json()) as object),
    request_id: null,
  })
  expect(await told(unknown)).toEqual(await told(first))
  for (let n = 0; n < 8; n++) expect((await wrong()).status).toBe(401)
  expect((await login(world, ada.email)).status).toBe(200)
  for (let n = 0; n < 10; n++) expect((await wrong()).status).toBe(401)
  const refused = await login(world, ada.email)
  expect([refused.status, Number(refused.headers.get('retry-after'))]).toEqual([429, 900])
  world.advance(901)
  expect((await login(world, ada.email)).status).toBe(200)
})

test('a password is changed by who knows it, and the other sessions end', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', null)
  const other = await another(world, ada.email)
  const change = (body: object) => world.request('POST', '/v1/auth/password', { key: ada.secret, body })
  const wrong = await change({ current: 'not this one', password: 'a new passphrase' })
  expect(await wrong.json()).toMatchObject({ errors: [{ path: 'current' }] })
  const short = await change({ current: password, password: 'short' })
  expect(await short.json()).toMatchObject({ code: 'invalid_request', errors: [{ path: 'password' }] })
  expect((await change({ current: password, password: 'a new passphrase' })).status).toBe(204)
  const works = async (key: string) => (await world.request('GET', '/v1/auth/sessions', { key })).status
  expect([await works(ada.secret), await works(other.secret)]).toEqual([200, 401])
  expect((await login(world, ada.email)).status).toBe(401)
})

test('sessions are listed, and ended one by one or all but this one', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', null)
  const bob = await person(world, 'bob', null)
  const [second, third] = [await another(world, ada.email), await another(world, ada.email)]
  const list = async () => {
    const answer = await world.request('GET', '/v1/auth/sessions', { key: ada.secret })
    const { items } = (await answer.json()) as { items: { id: string; is_current: boolean }[] }
    return items
  }
  expect((await list()).map(({ is_current }) => is_current)).toEqual([false, false, true])
  const end = (id: string, key = ada.secret) => world.request('DELETE', `/v1/auth/sessions/${id}`, { key })
  expect((await end(bob.session_id)).status).toBe(404)
  expect((await end(second.session_id)).status).toBe(204)
  expect((await end(second.session_id)).status).toBe(404)
  const rest = await world.request('DELETE', '/v1/auth/sessions', { key: ada.secret })
  expect(await rest.json()).toEqual({ ended: 1 })
  expect((await list()).map(({ id }) => id)).toEqual([ada.session_id])
  expect((await end(third.session_id, bob.secret)).status).toBe(404)
})

test('where mails are sent, a stranger registers by a link and learns of nobody', async () => {
  const mails: Mail[] = []
  await using world = await openTestWorld(undefined, mails)
  world.deps.settings.registration = 'open'
  const body = { email: 'ada@example.com', name: 'Ada', password }
  const first = await post(world, '/v1/auth/register', body)
  expect((await login(world, body.email)).status).toBe(403)
  const second = await post(world, '/v1/auth/register', { ...body, password: 'of somebody else' })
  expect([first.status, await first.json()]).toEqual([second.status, await second.json()])
  await settle()
  expect(mails.map(({ subject }) => subject)).toEqual([
    'Verify your address for Berth',
    'You have an account at Berth',
  ])
  expect((await post(world, '/v1/auth/email/verify', { token: `${tokenIn(mails[0])}x` })).status).toBe(422)
  expect((await post(world, '/v1/auth/email/verify', { token: tokenIn(mails[0]) })).status).toBe(204)
  const { refresh_token } = await asProgram(world, body.email)
  const none = await world.request('GET', '/v1/jobs', { key: refresh_token })
  expect([none.status, await none.json()]).toMatchObject([
    403,
    { detail: 'You belong to no project yet: make one, or accept an invitation.' },
  ])
  const made = await world.request('POST', '/v1/projects', { key: refresh_token, body: { name: 'mine' } })
  expect([made.status, await made.json()]).toMatchObject([201, { name: 'mine', role: 'owner' }])
  expect((await world.request('GET', '/v1/jobs', { key: refresh_token })).status).toBe(200)
})

test('a forgotten password is replaced by a link that is good once, and all sessions end', async () => {
  const mails: Mail[] = []
  await using world = await openTestWorld(undefined, mails)
  const ada = await person(world, 'ada', null)
  const forgot = (email: string) => post(world, '/v1/auth/password/forgot', { email })
  expect([(await forgot(ada.email)).status, (await forgot('nobody@example.com')).status]).toEqual([202, 202])
  await settle()
  expect(mails.map(({ to }) => to)).toEqual([ada.email])
  const chosen = { token: tokenIn(mails[0]), password: 'a new passphrase' }
  const stored = JSON.stringify(await world.deps.db.selectFrom('verifications').selectAll().execute())
  expect(stored).not.toContain(chosen.token)
  expect((await post(world, '/v1/auth/password/reset', chosen)).status).toBe(204)
  expect((await post(world, '/v1/auth/password/reset', chosen)).status).toBe(422)
  expect((await world.request('GET', '/v1/auth/sessions', { key: ada.secret })).status).toBe(401)
  expect((await login(world, ada.email, { password: chosen.password })).status).toBe(200)
  for (let n = 0; n < 4; n++) await forgot(ada.email)
  expect((await forgot(ada.email)).status).toBe(429)
})

test('without a mail server nobody is told that a mail comes', async () => {
  await using world = await openTestWorld()
  const options = await world.request('GET', '/v1/auth/options', { key: null })
  expect(await options.json()).toEqual({ registration: 'closed', mails: false })
  const answer = await post(world, '/v1/auth/password/forgot', { email: 'ada@example.com' })
  expect([answer.status, await answer.json()]).toMatchObject([409, { code: 'no_mail' }])
})

test('what stands in the database opens no session', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'viewer' })
  const rows = await world.deps.db.selectFrom('sessions').selectAll().execute()
  expect(JSON.stringify(rows)).not.toContain(ada.secret)
  for (const key of [rows[0]?.token ?? '', `brs_${rows[0]?.token}.${'A'.repeat(43)}`])
    expect((await world.request('GET', '/v1/jobs', { key })).status).toBe(401)
})

test('people see and change what they say of themselves', async () => {
  await using world = await openTestWorld()
  const ada = await person(world, 'ada', { project_id: world.project_id, role: 'viewer' })
  const body = { name: 'Ada L.', organisation: 'Desk' }
  const changed = await world.request('PATCH', '/v1/auth/profile', { key: ada.secret, body })
  expect(await changed.json()).toMatchObject({ id: ada.id, ...body })
  const profile = await world.request('GET', '/v1/auth/profile', { key: ada.secret })
  expect(await profile.json()).toMatchObject({
    ...body,
    usage: [{ project_id: world.project_id, attempts: 0, usd: 0 }],
  })
  expect((await world.request('GET', '/v1/auth/profile')).status).toBe(403)
})
