import { createHash } from 'node:crypto'
import { ObjectTooLarge } from '../jobs/deps.ts'

/** An object that is being written; what is not finished is abandoned, and leaves nothing. */
export interface Upload {
  write: (chunk: Uint8Array) => Promise<void>
  finish: () => Promise<unknown>
  abandon: () => Promise<unknown>
}

/** Writes a body, read once. Throws ObjectTooLarge as soon as it is. */
export async function writeBody(
  upload: Upload,
  body: ReadableStream<Uint8Array>,
  max_bytes: number,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  try {
    // Leaving the loop by an error cancels the stream, so that its sender is told to stop.
    for await (const chunk of body) {
      bytes += chunk.byteLength
      if (bytes > max_bytes) throw new ObjectTooLarge(`an object is larger than ${max_bytes} bytes`)
      hash.update(chunk)
      await upload.write(chunk)
    }
    await upload.finish()
  } catch (error) {
    await upload.abandon()
    throw error
  }
  return { bytes, sha256: hash.digest('hex') }
}
