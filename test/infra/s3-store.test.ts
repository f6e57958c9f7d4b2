// What a bucket needs beside what every store does (object-store.test.ts): on a real S3-compatible server, over a line
// that is broken, changed and cut.
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CreateMultipartUploadCommand, UploadPartCommand } from '@aws-sdk/client-s3'
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import type { S3Settings } from '../../infra/s3-client.ts'
import { checkBucket, tidyUnfinished } from '../../infra/s3-start.ts'
import { createS3Store } from '../../infra/s3-store.ts'
import { StoreFailed } from '../../jobs/deps.ts'
import {
  clockMovedBy,
  type Line,
  noS3Server,
  openLine,
  type S3Server,
  startS3Server,
} from '../support/s3-server.ts'
import { newFolder } from './new-folder.ts'

let server: S3Server
beforeAll(async () => {
  if (noS3Server === null) server = await startS3Server()
})
afterAll(() => (noS3Server === null ? server[Symbol.asyncDispose]() : undefined))
beforeEach((context) => {
  if (noS3Server !== null) context.skip(noS3Server)
})

const bodyOf = (...parts: Uint8Array[]) => ReadableStream.from(parts) as ReadableStream<Uint8Array>
const text = async (body: ReadableStream | undefined) => new Response(body).text()
const hour_ms = 3_600_000

let prefixes = 0
function openBucket(more: Partial<S3Settings> = {}, now = () => new Date()) {
  const logged: { level: string; message: string; fields?: object | undefined }[] = []
  const log = (level: string, message: string, fields?: object) =>
    void logged.push({ level, message, fields })
  const settings = { ...server.settings, prefix: `s3-${prefixes++}`, ...more }
  const data_dir = newFolder()
  const { store, client, close } = createS3Store(settings, { data_dir, now, log })
  onTestFinished(close)
  const random = (bytes: number) => new Uint8Array(randomBytes(bytes))
  const start = { store, client, random, now, log }
  return { settings, store, client, start, logged, data_dir, left: () => server.left(settings.prefix) }
}

describe('a link', () => {
  const as = { name: 'a b".csv', content_type: 'text/csv; charset=utf-8' }

  test('gives the object to whoever has it, whole and in ranges, as a file to be saved', async () => {
    const { store } = openBucket()
    await store.put('key', bodyOf(Buffer.from('0123456789')), { max_bytes: 10 })
    const link = (await store.link('key', as)) ?? ''
    const whole = await fetch(link)
    expect([whole.status, await whole.text()]).toEqual([200, '0123456789'])
    expect(whole.headers.get('content-type')).toBe('text/csv; charset=utf-8')
    expect(whole.headers.get('content-disposition')).toBe('attachment; filename="a_b_.csv"')
    const part = await fetch(link, { headers: { range: 'bytes=2-4' } })
    expect([part.status, await part.text()]).toEqual([206, '234'])
    expect(link).not.toContain(server.settings.credentials?.secret)
  })

  test('ends after a quarter of an hour, and is for one object and one way of reading', async () => {
    const { store, settings } = openBucket()
    await store.put('key', bodyOf(Buffer.from('x')), { max_bytes: 1 })
    const linked = async (ms: number) =>
      (await openBucket({ prefix: settings.prefix }, clockMovedBy(-ms)).store.link('key', as)) ?? ''
    const status = async (url: string, init: RequestInit = {}) => {
      const answer = await fetch(url, init)
      await answer.text()
      return answer.status
    }
    expect(await status(await linked(14 * 60_000))).toBe(200)
    expect(await status(await linked(16 * 60_000))).toBe(403)
    const link = await linked(0)
    expect(await status(link.replace('/key?', '/other?'))).toBe(403)
    expect(await status(link, { method: 'DELETE' })).toBe(403)
    expect(await status(link.replace(/\?.*/, ''))).toBe(403)
    expect(await text((await store.get('key'))?.body)).toBe('x')
  })

  test('is not given where clients do not reach the store', async () => {
    expect(await openBucket({ redirect: false }).store.link('key', as)).toBeNull()
  })
})

describe('over a line', () => {
  async function openOver(more: Partial<S3Settings> = {}) {
    const line = await openLine(server.port)
    onTestFinished(() => line[Symbol.asyncDispose]())
    return { line, ...openBucket({ endpoint: line.endpoint, ...more }) }
  }
  /** Lets through so many bytes of one way, then does something once. */
  function after(line: Line, way: 'sent' | 'received', bytes: number, act: () => void) {
    let left = bytes
    line[way] = (chunk) => {
      left -= chunk.length
      if (left > 0) return chunk
      line[way] = (rest) => rest
      act()
      return null
    }
  }

  test.for([1_000, 9_000_000])('a body of %i bytes that is changed on its way is refused', async (bytes) => {
    const { line, store, left } = await openOver()
    const mark = Buffer.from('the mark in the middle')
    line.sent = (chunk) => {
      const at = chunk.indexOf(mark)
      if (at >= 0) chunk[at] = 0
      return chunk
    }
    const content = Buffer.concat([Buffer.alloc(bytes / 2), mark, Buffer.alloc(bytes / 2)])
    await expect(store.put('key', bodyOf(content), { max_bytes: bytes + 100 })).rejects.toThrow(
      /^the object store failed: (PutObject|UploadPart): (BadDigest|XAmzContentSHA256Mismatch|SignatureDoesNotMatch|InvalidDigest)/,
    )
    expect(await left()).toEqual([])
  })

  test.for([1_000, 20_000_000])('a put of %i bytes survives a break', async (bytes) => {
    const { line, store, left } = await openOver()
    const content = randomBytes(bytes)
    let breaks = 0
    after(line, 'sent', bytes / 2, () => breaks++)
    await store.put('key', bodyOf(content), { max_bytes: bytes })
    expect(breaks).toBe(1)
    expect(
      Buffer.from(await new Response((await store.get('key'))?.body).arrayBuffer()).equals(content),
    ).toBe(true)
    expect(await left()).toEqual(['key'])
  })

  test.for([1_000, 20_000_000])(
    'a store that dies in a put of %i bytes fails it, and there is no object',
    async (bytes) => {
      const { line, store, settings, left, logged } = await openOver()
      after(line, 'sent', bytes / 2, line.die)
      const put = store.put('key', bodyOf(randomBytes(bytes)), { max_bytes: bytes })
      await expect(put).rejects.toThrow(StoreFailed)
      await expect(put).rejects.toThrow(/^the object store failed: \w+: (ECONNREFUSED|ECONNRESET|EPIPE)/)
      const alive = openBucket({ prefix: settings.prefix })
      expect(await alive.store.get('key')).toBeNull()
      // Its parts could not be told to go.
      const unfinished = bytes > 8 * 1024 ** 2 ? ['unfinished key'] : []
      expect(await left()).toEqual(unfinished)
      expect(logged.map(({ level, message }) => [level, message])).toEqual(
        unfinished.map(() => ['warn', 'an unfinished upload is left in the bucket']),
      )
    },
  )

  test('an upload is aborted after the part on its way has ended: one that lands later would be billed', async () => {
    const { line, store, left } = await openOver()
    const calls: string[] = []
    const note = (chunk: Buffer) => {
      const [word] = /^(HTTP|POST|PUT|DELETE)(?=[ /])/.exec(chunk.toString('latin1', 0, 10)) ?? []
      if (word) calls.push(word === 'HTTP' ? 'answer' : word)
      return chunk
    }
    line.sent = note
    line.received = note
    const broken = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new Uint8Array(9_000_000)),
      pull: (controller) => controller.error(new Error('connection reset')),
    })
    await expect(store.put('key', broken, { max_bytes: 100_000_000 })).rejects.toThrow('connection reset')
    expect(calls).toEqual(['POST', 'answer', 'PUT', 'answer', 'DELETE', 'answer'])
    expect(await left()).toEqual([])
  })

  test('a get goes on where it was broken off', async () => {
    const { line, store } = await openOver()
    const content = randomBytes(5_000_000)
    await store.put('key', bodyOf(content), { max_bytes: 5_000_000 })
    const found = await store.get('key', { start: 1_000, end: 4_900_000 })
    let breaks = 0
    after(line, 'received', 2_000_000, () => breaks++)
    const got = Buffer.from(await new Response(found?.body).arrayBuffer())
    expect(breaks).toBe(1)
    expect(got.equals(content.subarray(1_000, 4_900_000))).toBe(true)
  })

  test('a get that was broken off does not go on in another object', async () => {
    const { line, store, settings } = await openOver()
    const direct = openBucket({ prefix: settings.prefix }).store
    await direct.put('key', bodyOf(randomBytes(5_000_000)), { max_bytes: 5_000_000 })
    const found = await store.get('key')
    after(line, 'received', 2_000_000, () => undefined)
    const reader = found?.body.getReader()
    expect((await reader?.read())?.done).toBe(false)
    await direct.put('key', bodyOf(randomBytes(5_000_000)), { max_bytes: 5_000_000 })
    const rest = async () => {
      while (!(await reader?.read())?.done);
    }
    await expect(rest()).rejects.toThrow('the object was replaced before it was read')
  })

  test('a store that dies in a get fails it, and does not end it early', async () => {
    const { line, store } = await openOver()
    await store.put('key', bodyOf(randomBytes(5_000_000)), { max_bytes: 5_000_000 })
    const found = await store.get('key')
    after(line, 'received', 2_000_000, line.die)
    await expect(new Response(found?.body).arrayBuffer()).rejects.toThrow(
      'the object store failed: GetObject: ECONNRESET',
    )
    await expect(store.get('key')).rejects.toThrow('the object store failed: HeadObject: ECONNRESET')
    await expect(store.delete('key')).rejects.toThrow('the object store failed: DeleteObject: ECONNRESET')
  })

  test('a store that breaks every line off is not asked forever', async () => {
    const { line, store } = await openOver()
    await store.put('key', bodyOf(randomBytes(5_000_000)), { max_bytes: 5_000_000 })
    const found = await store.get('key')
    let asked = 0
    line.sent = (chunk) => {
      if (chunk.includes('GET /')) asked++
      return chunk
    }
    let came = 0
    line.received = (chunk) => ((came += chunk.length) > 200_000 ? ((came = 0), null) : chunk)
    await expect(new Response(found?.body).arrayBuffer()).rejects.toThrow(
      'the object store failed: GetObject',
    )
    expect(asked).toBeGreaterThan(1)
    expect(asked).toBeLessThan(30)
  })
})

test('a put holds its parts outside of memory, and leaves no file', async () => {
  const { store, data_dir } = openBucket()
  const stalled = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(5_000_000)),
    pull(controller) {
      expect(readdirSync(join(data_dir, 'tmp'))).toEqual([])
      controller.close()
    },
  })
  await store.put('key', stalled, { max_bytes: 5_000_000 })
  expect(readdirSync(join(data_dir, 'tmp'))).toEqual([])
})

describe('a start', () => {
  test('writes, reads and deletes in the bucket, and leaves nothing', async () => {
    const { settings, start, left } = openBucket()
    await checkBucket(settings, start)
    expect(await left()).toEqual([])
  })

  test.for([
    [
      'a wrong secret',
      { credentials: { key_id: 'test-key', secret: 'hunter2-hunter2' } },
      'BERTH_OBJECT_STORE_SECRET',
    ],
    [
      'an unknown key',
      { credentials: { key_id: 'nobody', secret: 'hunter2-hunter2' } },
      'BERTH_OBJECT_STORE_KEY_ID',
    ],
    ['no such bucket', { bucket: 'not-there' }, 'name another one in BERTH_OBJECT_STORE'],
    ['nobody at the address', { endpoint: 'http://127.0.0.1:1' }, 'Check BERTH_OBJECT_STORE_ENDPOINT'],
    [
      'a store without a host name for each bucket',
      { endpoint: 'http://store.invalid', path_style: false },
      'set BERTH_OBJECT_STORE_PATH_STYLE=true',
    ],
  ] as const)('is refused with %s, by the name of the variable', async ([, wrong, todo]) => {
    const { settings, start } = openBucket(wrong)
    const error = await checkBucket(settings, start).then(
      () => null,
      (thrown: unknown) => thrown as Error,
    )
    expect(error?.message).toMatch(/^BERTH_OBJECT_STORE: the bucket [\w-]+ at http\S+ cannot be used: /)
    expect(error?.message).toContain(todo)
    const all = JSON.stringify([error?.message, error?.stack, String(error?.cause), error?.cause])
    expect(all).not.toContain('hunter2')
    expect(all).not.toContain(server.settings.credentials?.secret)
  })

  test('aborts unfinished uploads of its prefix that are older than two days', async () => {
    const { settings, client, start, left } = openBucket()
    const object = { Bucket: settings.bucket, Key: `${settings.prefix}/key` }
    const begin = async (where = object) => {
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(where))
      await client.send(new UploadPartCommand({ ...where, UploadId, PartNumber: 1, Body: Buffer.alloc(100) }))
    }
    await begin()
    await begin({ ...object, Key: `${settings.prefix}-of-others/key` })
    const at = (ms: number) => ({ ...start, now: clockMovedBy(ms) })
    await tidyUnfinished(settings, at(47 * hour_ms))
    expect(await left()).toEqual(['unfinished key'])
    await tidyUnfinished(settings, at(49 * hour_ms))
    expect(await left()).toEqual([])
    expect(await server.left(`${settings.prefix}-of-others`)).toEqual(['unfinished key'])
  })

  test('goes on where the store has no lifecycle rules, and says so', async () => {
    const { settings, start, logged } = openBucket()
    await tidyUnfinished(settings, start)
    expect(logged).toMatchObject([
      { level: 'warn', fields: { error: expect.stringContaining('NotImplemented (501)') as string } },
    ])
  })
})

/** Only the rules of a bucket, which the server of these tests does not have. */
async function openRules(rules: string | null) {
  const put: { body: string; md5: string | undefined }[] = []
  const refusal = '<Error><Code>NoSuchLifecycleConfiguration</Code></Error>'
  const fake = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const isRules = request.url?.includes('lifecycle')
    if (request.method === 'PUT') put.push({ body, md5: request.headers['content-md5'] as string })
    else if (isRules && rules === null) response.statusCode = 404
    response.setHeader('content-type', 'application/xml')
    if (request.method === 'PUT') return response.end()
    const list = '<ListMultipartUploadsResult></ListMultipartUploadsResult>'
    response.end(isRules ? (rules ?? refusal) : list)
  }).listen(0, '127.0.0.1')
  await once(fake, 'listening')
  onTestFinished(() => void fake.close())
  const endpoint = `http://127.0.0.1:${(fake.address() as AddressInfo).port}`
  return { put, ...openBucket({ endpoint, prefix: 'a/b' }) }
}

const ruleOf = (prefix: string, action: string, status = 'Enabled') =>
  `<LifecycleConfiguration><Rule><ID>x</ID><Status>${status}</Status><Filter><Prefix>${prefix}</Prefix></Filter>${action}</Rule></LifecycleConfiguration>`
const abort =
  '<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>'
const expire = '<Expiration><Days>7</Days></Expiration>'

describe('the rule of a bucket for unfinished uploads', () => {
  test('is set where there are no rules', async () => {
    const { put, settings, start, logged } = await openRules(null)
    await tidyUnfinished(settings, start)
    expect(put).toHaveLength(1)
    expect(put[0]?.body).toContain('<Prefix>a/b/</Prefix>')
    expect(put[0]?.body).toContain('<DaysAfterInitiation>2</DaysAfterInitiation>')
    expect(put[0]?.md5).toBe(
      createHash('md5')
        .update(put[0]?.body ?? '')
        .digest('base64'),
    )
    expect(logged).toMatchObject([{ level: 'info' }])
  })

  test.for([
    ['one for all', ruleOf('', abort), 0],
    ['one for a folder above', ruleOf('a/', abort), 0],
    ['one for another folder', ruleOf('c/', abort), 1],
    ['one that is off', ruleOf('', abort, 'Disabled'), 1],
    ['one for something else', ruleOf('', expire), 1],
  ] as const)('of somebody else is left as it is: %s', async ([, rules, warnings]) => {
    const { put, settings, start, logged } = await openRules(rules)
    await tidyUnfinished(settings, start)
    expect(put).toEqual([])
    expect(logged.map(({ level }) => level)).toEqual(Array.from({ length: warnings }, () => 'warn'))
  })
})
