// The providers that accounts can be made of: what each must be told, and how it is opened. Each loads its SDK when the
// first account is.
import { hostname } from 'node:os'
import { z } from 'zod'
import type { OpenedAccount, Vendor } from '../jobs/vendor.ts'
import type { Provider } from '../providers/provider.ts'
import { environment } from './config.ts'

const text = z.string().min(1).max(2_000)
/** Of a certificate and its chain. */
const pem = z.string().min(1).max(32_000)
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

const containers = vendor({
  settings: z
    .strictObject({
      socket: z.string().startsWith('/').max(100).optional(),
      url: address.optional(),
      network: text.default('bridge'),
      user: z
        .string()
        .regex(/^\d{1,9}(:\d{1,9})?$/, 'must be uid or uid:gid')
        .nullable()
        .default(null),
      gpus_by: z.enum(['nvidia', 'cdi']).default('nvidia'),
      pull: z.enum(['missing', 'always']).default('missing'),
      usd_per_hour: usd.default(0.01),
      slots_cpu: z.int().min(0).max(1_000).default(4),
      slots_gpu: z.int().min(0).max(64).default(1),
      disk_gib: z.number().positive().optional(),
    })
    .transform(({ socket, ...rest }) => ({
      ...rest,
      ...(rest.url === undefined ? { socket: socket ?? '/var/run/docker.sock' } : {}),
    })),
  credentials: z
    .strictObject({ ca: pem.optional(), cert: pem.optional(), key: pem.optional() })
    .refine(
      ({ ca, cert, key }) =>
        (ca === undefined) === (cert === undefined) && (cert === undefined) === (key === undefined),
      'ca, cert and key go together',
    ),
  remote: false,
  async open({ account, settings, credentials: { ca, cert, key }, installation, clock }) {
    const { createContainersProvider } = await import('../providers/containers/containers.ts')
    const { socket, url, network, user, gpus_by, pull, disk_gib, ...prices } = settings
    const tls = ca && cert && key ? { tls: { ca, cert, key } } : {}
    return createContainersProvider({
      account,
      installation,
      clock,
      // A socket is that of each server's own machine.
      host: url ? new URL(url).hostname : hostname(),
      engine: url ? { url, ...tls } : { socket: socket ?? '' },
      policy: { network, user, gpus_by, pull, env: {} },
      ...prices,
      ...(disk_gib === undefined ? {} : { disk_gib }),
      inherited_env: environment(),
    })
  },
})

/** By the name that placement and policies use. */
export const vendors: Readonly<Record<string, Vendor>> = { containers, nomad }
