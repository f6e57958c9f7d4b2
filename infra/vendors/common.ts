// What the accounts of several vendors are told in the same way.
import { z } from 'zod'
import { most_usd_per_hour } from '../../jobs/check-offers.ts'
import type { OpenedAccount, Vendor } from '../../jobs/vendor.ts'
import type { Provider } from '../../providers/provider.ts'

export const text = z.string().min(1).max(2_000)
/** Of a certificate and its chain. */
export const pem = z.string().min(1).max(32_000)
/** As dear as an offer may be (jobs/check-offers.ts). */
export const usd = z.number().positive().max(most_usd_per_hour)
/** The day that prices are of which whoever sets the account up names. */
export const pricesAt = z.iso.date().nullable().default(null)
/** Of a currency for one USD, as of a day. */
export const namedRate = z.strictObject({
  rate: z.number().positive().max(100),
  at: z.iso.date(),
  source: z.string().min(1).max(200).optional(),
})
export const address = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' })
export const user = z
  .string()
  .regex(/^\d{1,9}(:\d{1,9})?$/, 'must be uid or uid:gid')
  .nullable()
  .default(null)

export const shape = z.strictObject({
  id: text,
  gpu: z
    .strictObject({
      model: text,
      count: z.int().min(1).max(16),
      memory_gib: z.number().positive(),
      compute_capability: z.string().nullable().default(null),
    })
    .nullable()
    .default(null),
  cpu: z.number().positive(),
  memory_gib: z.number().positive(),
  disk_gib: z.number().positive(),
  usd_per_hour: usd,
})

export const familyGpu = z.strictObject({
  model: text,
  memory_gib: z.number().positive(),
  compute_capability: z.string().nullable().default(null),
})

type Opened<Settings, Credentials> = Omit<OpenedAccount, 'settings' | 'credentials'> & {
  settings: Settings
  credentials: Credentials
}

/** What was stored as JSON: a field is there or it is not, and none is undefined. */
type Stored<Value> = Value extends object
  ? { [Name in keyof Value]: Stored<Exclude<Value[Name], undefined>> }
  : Value

/** Settings and credentials reach an adapter as its own schemas parsed them, before they were stored. */
export function vendor<Settings extends z.ZodType, Credentials extends z.ZodType>(of: {
  settings: Settings
  credentials: Credentials
  remote: boolean
  open: (account: Opened<Stored<z.output<Settings>>, Stored<z.output<Credentials>>>) => Promise<Provider>
}): Vendor {
  return of as unknown as Vendor
}
