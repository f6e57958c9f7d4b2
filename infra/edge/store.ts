// Objects in a bucket of an S3-compatible store by fetch alone: without the SDK, which an edge function has no room for.
import { createHash } from 'node:crypto'
import { AwsClient } from 'aws4fetch'
import { type ObjectStore, StoreFailed } from '../../jobs/deps.ts'
import { checkKey } from '../object-key.ts'
import { type Upload, writeBody } from '../upload-body.ts'
import type { EdgeConfig } from './settings.ts'

/** As infra/s3-store.ts: a download that has begun may last longer. */
const link_s = 900
/** More than the 5 MiB that a part must have, little enough for an isolate of 128 MB with some uploads at once. */
const part_bytes = 8 * 1024 ** 2
/** Of one upload, in every dialect. */
const mostParts = 10_000
/** One call, its answer's body apart: 8 MiB at 150 kB/s. */
const call_ms = 60_000
/** After the first try, of 429 and 5xx. */
const retries = 3

type Settings = EdgeConfig['object_store']
type Bucket = ReturnType<typeof openBucket>

/** Bodies are read once, in parts of 8 MiB, and held in memory one part at a time. */
export function createFetchStore(settings: Settings): ObjectStore {
  const bucket = openBucket(settings)
  return {
    put: (key, body, { max_bytes }) => writeBody(createParts(bucket, key), body, max_bytes),
    async get(key, range) {
      const { status, headers } = await bucket.call('HeadObject', key, { method: 'HEAD' }, [404])
      if (status === 404) return null
      const bytes = Number(headers.get('content-length') ?? Number.NaN)
      if (!Number.isSafeInteger(bytes)) throw failed('HeadObject', 'no_length')
      return { bytes, body: readLazily(bucket, key, { bytes, etag: headers.get('etag') }, range) }
    },
    async delete(key) {
      await drained(await bucket.call('DeleteObject', key, { method: 'DELETE' }, [404]))
    },
    async link(key, { name, content_type }) {
      if (!settings.redirect) return null
      const url = bucket.urlOf(key)
      url.searchParams.set('X-Amz-Expires', String(link_s))
      url.searchParams.set('response-content-type', content_type)
      // Never shown: a page that a program made would run on the store's own origin.
      const disposition = `attachment; filename="${name.replace(/[^\w.-]/g, '_')}"`
      url.searchParams.set('response-content-disposition', disposition)
      return (await bucket.client.sign(url.href, { aws: { signQuery: true } })).url
    },
  }
}

function openBucket({ bucket, prefix, endpoint, region, path_style, credentials }: Settings) {
  const { key_id, secret, session_token } = credentials
  const client = new AwsClient({
    accessKeyId: key_id,
    secretAccessKey: secret,
    ...(session_token === undefined ? {} : { sessionToken: session_token }),
    service: 's3',
    region,
    retries,
  })
  const base = new URL(endpoint ?? `https://s3.${region}.amazonaws.com`)
  const root = path_style
    ? `${base.href.replace(/\/$/, '')}/${bucket}`
    : `${base.protocol}//${bucket}.${base.host}${base.pathname.replace(/\/$/, '')}`
  const urlOf = (key: string, query = '') =>
    new URL(`${root}/${prefix === '' ? '' : `${prefix}/`}${checkKey(key)}${query}`)
  return {
    client,
    urlOf,
    /** Throws StoreFailed for what is neither a success nor one of `also`; never with what the store has written. */
    async call(
      name: string,
      key: string,
      init: RequestInit & { query?: string },
      also: readonly number[] = [],
    ) {
      const { query, ...rest } = init
      const response = await client
        .fetch(urlOf(key, query).href, { ...rest, signal: AbortSignal.timeout(call_ms) })
        .catch((error: unknown) => {
          throw failed(name, error instanceof Error ? error.name : 'unknown')
        })
      if (response.ok || also.includes(response.status)) return response
      await drained(response)
      throw failed(name, `HTTP ${response.status}`)
    },
  }
}

const failed = (name: string, why: string) => new StoreFailed(`the object store failed: ${name}: ${why}`)
/** A body that nobody reads would hold its connection. */
const drained = (response: Response) => response.body?.cancel().catch(() => undefined)

/** An upload: whole where it is small, else in parts. What is not finished is aborted. */
function createParts(bucket: Bucket, key: string): Upload {
  let waiting: Uint8Array[] = []
  let waiting_bytes = 0
  let upload_id: string | null = null
  const etags: string[] = []
  const taken = () => {
    const part = Buffer.concat(waiting, waiting_bytes)
    waiting = []
    waiting_bytes = 0
    return part
  }
  const send = async () => {
    upload_id ??= await begin(bucket, key)
    if (etags.length >= mostParts) throw failed('UploadPart', 'too many parts')
    const query = `?partNumber=${etags.length + 1}&uploadId=${encodeURIComponent(upload_id)}`
    const answer = await bucket.call('UploadPart', key, { method: 'PUT', query, ...checked(taken()) })
    await drained(answer)
    etags.push(answer.headers.get('etag') ?? '')
  }
  return {
    async write(chunk: Uint8Array) {
      waiting.push(chunk)
      waiting_bytes += chunk.byteLength
      if (waiting_bytes >= part_bytes) await send()
    },
    async finish() {
      if (upload_id === null) {
        const whole = await bucket.call('PutObject', key, { method: 'PUT', ...checked(taken()) })
        await drained(whole)
        return
      }
      if (waiting_bytes > 0) await send()
      const list = etags.map(
        (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${etag}</ETag></Part>`,
      )
      const answer = await bucket.call('CompleteMultipartUpload', key, {
        method: 'POST',
        query: `?uploadId=${encodeURIComponent(upload_id)}`,
        body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
      })
      // It may fail after it has begun to answer: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
      if ((await answer.text()).includes('<Error>')) throw failed('CompleteMultipartUpload', 'refused late')
    },
    async abandon() {
      if (upload_id === null) return
      const query = `?uploadId=${encodeURIComponent(upload_id)}`
      const ended = bucket.call('AbortMultipartUpload', key, { method: 'DELETE', query }, [404])
      await ended.then(drained, () => undefined)
    },
  }
}

async function begin(bucket: Bucket, key: string): Promise<string> {
  const answer = await bucket.call('CreateMultipartUpload', key, { method: 'POST', query: '?uploads=' })
  const id = /<UploadId>([^<]{1,2000})<\/UploadId>/.exec(await answer.text())?.[1]
  if (id === undefined) throw failed('CreateMultipartUpload', 'no upload id')
  return id.replaceAll('&amp;', '&')
}

/** Checked by the store against what arrived. */
function checked(body: Buffer<ArrayBuffer>): { body: Buffer<ArrayBuffer>; headers: Record<string, string> } {
  const md5 = createHash('md5').update(body).digest('base64')
  return { body, headers: { 'content-md5': md5, 'content-length': String(body.byteLength) } }
}

/** Asks at the first read, so that a body that nobody reads holds no connection. */
function readLazily(
  bucket: Bucket,
  key: string,
  { bytes, etag }: { bytes: number; etag: string | null },
  { start, end } = { start: 0, end: Number.POSITIVE_INFINITY },
): ReadableStream<Uint8Array> {
  const stop = Math.min(end, bytes)
  let reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  const open = async () => {
    const headers: Record<string, string> = {}
    if (etag !== null) headers['if-match'] = etag
    const isPart = start > 0 || stop < bytes
    if (isPart) headers['range'] = `bytes=${start}-${stop - 1}`
    const answer = await bucket.call('GetObject', key, { headers }, [412])
    if (answer.status === 412) throw new StoreFailed('the object was replaced before it was read')
    if (isPart && !answer.headers.get('content-range')?.startsWith(`bytes ${start}-${stop - 1}/`))
      throw failed('GetObject', 'another range')
    return (answer.body ?? new Blob([]).stream()).getReader() as ReadableStreamDefaultReader<Uint8Array>
  }
  let left = stop - start
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (left <= 0) return controller.close()
        reader ??= await open()
        const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }))
        if (done || value === undefined) throw failed('GetObject', 'cut off')
        left -= value.byteLength
        controller.enqueue(value)
        if (left <= 0) controller.close()
      },
      cancel: (reason) => reader?.cancel(reason),
    },
    { highWaterMark: 0 },
  )
}
