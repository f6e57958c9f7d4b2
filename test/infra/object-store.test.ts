import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createFolderStore } from '../../infra/object-store.ts'
import { ObjectTooLarge } from '../../jobs/deps.ts'
import type { ObjectStore } from '../../jobs/deps.ts'
import { newFolder } from './new-folder.ts'

const bodyOf = (...parts: (string | Uint8Array)[]) =>
  ReadableStream.from(parts.map((part) => Buffer.from(part))) as ReadableStream<Uint8Array>
const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex')

async function read(store: ObjectStore, key: string): Promise<Buffer | null> {
  const found = await store.get(key)
  return found === null ? null : Buffer.from(await new Response(found.body).arrayBuffer())
}

async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
}

test('an object comes back as it went in, with its size and hash', async () => {
  const folder = newFolder()
  const store = createFolderStore(folder)
  const content = randomBytes(3_000_001)
  const parts = [content.subarray(0, 7), new Uint8Array(), content.subarray(7)]
  const put = await store.put('artifacts/att_1/a.parquet', bodyOf(...parts), { max_bytes: 3_000_001 })
  expect(put).toEqual({ bytes: 3_000_001, sha256: sha256(content) })
  expect((await store.get('artifacts/att_1/a.parquet'))?.bytes).toBe(3_000_001)
  expect((await read(store, 'artifacts/att_1/a.parquet'))?.equals(content)).toBe(true)
  expect((await stat(join(folder, 'objects', 'artifacts/att_1/a.parquet'))).mode & 0o077).toBe(0)
})

test('an empty object is an object; what is not there is null', async () => {
  const store = createFolderStore(newFolder())
  expect(await store.put('empty', bodyOf(), { max_bytes: 0 })).toEqual({ bytes: 0, sha256: sha256('') })
  expect(await read(store, 'empty')).toHaveLength(0)
  expect(await store.get('nothing')).toBeNull()
  expect(await store.get('empty/below')).toBeNull()
})

test('an object past its bound is refused, its sender is stopped, and nothing is left', async () => {
  const folder = newFolder()
  const store = createFolderStore(folder)
  let sent = 0
  let cancelled = false
  const endless = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1000
      controller.enqueue(new Uint8Array(1000))
    },
    cancel() {
      cancelled = true
    },
  })
  await expect(store.put('big', endless, { max_bytes: 10_000 })).rejects.toThrow(ObjectTooLarge)
  expect(cancelled).toBe(true)
  expect(sent).toBeLessThan(20_000)
  expect(await filesIn(folder)).toEqual([])
  expect(await store.get('big')).toBeNull()
})

test('a stream that breaks leaves the object that was there', async () => {
  const folder = newFolder()
  const store = createFolderStore(folder)
  await store.put('key', bodyOf('first'), { max_bytes: 100 })
  const broken = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new Uint8Array(10))
    },
    pull(controller) {
      controller.error(new Error('connection reset'))
    },
  })
  await expect(store.put('key', broken, { max_bytes: 100 })).rejects.toThrow('connection reset')
  expect((await read(store, 'key'))?.toString()).toBe('first')
  expect(await filesIn(folder)).toEqual(['key'])
})

test('a second put replaces the first; a body that is being read stays the first', async () => {
  const store = createFolderStore(newFolder())
  const first = randomBytes(1_000_000)
  await store.put('key', bodyOf(first), { max_bytes: 1_000_000 })
  const reader = (await store.get('key'))?.body.getReader()
  const unread = await store.get('key')
  const parts = [(await reader?.read())?.value ?? new Uint8Array()]
  await store.put('key', bodyOf('second'), { max_bytes: 100 })
  for (let part = await reader?.read(); part?.done === false; part = await reader?.read())
    parts.push(part.value)
  expect(Buffer.concat(parts).equals(first)).toBe(true)
  await expect(new Response(unread?.body).text()).rejects.toThrow('replaced')
  expect((await read(store, 'key'))?.toString()).toBe('second')
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

test('delete may be repeated', async () => {
  const store = createFolderStore(newFolder())
  await store.put('a/b', bodyOf('x'), { max_bytes: 1 })
  await store.delete('a/b')
  await store.delete('a/b')
  expect(await store.get('a/b')).toBeNull()
})

test('what a killed process left half-written is removed at the start', async () => {
  const folder = newFolder()
  createFolderStore(folder)
  await mkdir(join(folder, 'tmp'), { recursive: true })
  await writeFile(join(folder, 'tmp', 'half'), 'half')
  createFolderStore(folder)
  expect(await filesIn(folder)).toEqual([])
})

describe('a key cannot leave the folder', () => {
  test.each(
    [
      ['', '.', '..', '../a', 'a/../../b', 'a//b', '/a', 'a/', 'a/.', './a', '.hidden', 'a/.hidden'],
      ['a\u0000b', 'a b', 'a\\b', 'C:a', 'é', '-rf', '%2e%2e/a', '~', 'a'.repeat(201), 'a/'.repeat(10) + 'b'],
    ].flat(),
  )('%j', async (key) => {
    const store = createFolderStore(newFolder())
    await expect(store.put(key, bodyOf('x'), { max_bytes: 1 })).rejects.toThrow(TypeError)
    await expect(store.get(key)).rejects.toThrow(TypeError)
    await expect(store.delete(key)).rejects.toThrow(TypeError)
  })
})
