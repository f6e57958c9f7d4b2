// Objects in a bucket of an S3-compatible store: AWS S3, Alibaba OSS, Tencent COS, MinIO and others.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, type S3Client } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { type Log, type ObjectStore, StoreFailed } from '../jobs/deps.ts'
import { checkKey } from './object-key.ts'
import { call, createS3Client, S3Failed, type S3Settings } from './s3-client.ts'
import { createGate, openUpload } from './s3-upload.ts'
import { writeBody } from './upload-body.ts'

/** A download that has begun may last longer; who is cut off asks Berth again, and gets a new address. */
const link_s = 900
/** Connections that one reader may lose before it is told, unless each brought it on by a good piece. */
const mostBreaks = 5
const goodPiece_bytes = 1024 ** 2

export interface S3Store {
  store: ObjectStore
  client: S3Client
  close: () => void
}

/** `data_dir`: for parts of uploads that are coming in. `now`: what addresses are signed with. */
export function createS3Store(
  settings: S3Settings,
  { data_dir, now, log }: { data_dir: string; now: () => Date; log: Log },
): S3Store {
  const client = createS3Client(settings)
  const scratch_folder = join(data_dir, 'tmp')
  mkdirSync(scratch_folder, { recursive: true, mode: 0o700 })
  const keyOf = (key: string) =>
    settings.prefix === '' ? checkKey(key) : `${settings.prefix}/${checkKey(key)}`
  const bucket = {
    client,
    name: settings.bucket,
    scratch_folder,
    gate: createGate(),
    on_left: (key: string, error: unknown) =>
      log('warn', 'an unfinished upload is left in the bucket', { key, error: String(error) }),
  }
  const objectOf = (key: string) => ({ Bucket: settings.bucket, Key: keyOf(key) })
  const store: ObjectStore = {
    async put(key, body, { max_bytes }) {
      await using upload = await openUpload(bucket, keyOf(key), max_bytes)
      return await writeBody(upload, body, max_bytes)
    },
    async get(key, range) {
      const object = objectOf(key)
      const seen = await lookUp(client, object)
      return seen && { bytes: seen.bytes, body: readLazily(client, { ...object, ...seen }, range) }
    },
    async delete(key) {
      const command = new DeleteObjectCommand(objectOf(key))
      await call('DeleteObject', (options) => client.send(command, options))
    },
    async link(key, { name, content_type }) {
      const object = objectOf(key)
      if (!settings.redirect) return null
      const command = new GetObjectCommand({
        ...object,
        ResponseContentType: content_type,
        // Never shown: a page that a program made would run on the store's own origin.
        ResponseContentDisposition: `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"`,
      })
      // The SDK has learned from answers how wrong this machine's clock is.
      const signingDate = new Date(now().getTime() + client.config.systemClockOffset)
      return await getSignedUrl(client, command, { expiresIn: link_s, signingDate })
    },
  }
  return { store, client, close: () => client.destroy() }
}

interface Seen {
  bytes: number
  etag: string | undefined
}

async function lookUp(client: S3Client, object: { Bucket: string; Key: string }): Promise<Seen | null> {
  try {
    const command = new HeadObjectCommand(object)
    const { ContentLength, ETag } = await call('HeadObject', (options) => client.send(command, options))
    if (ContentLength === undefined) throw new S3Failed('HeadObject', { name: 'no_length' })
    return { bytes: ContentLength, etag: ETag }
  } catch (error) {
    if (error instanceof S3Failed && error.status === 404) return null
    throw error
  }
}

/**
 * Asks at the first read, so that a body that nobody reads holds no connection; one that breaks off goes on where it
 * was, as long as the object is the same.
 */
function readLazily(
  client: S3Client,
  { bytes, etag, ...object }: Seen & { Bucket: string; Key: string },
  { start, end } = { start: 0, end: Number.POSITIVE_INFINITY },
): ReadableStream<Uint8Array> {
  const stop = Math.min(end, bytes)
  let at = start
  let breaks = 0
  let broken_at = start
  let cancelled = false
  let source: AsyncIterator<Buffer> | undefined
  let body: Readable | undefined
  const next = async (): Promise<Uint8Array> => {
    for (;;) {
      if (source === undefined) {
        body = await openRange(client, object, { at, stop, bytes, etag })
        source = body[Symbol.asyncIterator]() as AsyncIterator<Buffer>
      }
      try {
        const { done, value } = await source.next()
        if (!done) return value
        throw new S3Failed('GetObject', { name: 'cut_off' })
      } catch (error) {
        body?.destroy()
        source = undefined
        if (at - broken_at >= goodPiece_bytes) breaks = 0
        broken_at = at
        if (cancelled || ++breaks > mostBreaks)
          throw error instanceof S3Failed ? error : new S3Failed('GetObject', error)
      }
    }
  }
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (at >= stop) return controller.close()
        const chunk = await next()
        if (cancelled) return void body?.destroy()
        at += chunk.byteLength
        controller.enqueue(chunk)
        if (at >= stop) controller.close()
      },
      // Also while the store is being asked: what it then gives is closed unread.
      cancel() {
        cancelled = true
        body?.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}

interface Stretch {
  at: number
  stop: number
  /** Of the whole object. */
  bytes: number
  etag: string | undefined
}

async function openRange(
  client: S3Client,
  object: { Bucket: string; Key: string },
  { at, stop, bytes, etag }: Stretch,
): Promise<Readable> {
  const isPart = at > 0 || stop < bytes
  const command = new GetObjectCommand({
    ...object,
    // The size was told already: the bytes of a later object under the same key would not fit it.
    IfMatch: etag,
    Range: isPart ? `bytes=${at}-${stop - 1}` : undefined,
  })
  try {
    const answer = await call('GetObject', (options) => client.send(command, options))
    const body = answer.Body as Readable
    if (!isPart || answer.ContentRange?.startsWith(`bytes ${at}-${stop - 1}/`)) return body
    body.destroy()
    throw new S3Failed('GetObject', { name: 'another_range' })
  } catch (error) {
    if (error instanceof S3Failed && error.status === 412)
      throw new StoreFailed('the object was replaced before it was read')
    throw error
  }
}
