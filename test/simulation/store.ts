// Objects in memory.
import { createHash } from 'node:crypto'
import type { ObjectStore } from '../../jobs/deps.ts'

export function memoryStore(): ObjectStore {
  const objects = new Map<string, Uint8Array>()
  return {
    async put(key, body) {
      const bytes = new Uint8Array(await new Response(body).arrayBuffer())
      objects.set(key, bytes)
      return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') }
    },
    get(key) {
      const bytes = objects.get(key)
      return Promise.resolve(
        bytes ? { bytes: bytes.length, body: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() } : null,
      )
    },
    delete(key) {
      objects.delete(key)
      return Promise.resolve()
    },
    link: () => Promise.resolve(null),
  }
}
