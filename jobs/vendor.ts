// What an account at a provider is made of. infra/vendors/vendors.ts knows the providers.
import type { z } from 'zod'
import type { Provider } from '../providers/provider.ts'

export interface Vendor {
  /** Where, at what price, within which bounds: shown to whoever reads the account. */
  settings: z.ZodType<Record<string, unknown>>
  /** Written once and never shown. */
  credentials: z.ZodType<Record<string, string | undefined>>
  /** Its machines are elsewhere, so they need an address at which this server can be reached. */
  remote: boolean
  /** Loads the provider's SDK; calls nobody. Throws ProviderError, or for credentials that make no sense. */
  open(account: OpenedAccount): Promise<Provider>
}

export interface OpenedAccount {
  account: string
  /** As `settings` and `credentials` of the vendor parsed them. */
  settings: Record<string, unknown>
  credentials: Record<string, string | undefined>
  installation: string
  clock: { now(): Date }
}
