// What every object store does, on a folder and on a real S3-compatible server.
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, type TestContext } from 'vitest'
import { createFetchStore } from '../../infra/edge/store.ts'
import { createFolderStore } from '../../infra/object-store.ts'
import { createS3Store } from '../../infra/s3-store.ts'
import { ObjectTooLarge } from '../../jobs/deps.ts'
import type { ObjectStore } from '../../jobs/deps.ts'
import { noS3Server, type S3Server, startS3Server } from '../support/s3-server.ts'
import { newFolder } from './new-folder.ts'

const bodyOf = (...parts: (string | Uint8Array)[]) =>
  ReadableStream.from(parts.map((part) => Buffer.from(part))) as ReadableStream<Uint8Array>
const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex')

async function read(store: ObjectStore, key: string, range?: { start: number; end: number }) {
  const found = await store.get(key, range)
  return found === null ? null : Buffer.from(await new Response(found.body).arrayBuffer())
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

let server: S3Server | undefined
beforeAll(async () => {
  if (noS3Server === null) server = await startS3Server()
})
afterAll(() => server?.[Symbol.asyncDispose]())

interface Opened {
  store: ObjectStore
  /** Whatever is there: objects, and what is unfinished. */
  left: () => Promise<string[]>
}

function openFolder(): Opened {
  const folder = newFolder()
  return { store: createFolderStore(folder), left: () => filesIn(folder) }
}

let prefixes = 0
function openBucket(context: TestContext): Opened {
  if (server === undefined) return context.skip(noS3Server ?? 'no server')
  const { settings, left } = server
  const prefix = `store-${prefixes++}`
  const { store, close } = createS3Store(
    { ...settings, prefix },
    { data_dir: newFolder(), now: () => new Date(), log: () => undefined },
  )
  onTestFinished(close)
  return { store, left: () => left(prefix) }
}

function openByFetch(context: TestContext): Opened {
  if (server === undefined) return context.skip(noS3Server ?? 'no server')
  const { settings, left } = server
  const { credentials } = settings
  if (credentials === null) throw new Error('the server of the tests has credentials')
  const prefix = `store-${prefixes++}`
  return { store: createFetchStore({ ...settings, prefix, credentials }), left: () => left(prefix) }
}

describe.each([
  ['a folder', openFolder],
  ['a bucket', openBucket],
  ['a bucket, by fetch', openByFetch],
])('%s', (_, openStore) => {
  test('an object comes back as it went in, with its size and hash', async (context) => {
    const { store } = openStore(context)
    const content = randomBytes(3_000_001)
    const parts = [content.subarray(0, 7), new Uint8Array(), content.subarray(7)]
    const put = await store.put('artifacts/att_1/a.parquet', bodyOf(...parts), { max_bytes: 3_000_001 })
    expect(put).toEqual({ bytes: 3_000_001, sha256: sha256(content) })
    expect((await store.get('artifacts/att_1/a.parquet'))?.bytes).toBe(3_000_001)
    expect((await read(store, 'artifacts/att_1/a.parquet'))?.equals(content)).toBe(true)
  })

  test('an empty object is an object; what is not there is null', async (context) => {
    const { store } = openStore(context)
    expect(await store.put('empty', bodyOf(), { max_bytes: 0 })).toEqual({ bytes: 0, sha256: sha256('') })
    expect(await read(store, 'empty')).toHaveLength(0)
    expect(await store.get('nothing')).toBeNull()
  })

  test('a range is from its start up to its end, and ends with the object', async (context) => {
    const { store } = openStore(context)
    const content = randomBytes(1_000)
    await store.put('key', bodyOf(content), { max_bytes: 1_000 })
    const ranges = [
      [0, 1_000],
      [0, 1],
      [10, 20],
      [999, 1_000],
      [990, 5_000],
      [500, 500],
      [1_000, 1_001],
      [2_000, 3_000],
    ] as const
    for (const [start, end] of ranges) {
      expect((await store.get('key', { start, end }))?.bytes).toBe(1_000)
      const got = await read(store, 'key', { start, end })
      expect([start, end, got?.equals(content.subarray(start, end))]).toEqual([start, end, true])
    }
  })

  // 8 MiB: where a bucket's parts begin to be cut.
  test.for([8 * 1024 ** 2 - 1, 8 * 1024 ** 2, 8 * 1024 ** 2 + 1, 20_000_003])(
    'an object of %i bytes is whole, however it is cut on its way',
    async (bytes, context) => {
      const { store, left } = openStore(context)
      const content = randomBytes(bytes)
      const cut = [0, 1, 5_000_000, 8_388_607, 8_388_609, bytes].filter((at) => at <= bytes)
      const parts = cut.map((at, i) => content.subarray(at, cut[i + 1] ?? at))
      const put = await store.put('key', bodyOf(...parts), { max_bytes: bytes })
      expect(put).toEqual({ bytes, sha256: sha256(content) })
      expect((await read(store, 'key'))?.equals(content)).toBe(true)
      const range = { start: 8_000_000, end: 9_000_000 }
      expect((await read(store, 'key', range))?.equals(content.subarray(8_000_000, 9_000_000))).toBe(true)
      expect(await left()).toEqual(['key'])
    },
  )

  test.for([10_000, 20_000_000])(
    'an object past its bound of %i is refused, its sender is stopped, and nothing is left',
    async (max_bytes, context) => {
      const { store, left } = openStore(context)
      let sent = 0
      let cancelled = false
      const endless = new ReadableStream<Uint8Array>({
        pull(controller) {
          sent += 1_000_000
          controller.enqueue(new Uint8Array(1_000_000))
        },
        cancel() {
          cancelled = true
        },
      })
      await expect(store.put('big', endless, { max_bytes })).rejects.toThrow(ObjectTooLarge)
      expect(cancelled).toBe(true)
      expect(sent).toBeLessThan(max_bytes + 5_000_000)
      expect(await left()).toEqual([])
      expect(await store.get('big')).toBeNull()
    },
  )

  test.for([10, 20_000_000])(
    'a stream that breaks after %i bytes leaves the object that was there',
    async (bytes, context) => {
      const { store, left } = openStore(context)
      await store.put('key', bodyOf('first'), { max_bytes: 100 })
      const broken = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(bytes))
        },
        pull(controller) {
          controller.error(new Error('connection reset'))
        },
      })
      await expect(store.put('key', broken, { max_bytes: 100_000_000 })).rejects.toThrow('connection reset')
      expect((await read(store, 'key'))?.toString()).toBe('first')
      expect(await left()).toEqual(['key'])
    },
  )

  test('a second put replaces the first; a body that was not read before it is refused', async (context) => {
    const { store } = openStore(context)
    await store.put('key', bodyOf(randomBytes(1_000_000)), { max_bytes: 1_000_000 })
    const unread = await store.get('key')
    await store.put('key', bodyOf('second'), { max_bytes: 100 })
    await expect(new Response(unread?.body).text()).rejects.toThrow('replaced')
    expect((await read(store, 'key'))?.toString()).toBe('second')
  })

  test('of puts at once of one key one is there, whole', async (context) => {
    const { store, left } = openStore(context)
    const contents = [1, 2, 3, 4].map((n) => Buffer.alloc(9_000_000 + n, n))
    await Promise.all(contents.map((content) => store.put('key', bodyOf(content), { max_bytes: 10_000_000 })))
    const got = await read(store, 'key')
    expect(contents.filter((content) => got?.equals(content))).toHaveLength(1)
    expect(await left()).toEqual(['key'])
  })

  test('a body that is not read to its end may be cancelled', async (context) => {
    const { store } = openStore(context)
    await store.put('key', bodyOf(randomBytes(3_000_000)), { max_bytes: 3_000_000 })
    const reader = (await store.get('key'))?.body.getReader()
    expect((await reader?.read())?.done).toBe(false)
    await reader?.cancel()
    expect(await read(store, 'key')).toHaveLength(3_000_000)
  })

  test('delete may be repeated', async (context) => {
    const { store, left } = openStore(context)
    await store.put('a/b', bodyOf('x'), { max_bytes: 1 })
    await store.delete('a/b')
    await store.delete('a/b')
    expect(await store.get('a/b')).toBeNull()
    expect(await left()).toEqual([])
  })

  test('a key names nothing outside of the store', async (context) => {
    const { store } = openStore(context)
    const keys = [
      ['', '.', '..', '../a', 'a/../../b', 'a//b', '/a', 'a/', 'a/.', './a', '.hidden', 'a/.hidden'],
      ['a\u0000b', 'a b', 'a\\b', 'C:a', 'é', '-rf', '%2e%2e/a', '~', 'a'.repeat(201), 'a/'.repeat(10) + 'b'],
    ].flat()
    for (const key of keys) {
      await expect(store.put(key, bodyOf('x'), { max_bytes: 1 }), key).rejects.toThrow(TypeError)
      await expect(store.get(key), key).rejects.toThrow(TypeError)
      await expect(store.delete(key), key).rejects.toThrow(TypeError)
    }
  })
})

test('in a folder an object is its owner’s alone, and has no address', async () => {
  const folder = newFolder()
  const store = createFolderStore(folder)
  await store.put('a/b', bodyOf('x'), { max_bytes: 1 })
  expect((await stat(join(folder, 'objects', 'a/b'))).mode & 0o077).toBe(0)
  expect(await store.get('a/b/below')).toBeNull()
  expect(await store.link('a/b', { name: 'b', content_type: 'text/plain' })).toBeNull()
})

test('in a folder a body that is being read stays what it was', async () => {
  const store = createFolderStore(newFolder())
  const first = randomBytes(1_000_000)
  await store.put('key', bodyOf(first), { max_bytes: 1_000_000 })
  const reader = (await store.get('key'))?.body.getReader()
  const parts = [(await reader?.read())?.value ?? new Uint8Array()]
  await store.put('key', bodyOf('second'), { max_bytes: 100 })
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read())
    parts.push(part.value)
  expect(Buffer.concat(parts).equals(first)).toBe(true)
})

test('a body that is not read, or not to its end, holds no file open', async () => {
  const store = createFolderStore(newFolder())
  await store.put('key', bodyOf(randomBytes(1_000_000)), { max_bytes: 1_000_000 })
  const openFiles = async () => (await readdir('/proc/self/fd')).length
  const before = await openFiles()
  for (let i = 0; i < 20; i++) await store.get('key')
  const reader = (await store.get('key'))?.body.getReader()
  await reader?.read()
  await reader?.cancel()
  expect(await openFiles()).toBe(before)
})

test('what a killed process left half-written is removed at the start', async () => {
  const folder = newFolder()
  createFolderStore(folder)
  await mkdir(join(folder, 'tmp'), { recursive: true })
  await writeFile(join(folder, 'tmp', 'half'), 'half')
  createFolderStore(folder)
  expect(await filesIn(folder)).toEqual([])
})

test('an address of the store by fetch gives the object to whoever has it, as a file to be saved', async (context) => {
  const { store } = openByFetch(context)
  await store.put('key', bodyOf('0123456789'), { max_bytes: 10 })
  const link = (await store.link('key', { name: 'a b".csv', content_type: 'text/csv' })) ?? ''
  const answer = await fetch(link, { headers: { range: 'bytes=2-4' } })
  expect([answer.status, await answer.text()]).toEqual([206, '234'])
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename="a_b_.csv"')
  expect(link).not.toContain('test-secret')
  expect((await fetch(link.replace(/X-Amz-Signature=\w{4}/, 'X-Amz-Signature=0000'))).status).toBe(403)
})
