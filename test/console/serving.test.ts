import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { withConsole } from '../../infra/console.ts'
import { openTestWorld } from '../support/world.ts'

/** A console as Vite builds it. */
function built(): string {
  const folder = mkdtempSync(join(tmpdir(), 'berth-console-'))
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Berth</title>')
  writeFileSync(join(folder, 'assets', 'main-1a2b.js'), 'export const one = 1\n'.repeat(200))
  return folder
}

const page = { headers: { accept: 'text/html,*/*' } }
const request = (path: string, init?: RequestInit) => new Request(`http://berth.test${path}`, init)

test('browsers get the console at every address that is not the API’s, asked for each time', async () => {
  await using world = await openTestWorld()
  const fetch = await withConsole(world.app.fetch, { public_url: null }, built())
  for (const path of ['/', '/jobs/job_x?tab=log', '/reset-password']) {
    const answer = await fetch(request(path, page))
    expect([answer.status, await answer.text()]).toEqual([200, '<!doctype html><title>Berth</title>'])
    expect(answer.headers.get('cache-control')).toBe('no-cache')
    expect(answer.headers.get('content-security-policy')).toMatch(
      /script-src 'self';.*frame-ancestors 'none'/,
    )
  }
})

test('what the API does not know is a problem, for browsers too', async () => {
  await using world = await openTestWorld()
  const fetch = await withConsole(world.app.fetch, { public_url: null }, built())
  for (const asked of [
    request('/v1/nothing', page),
    request('/nothing'),
    request('/jobs', { ...page, method: 'POST' }),
  ]) {
    const answer = await fetch(asked)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([404, 'application/problem+json'])
  }
})

test('assets are packed, kept for ever, and not sent again', async () => {
  await using world = await openTestWorld()
  const fetch = await withConsole(world.app.fetch, { public_url: null }, built())
  const answer = await fetch(request('/assets/main-1a2b.js', { headers: { 'accept-encoding': 'gzip' } }))
  expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  expect(answer.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(gunzipSync(Buffer.from(await answer.arrayBuffer())).toString()).toContain('export const one')
  const etag = answer.headers.get('etag') ?? ''
  const again = await fetch(request('/assets/main-1a2b.js', { headers: { 'if-none-match': etag } }))
  expect([again.status, await again.text()]).toEqual([304, ''])
  const head = await fetch(request('/assets/main-1a2b.js', { method: 'HEAD' }))
  expect([head.status, await head.text(), head.headers.get('content-length')]).toEqual([200, '', '4200'])
})

test('no name leads out of the folder', async () => {
  await using world = await openTestWorld()
  const fetch = await withConsole(world.app.fetch, { public_url: null }, built())
  for (const path of ['/assets/../../etc/passwd', '/%2e%2e/%2e%2e/etc/passwd', '/assets/'])
    expect((await fetch(request(path))).status).toBe(404)
})

test('a server without a build says how to make one', async () => {
  await using world = await openTestWorld()
  const fetch = await withConsole(world.app.fetch, { public_url: null }, join(tmpdir(), 'nothing-is-here'))
  const answer = await fetch(request('/', page))
  expect([answer.status, await answer.text()]).toEqual([
    503,
    expect.stringContaining('npm run build:console'),
  ])
})
