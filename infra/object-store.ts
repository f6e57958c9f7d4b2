import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ObjectTooLarge } from '../jobs/deps.ts'
import type { ObjectStore } from '../jobs/deps.ts'
import { checkKey } from './object-key.ts'

/** One read: enough to keep a disk busy, little enough for hundreds of readers at once. */
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
  const pathOf = (key: string) => join(objects, checkKey(key))
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
    async get(key, range) {
      const path = pathOf(key)
      const seen = await statIfThere(path)
      return seen?.isFile() ? { bytes: seen.size, body: readLazily(path, seen.ino, range) } : null
    },
    async delete(key) {
      await rm(pathOf(key), { force: true })
    },
    // Its files have no address of their own.
    link: () => Promise.resolve(null),
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

async function statIfThere(path: string): Promise<Stats | null> {
  try {
    return await stat(path)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
}

/** Opens the file at the first read, so that a body that nobody reads holds nothing open. */
function readLazily(
  path: string,
  inode: number,
  { start, end } = { start: 0, end: Number.POSITIVE_INFINITY },
): ReadableStream<Uint8Array> {
  let file: FileHandle | undefined
  let at = start
  const close = () => file?.close()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          file ??= await openSame(path, inode)
          const wanted = Math.min(readBytes, end - at)
          const { bytesRead, buffer } =
            wanted > 0
              ? await file.read(new Uint8Array(wanted), 0, wanted, at)
              : { bytesRead: 0, buffer: new Uint8Array() }
          at += bytesRead
          if (bytesRead > 0) return controller.enqueue(buffer.subarray(0, bytesRead))
          await close()
          controller.close()
        } catch (error) {
          await close()
          throw error
        }
      },
      cancel: close,
    },
    { highWaterMark: 0 },
  )
}

/** The size was told already: the bytes of a later object under the same key would not fit it. */
async function openSame(path: string, inode: number): Promise<FileHandle> {
  const file = await open(path, 'r')
  if ((await file.stat()).ino === inode) return file
  await file.close()
  throw new Error('the object was replaced before it was read')
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
