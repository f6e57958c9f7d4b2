// What answers tell a browser, and whose pages may read them.
import { expect, test } from 'vitest'
import { createApp } from '../../functions/_app.ts'
import { openTestWorld } from '../support/world.ts'

const safe = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
}
const pick = (answer: Response, names: object) =>
  Object.fromEntries(Object.keys(names).map((name) => [name, answer.headers.get(name)]))

test('every answer is data to a browser, whatever it says', async () => {
  await using world = await openTestWorld()
  for (const [path, key] of [
    ['/v1/jobs', world.key],
    ['/v1/jobs', null],
    ['/nowhere', null],
    ['/healthz', null],
  ] as const)
    expect(pick(await world.request('GET', path, { key }), safe)).toEqual(safe)
  expect((await world.request('GET', '/v1/jobs')).headers.get('strict-transport-security')).toBe(null)
  world.deps.settings.public_url = () => 'https://berth.example.com'
  const secure = await world.request('GET', '/v1/jobs')
  expect(secure.headers.get('strict-transport-security')).toBe('max-age=31536000')
})

test('the reference page has no origin, so that its script is nobody here', async () => {
  await using world = await openTestWorld()
  const page = await world.request('GET', '/reference', { key: null })
  expect(page.headers.get('content-security-policy')).toMatch(/^sandbox allow-scripts(?!.*same-origin)/)
  const document = await world.request('GET', '/openapi.json', { key: null, headers: { origin: 'null' } })
  expect(document.headers.get('access-control-allow-origin')).toBe('*')
  expect((await world.request('GET', '/v1/jobs')).headers.get('access-control-allow-origin')).toBe(null)
})

test('pages of origins that are listed ask with a key, and no others', async () => {
  await using world = await openTestWorld()
  const origin = 'https://desk.example.com'
  world.deps.settings.cors_origins = [origin]
  const app = createApp(world.deps)
  const headers = { authorization: `Bearer ${world.key}`, origin }
  const listed = await app.request('/v1/jobs', { headers })
  expect(
    pick(listed, { 'access-control-allow-origin': 1, vary: 1, 'access-control-allow-credentials': 1 }),
  ).toEqual({
    'access-control-allow-origin': origin,
    vary: 'Origin',
    'access-control-allow-credentials': null,
  })
  const preflight = (of: string) =>
    app.request('/v1/jobs', {
      method: 'OPTIONS',
      headers: { origin: of, 'access-control-request-method': 'POST' },
    })
  const asked = await preflight(origin)
  expect([asked.status, asked.headers.get('access-control-allow-headers')]).toEqual([
    204,
    expect.stringContaining('Idempotency-Key') as string,
  ])
  for (const other of ['https://evil.example', 'null', `${origin}.evil.example`]) {
    expect((await preflight(other)).status).toBe(405)
    const answer = await app.request('/v1/jobs', { headers: { ...headers, origin: other } })
    expect(answer.headers.get('access-control-allow-origin')).toBe(null)
  }
  // A refusal is read by the page too.
  const refused = await app.request('/v1/jobs', { headers: { origin } })
  expect([refused.status, refused.headers.get('access-control-allow-origin')]).toEqual([401, origin])
})
