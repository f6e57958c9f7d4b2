// What the exceptions of AWS Batch mean. The API models two alone, ClientException and ServerException
// (https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html#API_SubmitJob_Errors); the others are those
// that every service has (https://docs.aws.amazon.com/batch/latest/APIReference/CommonErrors.html).
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

/** The first row whose name is equal and whose text is in the message. No row for capacity: a job waits for it. */
export const table: readonly (readonly [name: string, said: RegExp | null, code: ProviderErrorCode])[] = [
  // Quotas of jobs and of definitions: https://docs.aws.amazon.com/batch/latest/userguide/service_limits.html
  ['ClientException', /\b(limit|quota)\b.*\bexceed|\bexceed\w*\b.*\b(limit|quota)\b/i, 'quota'],
  ['ClientException', /too many requests/i, 'throttled'],
  ['ClientException', null, 'rejected'],
  ['ValidationException', null, 'rejected'],
  ['ValidationError', null, 'rejected'],
  ['SerializationException', null, 'rejected'],
  ['InvalidParameterException', null, 'rejected'],
  ['ResourceNotFoundException', null, 'not_found'],
  ['TooManyRequestsException', null, 'throttled'],
  ['ThrottlingException', null, 'throttled'],
  ['Throttling', null, 'throttled'],
  ['RequestLimitExceeded', null, 'throttled'],
  ['AccessDeniedException', null, 'unauthorized'],
  ['AccessDenied', null, 'unauthorized'],
  ['UnrecognizedClientException', null, 'unauthorized'],
  ['InvalidClientTokenId', null, 'unauthorized'],
  ['InvalidSignatureException', null, 'unauthorized'],
  ['SignatureDoesNotMatch', null, 'unauthorized'],
  ['IncompleteSignature', null, 'unauthorized'],
  ['MissingAuthenticationToken', null, 'unauthorized'],
  ['MissingAuthenticationTokenException', null, 'unauthorized'],
  ['ExpiredTokenException', null, 'unauthorized'],
  ['ExpiredToken', null, 'unauthorized'],
  ['RequestExpired', null, 'unauthorized'],
  ['OptInRequired', null, 'unauthorized'],
  // The SDK's own, where it has looked everywhere and found none.
  ['CredentialsProviderError', null, 'unauthorized'],
]

/** `lost`: what a call means whose answer is missing or not known. */
export type Lost = 'unavailable' | 'unknown_outcome'

/** Messages repeat what was sent, so none is kept; nor is the SDK's error as a cause. */
export function failureOf(error: unknown, action: string, lost: Lost): ProviderError {
  if (error instanceof ProviderError) return error
  const { name, message } = (error ?? {}) as { name?: unknown; message?: unknown }
  const row = table.find(([known, said]) => known === name && (said?.test(String(message)) ?? true))
  if (row) return failure(row[2], `${action}: ${row[0]}`)
  const status = (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode
  return failure(lost, `${action}: ${status ? `HTTP ${status}` : 'no answer that can be read'}`)
}

export const failure = (code: ProviderErrorCode, detail: string): ProviderError =>
  new ProviderError(code, { provider: 'aws', detail })
