/** Why a provider call failed. The core decides by the code alone; the detail is for people. */
export const providerErrorCodes = [
  'capacity', // no stock for this shape now: try the next offer at once
  'quota', // the account's own limit: park the account
  'balance', // the account has no money: park the account
  'throttled', // asked too often: ask later, nothing is known
  'unauthorized', // credentials or a permission: park the account
  'rejected', // the request itself is wrong for this vendor: other providers only
  'not_found', // on reads, `gone` is an observation and not an error; this is for helpers and accounts
  'unavailable', // a read could not be answered: loss of sight
  'unknown_outcome', // a mutating call whose effect is not known: look for it before repeating it
] as const

export type ProviderErrorCode = (typeof providerErrorCodes)[number]

/**
 * The only error an adapter throws. `detail` names what and which ("A100 80GB in EU-RO-1"), and never
 * holds a credential, an environment value or user-data: it is stored and shown.
 */
export class ProviderError extends Error {
  override readonly name = 'ProviderError'
  readonly code: ProviderErrorCode
  readonly provider: string
  readonly detail: string

  constructor(code: ProviderErrorCode, options: { provider: string; detail: string; cause?: unknown }) {
    super(`${options.provider}: ${code}: ${options.detail}`, { cause: options.cause })
    this.code = code
    this.provider = options.provider
    this.detail = options.detail
  }
}
