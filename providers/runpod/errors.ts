// What the refusals of RunPod's two APIs mean. GraphQL refuses with HTTP 200 and `errors`; what is refused is told by text
// alone. REST v2 has problems of RFC 9457, and tells a lack of stock by their text too. A text is looked at before the status:
// "no longer any instances" has come with 400 and with 500.
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

export type ApiName = 'graphql' | 'rest'

interface Row {
  /** In a message; no other case of letters has been seen. */
  says?: string
  status?: number
  api?: ApiName
  /** For this call alone. */
  on?: 'create'
  code: ProviderErrorCode
  /** Ours: messages repeat what was asked for, with its variables. */
  words: string
}

/**
 * The first that fits. "Something went wrong. Please try again later or contact support." has no row: it is said where stock
 * is short and elsewhere, and a pod may have been made.
 */
export const table: readonly Row[] = [
  { says: 'no longer any instances available', code: 'capacity', words: 'no stock' },
  { says: 'no instances currently available', code: 'capacity', words: 'no stock' },
  { says: 'does not have the resources to deploy your pod', code: 'capacity', words: 'no room' },
  {
    says: 'could not find any pods with required specifications',
    code: 'capacity',
    words: 'no such machine',
  },
  { says: 'pod not found to terminate', code: 'not_found', words: 'no such pod' },
  // The table of createPod: https://docs.runpod.io/api-reference-v2/pods/create-a-pod
  { status: 402, api: 'rest', code: 'balance', words: 'the balance is too low' },
  { status: 422, api: 'rest', code: 'rejected', words: 'the request is refused' },
  // "Try your next candidate": it breaks a rule, or there is no stock in words that nobody has written down.
  { status: 400, api: 'rest', on: 'create', code: 'capacity', words: 'it cannot be placed' },
  { status: 404, api: 'rest', on: 'create', code: 'rejected', words: 'it names what is not there' },
  { status: 400, code: 'rejected', words: 'the request is refused' },
  { status: 401, code: 'unauthorized', words: 'the key is not taken' },
  { status: 403, code: 'unauthorized', words: 'the key may not do this' },
  { status: 404, api: 'rest', code: 'not_found', words: 'it is not there' },
  { status: 429, code: 'throttled', words: 'asked too often' },
]

export interface Asked {
  api: ApiName
  /** The operation. */
  what: string
  /** Whoever changes something and gets no answer that can be read does not know whether it took effect. */
  mutates: boolean
  creates?: boolean
}

/** A refusal by its status and the texts in it. */
export function refusal(asked: Asked, status: number, texts: readonly string[]): ProviderError {
  const row = table.find(
    ({ says, status: of, api, on }) =>
      (says === undefined ? of === status : texts.some((text) => text.includes(says))) &&
      (api === undefined || api === asked.api) &&
      (on === undefined || asked.creates === true),
  )
  if (row) return failure(row.code, `${asked.what}: ${row.words} (HTTP ${status})`)
  return failure(lostOf(asked), `${asked.what}: an answer that is not known (HTTP ${status})`)
}

/** No answer, or none that can be read. */
export const lost = (asked: Asked, why: string): ProviderError =>
  failure(lostOf(asked), `${asked.what}: ${why}`)

const lostOf = ({ mutates }: Asked): ProviderErrorCode => (mutates ? 'unknown_outcome' : 'unavailable')

export const failure = (code: ProviderErrorCode, detail: string): ProviderError =>
  new ProviderError(code, { provider: 'runpod', detail })
