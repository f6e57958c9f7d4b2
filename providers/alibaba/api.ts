// Calls of the ECS API by its SDK, which is loaded at the first one: 1,151 models, a third of a second and 64 MB.
import { failure, failureOf, type Refusal, refusalOf } from './errors.ts'
import type { AlibabaProviderOptions } from './options.ts'

/** Those that change something: without an answer nobody knows whether they have. */
const changing = ['RunInstances', 'DeleteInstance', 'DeleteDisk', 'DeleteNetworkInterface'] as const
export type Action =
  | (typeof changing)[number]
  | 'DescribeInstances'
  | 'DescribeInstanceHistoryEvents'
  | 'DescribeInstanceTypes'
  | 'DescribeAvailableResource'
  | 'DescribePrice'
  | 'DescribeDisks'
  | 'DescribeNetworkInterfaces'
  | 'GetInstanceConsoleOutput'

export interface Api {
  /** `accept`: a refusal that is an answer to this call, which is then null. */
  call<Answer>(
    action: Action,
    request: object,
    signal: AbortSignal,
    accept?: (refusal: Refusal) => boolean,
  ): Promise<Answer | null>
}

/** An answer of the API takes a second at most; RunInstances sometimes ten. */
const call_ms = 20_000

export function openApi(options: AlibabaProviderOptions): Api {
  const most_ms = options.call_ms ?? call_ms
  let opened: Promise<Send> | null = null
  const open = (): Promise<Send> => {
    const opening = (opened ??= load(options, most_ms))
    opening.catch(() => (opened = null))
    return opening
  }
  return {
    async call<Answer>(
      action: Action,
      request: object,
      signal: AbortSignal,
      accept: (refusal: Refusal) => boolean = () => false,
    ): Promise<Answer | null> {
      const changes = changing.some((each) => each === action)
      const lost = changes ? 'unknown_outcome' : 'unavailable'
      const timeout = AbortSignal.timeout(most_ms)
      try {
        signal.throwIfAborted()
        const send = await open()
        signal.throwIfAborted()
        const body = await unless(AbortSignal.any([signal, timeout]), send(action, request))
        if (typeof body === 'object' && body !== null) return body as Answer
        throw failure(lost, `${action}: the answer is empty`)
      } catch (error) {
        if (timeout.aborted) throw failure(lost, `${action}: no answer in time`)
        if (signal.aborted) throw failure(lost, `${action}: given up`)
        const refusal = refusalOf(error)
        if (refusal && accept(refusal)) return null
        throw failureOf(error, action, changes)
      }
    },
  }
}

/** The SDK knows no signals: what it still waits for ends by its own timeouts, and nobody hears of it. */
function unless<Value>(signal: AbortSignal, work: Promise<Value>): Promise<Value> {
  work.catch(() => undefined)
  const { promise, reject } = Promise.withResolvers<never>()
  const end = () => reject(new Error('given up'))
  signal.addEventListener('abort', end, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', end))
}

type Send = (action: Action, request: object) => Promise<unknown>
type Method = (request: object, runtime: object) => Promise<{ body?: unknown }>
type Client = new (config: object) => Record<string, Method>
interface Sdk {
  /** A module of CommonJS: who loads it decides whether its own default is one step further. */
  default: Client | { default: Client }
  [model: string]: unknown
}

async function load(options: AlibabaProviderOptions, most_ms: number): Promise<Send> {
  const sdk = (await import('@alicloud/ecs20140526')) as unknown as Sdk
  const { access_key_id, access_key_secret, security_token, region, api } = options
  // Above the adapter's own bound, which says what happened; the less of the two bounds the whole answer.
  const bounds = { connectTimeout: most_ms + 5_000, readTimeout: most_ms + 5_000 }
  const Client = 'default' in sdk.default ? sdk.default.default : sdk.default
  const client = new Client({
    accessKeyId: access_key_id,
    accessKeySecret: access_key_secret,
    ...(security_token && { securityToken: security_token }),
    regionId: region,
    protocol: api?.protocol ?? 'HTTPS',
    ...(api && { endpoint: api.host }),
    // Nothing is repeated by itself: what was not answered is asked for in the next round, or is looked for first.
    retryOptions: { retryable: false, retryCondition: [], noRetryCondition: [] },
    ...bounds,
  })
  return async (action, request) => {
    const Request = sdk[`${action}Request`] as new (fields: object) => object
    const method = `${action[0]?.toLowerCase()}${action.slice(1)}WithOptions`
    const runtime = { autoretry: false, maxAttempts: 1, ...bounds }
    return (await client[method]?.(new Request(request), runtime))?.body
  }
}

/** A thousand machines in pages of a hundred are ten; a list that goes on after that goes in a circle. */
const pages_most = 1_000

/** Everything, each once: pages may shift while they are read. */
export async function pagesOf<Page extends { nextToken?: string }, Item>(
  read: (nextToken: string | undefined) => Promise<Page | null>,
  itemsOf: (page: Page) => Item[] | undefined,
  idOf: (item: Item) => string | undefined,
): Promise<Item[]> {
  const items = new Map<string, Item>()
  let next: string | undefined
  for (let pages = 0; pages < pages_most; pages++) {
    const page = await read(next)
    const part = page && itemsOf(page)
    if (!part) throw failure('unavailable', 'a list without its items')
    for (const item of part) {
      const id = idOf(item)
      if (id) items.set(id, item)
    }
    next = page.nextToken || undefined
    if (next === undefined) return [...items.values()]
  }
  throw failure('unavailable', 'a list without an end')
}
