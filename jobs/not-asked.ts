import { ProviderError, type ProviderErrorCode } from '../providers/errors.ts'

/** A call that was not made: nothing has happened at the provider, and nothing is known of it. */
export class NotAsked extends ProviderError {
  constructor(code: Extract<ProviderErrorCode, 'unavailable' | 'throttled'>, provider: string, why: string) {
    super(code, { provider, detail: `not asked: ${why}` })
  }
}
