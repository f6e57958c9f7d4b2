// The providers that accounts can be made of: what each must be told, and how it is opened. Each loads its SDK when the
// first account is.
import { z } from 'zod'
import type { OpenedAccount, Vendor } from '../jobs/vendor.ts'
import type { Provider } from '../providers/provider.ts'

const text = z.string().min(1).max(2_000)
const usd = z.number().positive().max(10_000)
const address = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// address' })

type Opened<Settings, Credentials> = Omit<OpenedAccount, 'settings' | 'credentials'> & {
  settings: Settings
  credentials: Credentials
}

/** Settings and credentials reach an adapter as its own schemas parsed them, before they were stored. */
function vendor<Settings extends z.ZodType, Credentials extends z.ZodType>(of: {
  settings: Settings
  credentials: Credentials
  remote: boolean
  open: (account: Opened<z.output<Settings>, z.output<Credentials>>) => Promise<Provider>
}): Vendor {
  return of as unknown as Vendor
}

const shape = z.strictObject({
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

const nomad = vendor({
  settings: z.strictObject({
    url: address,
    namespace: text.default('default'),
    region: text.default('global'),
    shapes: z.array(shape).min(1).max(100),
  }),
  credentials: z.strictObject({ token: text }),
  remote: true,
  async open({ account, settings, credentials, installation }) {
    const { createNomadProvider } = await import('../providers/nomad/nomad.ts')
    return createNomadProvider({ account, installation, ...settings, ...credentials, fetch })
  },
})

/** By the name that placement and policies use. */
export const vendors: Readonly<Record<string, Vendor>> = { nomad }
