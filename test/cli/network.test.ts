// The client against a network that loses, cuts, damages and misleads.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { backtest } from '../support/world.ts'
import { openServed, startRunner, until } from './served.ts'

const job = JSON.stringify(backtest())

test('a lost answer to a submit does not make a second job', async () => {
  await using served = await openServed()
  let lost = 2
  served.fault(async ({ request, answer, cut }) => {
    if (request.method !== 'POST' || lost-- <= 0) return null
    const given = await answer()
    cut()
    return given
  })
  const { code, stdout } = await served.cli(['submit', '-'], { stdin: job })
  expect(code).toBe(0)
  expect(served.seen.length).toBe(3)
  expect(new Set(served.seen.map(({ headers }) => headers.get('idempotency-key'))).size).toBe(1)
  const jobs = await served.world.deps.db.selectFrom('jobs').select('id').execute()
  expect(jobs.map(({ id }) => `${id}\n`)).toEqual([stdout])
})

test('two runs make two jobs, two with one key make one', async () => {
  await using served = await openServed()
  const submit = async (...more: string[]) =>
    (await served.cli(['submit', '-', ...more], { stdin: job })).stdout
  expect(await submit()).not.toBe(await submit())
  expect(await submit('--idempotency-key', 'k')).toBe(await submit('--idempotency-key', 'k'))
})

test('a submit whose answer stays away tells the key to go on with', async () => {
  await using served = await openServed()
  served.fault(({ cut }) => {
    cut()
    return new Response()
  })
  const { code, stderr } = await served.cli(['submit', '-', '--idempotency-key', 'mine'], { stdin: job })
  expect(code).toBe(5)
  expect(stderr).toContain('--idempotency-key mine')
})

test('a gateway’s error page is got over', async () => {
  await using served = await openServed()
  let pages = 2
  served.fault(() => (pages-- > 0 ? new Response('<html>Bad gateway', { status: 502 }) : null))
  expect((await served.cli(['list'])).code).toBe(0)
})

test('a redirect is not followed with the key', async () => {
  await using served = await openServed()
  served.fault(() => new Response(null, { status: 301, headers: { location: 'http://127.0.0.1:9/x' } }))
  const { code, stderr } = await served.cli(['submit', '-'], { stdin: job })
  expect({ code, requests: served.seen.length }).toEqual({ code: 2, requests: 1 })
  expect(stderr).toContain('set BERTH_URL')
})

test('a file is fetched from the object store that the server names, without the key', async () => {
  await using served = await openServed()
  const content = Buffer.from('0,1\n')
  const asked: IncomingHttpHeaders[] = []
  const store = createServer((request, response) => {
    asked.push(request.headers)
    response.end(content)
  }).listen(0, '127.0.0.1')
  await once(store, 'listening')
  const away = `http://127.0.0.1:${(store.address() as AddressInfo).port}/signed`
  const item = {
    name: 'deep/a.csv',
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    content_type: 'text/csv',
    url: '',
  }
  served.fault(({ request }) =>
    request.url.endsWith('/artifacts')
      ? Response.json({ items: [item], next_cursor: null })
      : new Response(null, { status: 307, headers: { location: away } }),
  )
  const { code, stdout } = await served.cli(['artifacts', 'job_x', '--download', 'files'])
  store.close()
  expect([code, readFileSync(stdout.trim(), 'utf8')]).toEqual([0, '0,1\n'])
  expect(asked.map(({ authorization }) => authorization)).toEqual([undefined])
})

test('following survives connections that break anywhere: every line once, in order', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  let streams = 0
  served.fault(async ({ request, answer, cut }) => {
    if (!request.url.includes('/logs')) return null
    streams++
    const given = await answer()
    const body = given.body?.getReader()
    // Lets some bytes through and cuts, the more the later: also in the middle of a line.
    let left = streams * 90
    return new Response(
      new ReadableStream({
        async pull(controller) {
          const { done, value } = (await body?.read()) ?? { done: true, value: undefined }
          if (done || value === undefined) return controller.close()
          controller.enqueue(value.subarray(0, left))
          left -= value.byteLength
          if (left <= 0) setTimeout(cut, 5)
        },
      }),
      { headers: given.headers },
    )
  })
  const following = served.cli(['logs', id, '-f'])
  const lines: string[] = []
  for (let n = 0; n < 8; n++) {
    lines.push(`line ${n} of the program\n`)
    await runner.log(lines[n] ?? '')
  }
  await runner.finish(0)
  const { code, stdout } = await following
  expect({ code, stdout }).toEqual({ code: 0, stdout: lines.join('') })
  expect(streams).toBeGreaterThan(3)
})

test('a server that restarts is waited for', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  let away = true
  let refused = 0
  served.fault(({ cut }) => {
    if (!away) return null
    refused++
    cut()
    return new Response()
  })
  const waiting = served.cli(['wait', id, '--follow'])
  await until(() => refused >= 10, 'ten attempts')
  away = false
  await runner.log('it went on\n')
  await runner.finish(0)
  const { code, stdout, stderr } = await waiting
  expect(code).toBe(0)
  expect(stdout).toContain('it went on\n')
  expect(stderr).toContain('trying again')
})

test('a download that breaks off is begun again; a damaged one is refused and leaves nothing', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  const content = 'price\n'.repeat(20_000)
  await runner.put('prices.csv', content)
  await runner.finish(0)
  let cuts = 2
  let damaged = false
  served.fault(async ({ request, answer, cut }) => {
    if (!request.url.endsWith('/artifacts/prices.csv')) return null
    if (damaged) return new Response(content.replace('price', 'prICE'))
    if (cuts-- <= 0) return null
    const bytes = Buffer.from(await (await answer()).arrayBuffer())
    setTimeout(cut, 50)
    return new Response(
      new ReadableStream({ start: (controller) => controller.enqueue(bytes.subarray(0, 50_000)) }),
    )
  })
  expect((await served.cli(['artifacts', id, '--download', 'a'])).code).toBe(0)
  expect(readFileSync(join(served.folder, 'a', 'prices.csv'), 'utf8')).toBe(content)
  damaged = true
  const { code, stderr } = await served.cli(['artifacts', id, '--download', 'b'])
  expect({ code, stderr }).toMatchObject({ code: 7, stderr: expect.stringContaining('arrived damaged') })
  expect(readdirSync(join(served.folder, 'b'))).toEqual([])
})

test('a file name from a hostile server does not leave the folder', async () => {
  await using served = await openServed()
  const artifact = { bytes: 1, sha256: 'x', content_type: 'text/plain', url: '' }
  for (const name of ['../outside', '/tmp/outside', 'a/../../outside', '.bashrc', 'a\\b']) {
    served.fault(() => Response.json({ items: [{ ...artifact, name }], next_cursor: null }))
    const { code } = await served.cli(['artifacts', 'job_x', '--download', 'inside'])
    expect([name, code]).toEqual([name, 2])
  }
  expect(existsSync(join(served.folder, 'outside'))).toBe(false)
})
