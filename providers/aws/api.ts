// Calls of AWS Batch and CloudWatch Logs by their SDKs, which are loaded at the first one.
import type * as Batch from '@aws-sdk/client-batch'
import type * as Logs from '@aws-sdk/client-cloudwatch-logs'
import { failure, failureOf, type Lost } from './errors.ts'
import type { AwsProviderOptions } from './options.ts'

type Bound = { abortSignal: AbortSignal }
type Sdk = typeof Batch
type LogsSdk = typeof Logs

export interface Api {
  /** A call that changes nothing. */
  read<Answer>(
    action: string,
    signal: AbortSignal,
    work: Work<Sdk, Batch.BatchClient, Answer>,
  ): Promise<Answer>
  /** One that does: without an answer that can be read its outcome is not known. */
  change<Answer>(
    action: string,
    signal: AbortSignal,
    work: Work<Sdk, Batch.BatchClient, Answer>,
  ): Promise<Answer>
  readLogs<Answer>(
    action: string,
    signal: AbortSignal,
    work: Work<LogsSdk, Logs.CloudWatchLogsClient, Answer>,
  ): Promise<Answer>
}

type Work<Of, Client, Answer> = (sdk: Of, client: Client, bound: Bound) => Promise<Answer>

const call_ms = 20_000
const connect_ms = 5_000
/** A thousand active jobs a page: more pages than these are a list without an end. */
const pages_most = 1_000

export function openApi(options: AwsProviderOptions): Api {
  const most_ms = options.call_ms ?? call_ms
  const given = configOf(options)
  const batch = once(async () => {
    const sdk = await import('@aws-sdk/client-batch')
    return { sdk, client: new sdk.BatchClient(given) }
  })
  const logs = once(async () => {
    const sdk = await import('@aws-sdk/client-cloudwatch-logs')
    return { sdk, client: new sdk.CloudWatchLogsClient(given) }
  })
  const call = async <Of, Client, Answer>(
    open: () => Promise<{ sdk: Of; client: Client }>,
    lost: Lost,
    [action, signal, work]: [string, AbortSignal, Work<Of, Client, Answer>],
  ): Promise<Answer> => {
    const timeout = AbortSignal.timeout(most_ms)
    try {
      signal.throwIfAborted()
      const { sdk, client } = await open()
      const answer = await work(sdk, client, { abortSignal: AbortSignal.any([signal, timeout]) })
      if (!isOfAws(answer)) throw failure(lost, `${action}: no answer that can be read`)
      return answer
    } catch (error) {
      if (signal.aborted) throw failure(lost, `${action}: given up`)
      if (timeout.aborted) throw failure(lost, `${action}: no answer in time`)
      throw failureOf(error, action, lost)
    }
  }
  return {
    read: (...asked) => call(batch, 'unavailable', asked),
    change: (...asked) => call(batch, 'unknown_outcome', asked),
    readLogs: (...asked) => call(logs, 'unavailable', asked),
  }
}

/** AWS names every request; a proxy that answers in its place does not, and the SDK reads no body where it expects none. */
const isOfAws = (answer: unknown): boolean =>
  Boolean((answer as { $metadata?: { requestId?: string } } | undefined)?.$metadata?.requestId)

function configOf({ region, credentials, endpoint }: AwsProviderOptions) {
  return {
    region,
    // The SDK would repeat what was not answered three times, SubmitJob too, which has no token against doubles.
    maxAttempts: 1,
    // Above it the adapter's own bound, which says what happened.
    requestHandler: { connectionTimeout: connect_ms, requestTimeout: 2 * call_ms },
    ...(credentials && {
      credentials: {
        accessKeyId: credentials.access_key_id,
        secretAccessKey: credentials.secret_access_key,
        ...(credentials.session_token !== undefined && { sessionToken: credentials.session_token }),
      },
    }),
    ...(endpoint !== undefined && { endpoint }),
  }
}

/** Another try after a failure. */
function once<Value>(make: () => Promise<Value>): () => Promise<Value> {
  let made: Promise<Value> | null = null
  return () => {
    if (made) return made
    made = make()
    made.catch(() => (made = null))
    return made
  }
}

/** Every page; one that fails is an error and never a short list. */
export async function pagesOf<Item>(
  action: string,
  ask: (
    nextToken: string | undefined,
  ) => Promise<{ items: Item[] | undefined; nextToken?: string | undefined }>,
): Promise<Item[]> {
  const items: Item[] = []
  let token: string | undefined
  for (let page = 0; page < pages_most; page++) {
    const answer = await ask(token)
    // `{}` is what an answer becomes that is none of this API's.
    if (answer.items === undefined) throw failure('unavailable', `${action}: the answer has no list`)
    items.push(...answer.items)
    token = answer.nextToken
    if (!token) return items
  }
  throw failure('unavailable', `${action}: a list without an end`)
}
