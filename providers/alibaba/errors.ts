// What the error codes of ECS mean. https://error-center.alibabacloud.com/product/Ecs
// Rows were grouped from the vendor's pages, from terraform-provider-alicloud and from Gardener's Alibaba extension; their
// wire bodies are in the fake. Those that no live account has shown yet are marked: not verified.
import { ProviderError, type ProviderErrorCode } from '../errors.ts'

/**
 * The first that fits; `*` ends a beginning. `unavailable` on a call that changes something is `unknown_outcome`, and
 * `not_found` of what is being ended is its end.
 */
export const table: readonly (readonly [pattern: string, code: ProviderErrorCode])[] = [
  ['Throttling*', 'throttled'],
  ['Rejected.Throttling', 'throttled'],
  ['OperationDenied.NoStock', 'capacity'],
  ['OperationDenied.ZoneNotAllowed', 'capacity'],
  ['OperationDenied.ZoneSystemCategoryNotMatch', 'capacity'],
  ['OperationDenied.CloudSSDNotSupported', 'capacity'],
  ['Zone.NotOnSale', 'capacity'],
  ['InvalidResourceType.NotSupported', 'capacity'],
  ['InvalidInstanceType.NotSupportDiskCategory', 'capacity'],
  ['InvalidInstanceType.ZoneNotSupported', 'capacity'],
  ['LackResource', 'capacity'], // not verified
  ['Invalid.PrivatePoolOptions.NoStock', 'capacity'], // not verified
  ['InvalidVSwitchId.IpNotEnough', 'capacity'], // not verified
  ['InvalidSpotPriceLimit.LowerThanPublicPrice', 'capacity'], // not verified; the market is above the bid
  ['QuotaExceed*', 'quota'],
  ['InvalidAccountStatus.NotEnoughBalance', 'balance'],
  ['Account.Arrearage', 'balance'],
  ['InvalidPayMethod', 'balance'],
  ['InvalidAccessKeyId.*', 'unauthorized'],
  ['SignatureDoesNotMatch', 'unauthorized'],
  ['IncompleteSignature', 'unauthorized'],
  ['InvalidTimeStamp.*', 'unauthorized'],
  ['InvalidSecurityToken.*', 'unauthorized'],
  ['Forbidden.RAM', 'unauthorized'],
  ['Forbidden.SubUser', 'unauthorized'],
  ['Forbbiden.SubUser', 'unauthorized'], // the vendor's own spelling
  ['NoPermission', 'unauthorized'],
  ['InvalidCredentials', 'unauthorized'], // the SDK's own, before anything is sent
  ['InvalidInstanceId.NotFound', 'not_found'],
  ['Forbidden.InstanceNotFound', 'not_found'],
  ['InvalidDiskId.NotFound', 'not_found'],
  ['InvalidEniId.NotFound', 'not_found'],
  // It has been heard before: whatever stands in between has sent it twice, and the first may have taken effect.
  ['SignatureNonceUsed', 'unavailable'],
  // The first call with this token is under way still.
  ['LastTokenProcessing', 'unavailable'],
  // Another request of this token was heard first: launch.ts looks for what it made.
  ['IdempotentParameterMismatch', 'unavailable'],
  ['Duplicated.ClientToken', 'unavailable'], // not verified
  ['MissingParameter*', 'rejected'],
  ['InvalidParameter*', 'rejected'],
  ['InvalidImageId.NotFound', 'rejected'],
  ['InvalidSecurityGroupId.NotFound', 'rejected'],
  ['InvalidVSwitchId.NotFound', 'rejected'],
  ['InvalidInstanceType.ValueNotSupported', 'rejected'],
  ['InvalidAutoReleaseTime.Malformed', 'rejected'],
  ['InvalidUserData.*', 'rejected'],
  ['UnsupportedParameter', 'rejected'],
  ['InternalError', 'unavailable'],
  ['ServiceUnavailable', 'unavailable'],
  ['IncorrectInstanceStatus*', 'unavailable'],
  ['IncorrectVSwitchStatus', 'unavailable'],
  ['IncorrectDiskStatus*', 'unavailable'],
  ['OperationConflict', 'unavailable'],
  ['Operation.Conflict', 'unavailable'],
  ['InvalidOperation.*', 'unavailable'],
  ['DependencyViolation.*', 'unavailable'],
]

/** What the vendor answered, as far as it may be told. */
export interface Refusal {
  code: string
  request_id: string
}

/** null: nothing that the vendor itself has said. */
export function refusalOf(error: unknown): Refusal | null {
  const { code, requestId } = (error ?? {}) as Record<string, unknown>
  const isCode = typeof code === 'string' && /^[A-Za-z][\w.]{2,100}$/.test(code) && code !== 'undefined'
  const isId = typeof requestId === 'string' && /^[\w-]{1,64}$/.test(requestId)
  return isCode && isId ? { code, request_id: requestId } : null
}

export function codeOf(vendorCode: string, changes: boolean): ProviderErrorCode {
  const row = table.find(([pattern]) =>
    pattern.endsWith('*') ? vendorCode.startsWith(pattern.slice(0, -1)) : vendorCode === pattern,
  )
  const code = row?.[1] ?? 'unavailable'
  return code === 'unavailable' && changes ? 'unknown_outcome' : code
}

/**
 * Of what the SDK throws only code and request id are kept: its messages hold the whole address, in which every parameter stands,
 * UserData too, and so do its errors of the connection.
 */
export function failureOf(error: unknown, action: string, changes: boolean): ProviderError {
  if (error instanceof ProviderError) return error
  const refusal = refusalOf(error)
  if (refusal) {
    const { code, request_id } = refusal
    return failure(codeOf(code, changes), `${action}: ${code} (request ${request_id})`)
  }
  const { statusCode, name } = (error ?? {}) as Record<string, unknown>
  const lost = changes ? 'unknown_outcome' : 'unavailable'
  if (typeof statusCode === 'number') return failure(lost, `${action}: HTTP ${statusCode}`)
  const what = name === 'RequestTimeoutError' ? 'no answer in time' : 'no answer that can be read'
  return failure(lost, `${action}: ${what}`)
}

export const failure = (code: ProviderErrorCode, detail: string): ProviderError =>
  new ProviderError(code, { provider: 'alibaba', detail })
