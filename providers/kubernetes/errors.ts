// What the API's errors mean. Of what it says only that is kept which can hold nothing of a request: the client's own
// errors carry bodies and headers, and are dropped.
import { ApiException } from '@kubernetes/client-node'
import { ProviderError, type ProviderErrorCode } from '../errors.ts'
import { Unreadable } from './connection.ts'

export interface Call {
  provider: string
  what: string
  /** Whether it may have taken effect when nobody knows. */
  changes: boolean
  /** Nothing is repeated of what is said of it. */
  secret?: boolean
  /** Values of the request, which a webhook may repeat. */
  hide?: readonly string[]
}

/** The API's own words for an error, as far as they are JSON. */
export interface Status {
  http: number
  reason: string
  message: string
  /** Of the fields that are wrong; without their values. */
  fields: string[]
}

/** For what is shown of a message; the longest useful ones name a quota with all its resources. */
const maxMessage = 400

/** Keys and tokens are such words, and nothing that a person must read is. */
const opaque = /[\w+/=]{40,}/g

/** null: no answer of the API. */
export function statusOf(error: unknown): Status | null {
  if (!(error instanceof ApiException)) return null
  const body = bodyOf(error.body)
  const details = record(body['details'])
  const causes = Array.isArray(details['causes']) ? details['causes'] : []
  return {
    http: error.code,
    reason: text(body['reason']),
    message: text(body['message']),
    fields: causes.map((cause) => text(record(cause)['field'])).filter(Boolean),
  }
}

export function failureOf(error: unknown, call: Call): ProviderError {
  if (error instanceof ProviderError) return error
  const status = statusOf(error)
  const unknown = call.changes ? 'unknown_outcome' : 'unavailable'
  if (status === null) return failed(call, unknown, `${call.what}: ${causeOf(error)}`)
  const code = codeOf(status, call) ?? unknown
  return failed(call, code, `${call.what}: ${wordsOf(status, call, code)}`)
}

function failed({ provider }: Call, code: ProviderErrorCode, detail: string): ProviderError {
  return new ProviderError(code, { provider, detail })
}

/** null: nobody knows what it means, or whether it took effect. */
function codeOf({ http, reason, message }: Status, { changes }: Call): ProviderErrorCode | null {
  // These two come as plain text too, from the API server itself.
  if (http === 401) return 'unauthorized'
  if (http === 429) return 'throttled'
  // A proxy's page, whatever its status says.
  if (reason === '' && message === '') return null
  if (isDenied(message)) return 'rejected'
  if (http === 403) return forbidden(message)
  if (http === 404) return 'not_found'
  // A name that is taken; other conflicts are about versions, and pass.
  if (http === 409) return reason === 'AlreadyExists' && changes ? 'rejected' : null
  return [400, 405, 406, 413, 415, 422].includes(http) ? 'rejected' : null
}

/** A webhook or a policy of the cluster said no; it may use any status. */
const isDenied = (message: string): boolean =>
  /denied the request|ValidatingAdmissionPolicy|violates PodSecurity/.test(message)

function forbidden(message: string): ProviderErrorCode {
  if (/exceeded quota/.test(message)) return 'quota'
  // A namespace that is being deleted takes nothing any more.
  if (/being terminated/.test(message)) return 'not_found'
  return 'unauthorized'
}

function wordsOf(status: Status, { secret, hide = [] }: Call, code: ProviderErrorCode): string {
  const { http, reason, message, fields } = status
  const name = [http, reason].filter(Boolean).join(' ')
  // Messages about fields repeat their values.
  if (fields.length > 0 && code === 'rejected') return `${name}: ${fields.slice(0, 5).join(', ')}`
  const isTold = isDenied(message) || ['unauthorized', 'quota', 'not_found', 'throttled'].includes(code)
  if (secret || !isTold || message === '') return name
  const shown = hide.reduce((whole, value) => (value ? whole.replaceAll(value, '***') : whole), message)
  return `${name}: ${shown.replace(opaque, '***').slice(0, maxMessage)}`
}

/** Names of errors of the network; their messages can hold addresses with users and passwords. */
function causeOf(error: unknown): string {
  if (error instanceof Unreadable) return error.message
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    if (each.name === 'TimeoutError') return 'no answer in time'
    if (each.name === 'AbortError') return 'given up'
    const { code } = each as NodeJS.ErrnoException
    if (typeof code === 'string' && /^[A-Z0-9_]{3,60}$/.test(code)) return `the connection failed (${code})`
  }
  return 'the connection failed'
}

function bodyOf(body: unknown): Record<string, unknown> {
  if (typeof body !== 'string') return record(body)
  try {
    return record(JSON.parse(body))
  } catch {
    return {}
  }
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
