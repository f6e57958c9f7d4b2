// What the error codes of TKE and CVM mean. They come with HTTP status 200; any other status is a proxy's.
// Codes: https://cloud.tencent.com/document/api/213/30435, https://cloud.tencent.com/document/api/457/36006
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

/** The first that fits; `*` ends a beginning. */
export const table: readonly (readonly [pattern: string, code: ProviderErrorCode])[] = [
  ['ResourceInsufficient.*', 'capacity'],
  ['ResourcesSoldOut.*', 'capacity'],
  ['ResourceUnavailable.InstanceType', 'capacity'],
  ['InvalidParameterValue.ZoneNotSupported', 'capacity'],
  ['FailedOperation.NoAvailableIpAddressCountInSubnet', 'capacity'],
  ['LimitExceeded*', 'quota'],
  ['FailedOperation.QuotaMax*', 'quota'],
  ['InternalError.QuotaMax*', 'quota'],
  ['FailedOperation.TradeInsufficientBalance', 'balance'],
  ['InternalError.InsufficientBalance', 'balance'],
  ['FailedOperation.InquiryPriceFailed', 'balance'],
  ['AccountQualificationRestrictions', 'balance'],
  ['RequestLimitExceeded*', 'throttled'],
  ['AuthFailure*', 'unauthorized'],
  ['UnauthorizedOperation*', 'unauthorized'],
  ['FailedOperation.CamNoAuth', 'unauthorized'],
  ['InternalError.CamNoAuth', 'unauthorized'],
  ['FailedOperation.RBACForbidden', 'unauthorized'],
  ['ResourceNotFound*', 'not_found'],
  ['InvalidParameter.ClusterNotFound', 'not_found'],
  ['InternalError.ClusterNotFound', 'not_found'],
  ['InvalidParameter*', 'rejected'],
  ['MissingParameter', 'rejected'],
  ['UnknownParameter', 'rejected'],
  ['UnsupportedOperation*', 'rejected'],
  ['UnsupportedRegion', 'rejected'],
  ['InvalidAction', 'rejected'],
  ['NoSuchVersion', 'rejected'],
  ['InvalidInstanceId.NotFound', 'rejected'],
  ['InternalError*', 'unavailable'],
  ['ResourceInUse*', 'unavailable'],
  ['ResourceUnavailable*', 'unavailable'],
  ['ResourceBusy', 'unavailable'],
  ['OperationDenied*', 'unavailable'],
  ['FailedOperation*', 'unavailable'],
]

/** Every call of this adapter to these APIs is a read: what is not known is loss of sight. */
export function codeOf(vendorCode: string): ProviderErrorCode {
  const row = table.find(([pattern]) =>
    pattern.endsWith('*') ? vendorCode.startsWith(pattern.slice(0, -1)) : vendorCode === pattern,
  )
  return row?.[1] ?? 'unavailable'
}

/** Of what the SDK throws only code and request id are kept: messages repeat parameters, and hold addresses. */
export function failureOf(error: unknown, action: string): ProviderError {
  if (error instanceof ProviderError) return error
  const { name, code, httpCode, requestId } = (error ?? {}) as Record<string, unknown>
  const isVendors = typeof code === 'string' && /^[A-Za-z][\w.]{2,100}$/.test(code) && isId(requestId)
  if (isVendors) return failure(codeOf(code), `${action}: ${code} (request ${String(requestId)})`)
  const status = typeof httpCode === 'number' ? httpCode : null
  if (status !== null) return failure('unavailable', `${action}: HTTP ${status}`)
  const what = name === 'TimeoutError' ? 'no answer in time' : name === 'AbortError' ? 'given up' : null
  return failure('unavailable', `${action}: ${what ?? 'no answer that can be read'}`)
}

const isId = (value: unknown): boolean => typeof value === 'string' && /^[\w-]{1,64}$/.test(value)

export const failure = (code: ProviderErrorCode, detail: string): ProviderError =>
  new ProviderError(code, { provider: 'tencent', detail })
