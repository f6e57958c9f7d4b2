import { expect, test } from 'vitest'
import { createLazyApp } from '../../functions/_lazy-app.ts'
import { openapiText } from '../../infra/write-openapi.ts'
import { openTestWorld } from '../support/world.ts'

const document = JSON.parse(openapiText()) as { paths: Record<string, Record<string, object>> }

/** Every operation without a credential, and what is none: another method, an address that is not there, pages, one that is encoded. */
const asked: [string, string][] = [
  ...Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [
      method.toUpperCase(),
      path.replaceAll(/\{(\w+)\}/g, 'some-$1'),
    ]),
  ),
  ...['/v1/jobs', '/v1/attempts', '/v1/attempts/some/report', '/v1/keys', '/readyz', '/openapi.json'].map(
    (path): [string, string] => ['PATCH', path],
  ),
  ...[
    '/',
    '/v1',
    '/v1/',
    '/v1/jobs/',
    '/v1/jobsome',
    '/v1/nowhere',
    '/nowhere',
    '/v1/%6Aobs',
    '//v1/jobs',
  ].map((path): [string, string] => ['GET', path]),
  ...['/openapi.json', '/reference'].map((path): [string, string] => ['GET', path]),
  ['OPTIONS', '/v1/jobs'],
  ['HEAD', '/healthz'],
]

test('an app that loads its parts when they are asked answers as the whole one', async () => {
  await using world = await openTestWorld()
  const lazy = createLazyApp(world.deps)
  const answerOf = async (app: Pick<typeof lazy, 'fetch'>, method: string, path: string) => {
    const answer = await app.fetch(new Request(`http://berth.test${path}`, { method }))
    const { 'x-request-id': id = '', ...headers } = Object.fromEntries(answer.headers)
    return { status: answer.status, headers, body: (await answer.text()).replaceAll(id, '') }
  }
  expect(asked.length).toBeGreaterThan(120)
  for (const [method, path] of asked) {
    const whole = { fetch: async (request: Request) => world.app.fetch(request) }
    expect([method, path, await answerOf(lazy, method, path)]).toEqual([
      method,
      path,
      await answerOf(whole, method, path),
    ])
  }
})

test('requests under way are counted whichever part answers', async () => {
  await using world = await openTestWorld()
  const lazy = createLazyApp(world.deps)
  const ask = (path: string) =>
    lazy.fetch(new Request(`http://berth.test${path}`, { headers: { authorization: `Bearer ${world.key}` } }))
  // None of them ends while this runs: the bound of functions/_shed.ts is reached by one part and holds for the other.
  const under = Array.from({ length: 4_096 }, () => ask('/v1/jobs/job_none/events'))
  const refused = await ask('/v1/keys')
  expect([refused.status, (await ask('/readyz')).status]).toEqual([503, 200])
  await Promise.all(under)
})
