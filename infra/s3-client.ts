// Calls to an S3-compatible store, each bounded in time and tries. Loaded only where a bucket is configured.
import { S3Client, S3ServiceException } from '@aws-sdk/client-s3'
import { StoreFailed } from '../jobs/deps.ts'

export interface S3Settings {
  bucket: string
  /** Before every key, without slashes at its ends; empty: none. */
  prefix: string
  /** null: AWS's own, of the region. */
  endpoint: string | null
  region: string
  /** `endpoint/bucket/key` in place of `bucket.endpoint/key`. */
  path_style: boolean
  /** null: what the AWS SDK finds by itself (AWS_ACCESS_KEY_ID, a profile, the role of the machine). */
  credentials: { key_id: string; secret: string } | null
  /** Whether readers are sent to the store, or get the bytes through this server. */
  redirect: boolean
}

/** Stores answer in milliseconds; a packet to an address that nobody has waits forever. */
const connect_ms = 5_000
/** Nothing heard for this long is a dead line. A store may think for long when it puts many parts together. */
const silent_ms = 60_000
/** One call with its tries: 8 MiB at 30 kB/s. */
const call_ms = 300_000
/** A first try and three more, by the SDK's own rule which errors pass (500, 503, SlowDown, resets), with backoff. */
const maxAttempts = 4
/** Readers that are slow hold one each; the SDK's 50 would make uploads wait for them. */
const maxSockets = 256

export function createS3Client(settings: S3Settings): S3Client {
  const { endpoint, region, path_style, credentials } = settings
  return new S3Client({
    region,
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: path_style,
    ...(credentials === null
      ? {}
      : { credentials: { accessKeyId: credentials.key_id, secretAccessKey: credentials.secret } }),
    maxAttempts,
    // The SDK's CRC32 trailers are refused by OSS, COS and older MinIO. Bodies carry Content-MD5, which all of them check.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // Some stores never answer `100 Continue`, and the SDK would wait for it.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: connect_ms,
      socketTimeout: silent_ms,
      httpAgent: { keepAlive: true, maxSockets },
      httpsAgent: { keepAlive: true, maxSockets },
    },
  })
}

/** Ends when its time is over. Throws S3Failed. */
export async function call<Output>(
  operation: string,
  run: (options: { abortSignal: AbortSignal }) => Promise<Output>,
): Promise<Output> {
  const late = new AbortController()
  const timer = setTimeout(() => late.abort(), call_ms)
  try {
    return await run({ abortSignal: late.signal })
  } catch (cause) {
    throw new S3Failed(operation, cause)
  } finally {
    // Also for a body that is read after this: it has its own bounds.
    clearTimeout(timer)
  }
}

/** The words of a refusal: `NoSuchBucket`, `ECONNREFUSED`. */
export class S3Failed extends StoreFailed {
  readonly code: string
  readonly status: number | null

  // Without the SDK's error as cause: it carries the request that was signed, and what the store wrote into it.
  constructor(operation: string, error: unknown) {
    const { code, status } = wordsOf(error)
    super(`the object store failed: ${operation}: ${code}${status === null ? '' : ` (${status})`}`)
    this.code = code
    this.status = status
  }
}

function wordsOf(error: unknown): { code: string; status: number | null } {
  const { name, code, $metadata } = error as {
    name?: unknown
    code?: unknown
    $metadata?: { httpStatusCode?: number }
  }
  const status = $metadata?.httpStatusCode ?? null
  if (name === 'AbortError') return { code: 'TimeoutError', status }
  const word = error instanceof S3ServiceException ? name : (code ?? name)
  // A store's own words are of strangers.
  return { code: typeof word === 'string' && /^[\w.]{1,64}$/.test(word) ? word : 'unknown', status }
}
