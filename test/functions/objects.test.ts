// Stored bytes over HTTP: whole, in ranges, and by the address of a store that has them.
import { expect, test } from 'vitest'
import { StoreFailed } from '../../jobs/deps.ts'
import { backtest, openTestWorld } from '../support/world.ts'

const content = '0123456789'

/** A job with two files. */
async function openFiles() {
  const world = await openTestWorld()
  const { id } = (await (await world.request('POST', '/v1/jobs', { body: backtest() })).json()) as {
    id: string
  }
  await world.pass()
  const [[attempt, machine] = ['', undefined]] = [...world.model.machines]
  const key = machine?.token ?? ''
  const report = { type: 'started', instance: 'one' }
  await world.request('POST', `/v1/attempts/${attempt}/report`, { key, body: report })
  for (const name of ['deep/a.csv', 'page.html']) {
    const put = await world.request('PUT', `/v1/attempts/${attempt}/artifacts/${encodeURIComponent(name)}`, {
      key,
      body: content,
      headers: { 'content-type': 'application/octet-stream' },
    })
    expect(put.status).toBe(200)
  }
  const read = (headers: Record<string, string> = {}, method = 'GET', name = 'deep/a.csv') =>
    world.request(method, `/v1/jobs/${id}/artifacts/${encodeURIComponent(name)}`, { headers })
  return { world, read, [Symbol.asyncDispose]: () => world[Symbol.asyncDispose]() }
}

test.each([
  ['bytes=0-', 206, content, 'bytes 0-9/10'],
  ['bytes=3-', 206, '3456789', 'bytes 3-9/10'],
  ['bytes=3-5', 206, '345', 'bytes 3-5/10'],
  ['bytes=3-99', 206, '3456789', 'bytes 3-9/10'],
  ['bytes=-4', 206, '6789', 'bytes 6-9/10'],
  ['bytes=-99', 206, content, 'bytes 0-9/10'],
  ['bytes=10-', 416, '', 'bytes */10'],
  ['bytes=-0', 416, '', 'bytes */10'],
  // What is no single range of bytes is not heeded (RFC 9110, 14.2).
  ['bytes=5-3', 200, content, null],
  ['bytes=0-1,3-4', 200, content, null],
  ['bytes=-', 200, content, null],
  ['rows=1-2', 200, content, null],
])('%s of an artifact', async (range, status, body, content_range) => {
  await using files = await openFiles()
  const answer = await files.read({ range })
  expect([answer.status, await answer.text(), answer.headers.get('content-range')]).toEqual([
    status,
    body,
    content_range,
  ])
  expect(answer.headers.get('content-length') ?? '0').toBe(String(body.length))
})

test('a range of an artifact that has changed is the whole', async () => {
  await using files = await openFiles()
  const etag = (await files.read()).headers.get('etag') ?? ''
  expect((await files.read({ range: 'bytes=3-', 'if-range': etag })).status).toBe(206)
  expect((await files.read({ range: 'bytes=3-', 'if-range': '"other"' })).status).toBe(200)
})

test('a store that has an address for an object is where readers are sent, but for pages', async () => {
  await using files = await openFiles()
  const { store } = files.world.deps
  const linked: unknown[] = []
  store.link = (key, as) => {
    linked.push([key.split('/').length, as])
    return Promise.resolve(`https://store.example.com/${as.name}?signed`)
  }
  const sent = await files.read({ range: 'bytes=3-' })
  expect([sent.status, await sent.text()]).toEqual([307, ''])
  expect(sent.headers.get('location')).toBe('https://store.example.com/a.csv?signed')
  expect(sent.headers.get('cache-control')).toBe('no-store')
  expect(linked).toEqual([[3, { name: 'a.csv', content_type: 'text/csv; charset=utf-8' }]])
  // An address is for GET alone.
  const head = await files.read({}, 'HEAD')
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '10'])
  const page = await files.read({}, 'GET', 'page.html')
  expect([page.status, await page.text()]).toEqual([200, content])
  expect(page.headers.get('content-security-policy')).toContain('sandbox')
  expect((await files.read({}, 'GET', 'none.csv')).status).toBe(404)
})

test('a store that fails is told as something that passes, and to nobody why', async () => {
  await using files = await openFiles()
  files.world.deps.store.get = () => Promise.reject(new StoreFailed('the object store failed: ECONNREFUSED'))
  const answer = await files.read()
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5'])
  expect(await answer.json()).toMatchObject({
    code: 'busy',
    detail: expect.not.stringContaining('ECONN') as string,
  })
  expect(files.world.logged.at(-1)).toMatchObject({ level: 'error' })
})
