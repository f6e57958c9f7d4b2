// One object on its way into a bucket: whole where it is small, else in parts. What is not finished is aborted.
import { createHash, randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { call, S3Failed } from './s3-client.ts'

/** More than the 5 MiB that a part must have (S3, OSS, COS and MinIO alike), little enough to be sent again. */
const leastPart_bytes = 8 * 1024 ** 2
/** Of one upload, in every dialect. */
const mostParts = 10_000
/** Parts in memory at once, of all uploads: 128 MiB. Those that are still coming in wait on the disk. */
const mostInMemory = 16

export interface Bucket {
  client: S3Client
  name: string
  /** For parts that are coming in. */
  scratch_folder: string
  gate: Gate
  on_left: (key: string, error: unknown) => void
}

/** Each call waits for its turn; what it resolves to gives the turn back. */
type Gate = () => Promise<() => void>

export function createGate(most = mostInMemory): Gate {
  let free = most
  const waiting: (() => void)[] = []
  return async () => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
    return () => {
      const next = waiting.shift()
      if (next) next()
      else free++
    }
  }
}

export interface Upload {
  write: (chunk: Uint8Array) => Promise<void>
  /** The object is there, whole. */
  finish: () => Promise<void>
  /** Leaves nothing of it in the bucket, as far as the store can be reached. */
  abandon: () => Promise<void>
  [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * A part is collected in a file, so that a sender that is slow holds no memory, and sent from memory, so that it can
 * be sent again. One part is on its way while the next one comes in.
 */
export async function openUpload(bucket: Bucket, key: string, max_bytes: number): Promise<Upload> {
  const { client, gate } = bucket
  const object = { Bucket: bucket.name, Key: key }
  const part_bytes = Math.max(leastPart_bytes, Math.ceil(max_bytes / mostParts))
  const scratch = await openScratch(bucket.scratch_folder)
  const parts: CompletedPart[] = []
  let upload_id: string | undefined
  let filled = 0
  let sent_bytes = 0
  let sending: Promise<void> = Promise.resolve()

  /** Starts the part that has come in, once the one before it is there. */
  const sendPart = async () => {
    await sending
    upload_id ??= await begin(client, object)
    const part = { ...object, UploadId: upload_id, PartNumber: parts.length + 1 }
    const giveBack = await gate()
    // Read before the next part is written over it.
    const body = await readAll(scratch, filled).catch((error: unknown) => {
      giveBack()
      throw error
    })
    sending = sendOne(client, part, body)
      .then((done) => void parts.push(done))
      .finally(giveBack)
    // Looked at before the next part and at the end.
    sending.catch(() => undefined)
    sent_bytes += filled
    filled = 0
  }

  return {
    async write(chunk) {
      for (let rest = chunk; rest.byteLength > 0;) {
        if (filled === part_bytes) await sendPart()
        const taken = rest.subarray(0, part_bytes - filled)
        await writeAll(scratch, taken, filled)
        filled += taken.byteLength
        rest = rest.subarray(taken.byteLength)
      }
    },
    async finish() {
      if (upload_id === undefined) return putWhole({ client, gate }, object, scratch, filled)
      await sendPart()
      await sending
      await complete(client, { ...object, UploadId: upload_id }, parts, sent_bytes)
    },
    async abandon() {
      // A part that lands after the abort would stay, and be billed.
      await sending.catch(() => undefined)
      if (upload_id === undefined) return
      const abort = new AbortMultipartUploadCommand({ ...object, UploadId: upload_id })
      try {
        await call('AbortMultipartUpload', (options) => client.send(abort, options))
      } catch (error) {
        // It was put together after all, or the store gave it up by itself.
        if (!(error instanceof S3Failed && error.code === 'NoSuchUpload')) bucket.on_left(key, error)
      }
    },
    [Symbol.asyncDispose]: () => scratch.close(),
  }
}

type Object = { Bucket: string; Key: string }

async function begin(client: S3Client, object: Object): Promise<string> {
  const command = new CreateMultipartUploadCommand(object)
  const { UploadId } = await call('CreateMultipartUpload', (options) => client.send(command, options))
  if (!UploadId) throw new S3Failed('CreateMultipartUpload', { name: 'no_upload_id' })
  return UploadId
}

async function sendOne(
  client: S3Client,
  part: Object & { UploadId: string; PartNumber: number },
  body: Buffer,
): Promise<CompletedPart> {
  const command = new UploadPartCommand({ ...part, Body: body, ContentMD5: md5(body) })
  const { ETag } = await call('UploadPart', (options) => client.send(command, options))
  return { PartNumber: part.PartNumber, ETag }
}

async function putWhole(
  { client, gate }: Pick<Bucket, 'client' | 'gate'>,
  object: Object,
  scratch: FileHandle,
  bytes: number,
): Promise<void> {
  const giveBack = await gate()
  try {
    const body = await readAll(scratch, bytes)
    const command = new PutObjectCommand({ ...object, Body: body, ContentMD5: md5(body) })
    await call('PutObject', (options) => client.send(command, options))
  } finally {
    giveBack()
  }
}

async function complete(
  client: S3Client,
  upload: Object & { UploadId: string },
  parts: CompletedPart[],
  bytes: number,
): Promise<void> {
  const command = new CompleteMultipartUploadCommand({ ...upload, MultipartUpload: { Parts: parts } })
  try {
    await call('CompleteMultipartUpload', (options) => client.send(command, options))
  } catch (error) {
    // The first try was carried out and its answer was lost: the second one finds no upload, but the object.
    if (!(error instanceof S3Failed) || error.code !== 'NoSuchUpload') throw error
    const head = new HeadObjectCommand({ Bucket: upload.Bucket, Key: upload.Key })
    const there = await call('HeadObject', (options) => client.send(head, options))
    if (there.ContentLength !== bytes) throw error
  }
}

const md5 = (body: Buffer) => createHash('md5').update(body).digest('base64')

/** A file without a name: nothing of it is left, whatever ends the process. */
async function openScratch(folder: string): Promise<FileHandle> {
  const path = join(folder, randomBytes(12).toString('hex'))
  const file = await open(path, 'wx+', 0o600)
  await rm(path)
  return file
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.byteLength - done, position + done)
    done += bytesWritten
  }
}

async function readAll(file: FileHandle, bytes: number): Promise<Buffer> {
  const whole = Buffer.allocUnsafe(bytes)
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await file.read(whole, done, bytes - done, done)
    if (bytesRead === 0) throw new Error('the part that was collected is shorter than it was')
    done += bytesRead
  }
  return whole
}
