import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import type { ReadableStream as NodeReadableStream } from 'node:stream/web'
import { ObjectTooLarge } from '../jobs/deps.ts'
import type { ObjectStore } from '../jobs/deps.ts'

/** Key segments begin with a letter or digit: no `.`, no `..`, no hidden file, no empty segment. */
const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._=-]{0,199}(\/[A-Za-z0-9][A-Za-z0-9._=-]{0,199}){0,9}$/
/** Read ahead: enough to keep a disk busy, little enough for hundreds of readers at once. */
const readBytes = 256 * 1024

/**
 * Objects as files of a folder. An object appears whole, synced to the disk, or not at all; what a killed
 * process left half-written is removed at the next start. The caller holds the folder's lock.
 */
export function createFolderStore(folder: string): ObjectStore {
  const objects = join(folder, 'objects')
  const temporary = join(folder, 'tmp')
  mkdirSync(objects, { recursive: true, mode: 0o700 })
  mkdirSync(temporary, { recursive: true, mode: 0o700 })
  for (const name of readdirSync(temporary)) rmSync(join(temporary, name), { recursive: true, force: true })
  const pathOf = (key: string) => {
    if (!keyPattern.test(key)) throw new TypeError(`not an object key: ${JSON.stringify(key.slice(0, 100))}`)
    return join(objects, key)
  }
  return {
    async put(key, body, { max_bytes }) {
      const path = pathOf(key)
      const written = join(temporary, randomBytes(12).toString('hex'))
      const file = await open(written, 'wx', 0o600)
      try {
        const seen = await writeBounded(file, body, max_bytes)
        await file.sync()
        await mkdir(dirname(path), { recursive: true, mode: 0o700 })
        await rename(written, path)
        await syncFolder(dirname(path))
        return seen
      } finally {
        await file.close()
        await rm(written, { force: true })
      }
    },
    async get(key) {
      const file = await openIfThere(pathOf(key))
      if (file === null) return null
      const { size } = await file.stat()
      const stream = Readable.toWeb(file.createReadStream({ highWaterMark: readBytes }))
      return { bytes: size, body: stream as ReadableStream<Uint8Array> & NodeReadableStream }
    },
    async delete(key) {
      await rm(pathOf(key), { force: true })
    },
  }
}

/** Consumes the stream whole, or cancels it. */
async function writeBounded(
  file: FileHandle,
  body: ReadableStream<Uint8Array>,
  max_bytes: number,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  // Leaving the loop by an error cancels the stream, so that its sender is told to stop.
  for await (const chunk of body) {
    bytes += chunk.byteLength
    if (bytes > max_bytes) throw new ObjectTooLarge(`an object is larger than ${max_bytes} bytes`)
    hash.update(chunk)
    await file.writeFile(chunk)
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function openIfThere(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

/** A rename is on the disk only when its folder is (fsync(2)). */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
