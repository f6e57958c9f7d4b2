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

/** What was stored as JSON: a field is there or it is not, and none is undefined. */
type Stored<Value> = Value extends object
  ? { [Name in keyof Value]: Stored<Exclude<Value[Name], undefined>> }
  : Value

/** Settings and credentials reach an adapter as its own schemas parsed them, before they were stored. */
function vendor<Settings extends z.ZodType, Credentials extends z.ZodType>(of: {
  settings: Settings
  credentials: Credentials
  remote: boolean
  open: (account: Opened<Stored<z.output<Settings>>, Stored<z.output<Credentials>>>) => Promise<Provider>
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

const labels = z.record(z.string().max(317), z.string().max(1_000))
/** What every pod of an account gets; as Kubernetes names these things. */
const pods = z
  .strictObject({
    labels: labels.optional(),
    annotations: labels.optional(),
    node_selector: labels.optional(),
    tolerations: z
      .array(
        z.strictObject({
          key: text.optional(),
          operator: z.enum(['Exists', 'Equal']).optional(),
          value: text.optional(),
          effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional(),
        }),
      )
      .max(20)
      .optional(),
    priority_class: text.nullable().optional(),
    service_account: text.nullable().optional(),
    runtime_class: text.nullable().optional(),
    image_pull_secrets: z.array(text).max(20).optional(),
    run_as_user: z.int().min(1).nullable().optional(),
  })
  .optional()

const kubernetes = vendor({
  settings: z.strictObject({
    region: text.default('cluster'),
    namespace: text.default('berth'),
    context: text.nullable().default(null),
    prices: z.strictObject({
      gpu_usd_per_hour: z.record(z.string().max(100), usd).default({}),
      cpu_usd_per_hour: usd,
    }),
    pods,
  }),
  credentials: z
    .strictObject({
      kubeconfig: z.string().min(1).max(200_000).optional(),
      server: address.optional(),
      token: z.string().min(1).max(20_000).optional(),
      ca: pem.optional(),
    })
    .refine(
      ({ kubeconfig, server, token, ca }) =>
        kubeconfig === undefined
          ? (server === undefined) === (token === undefined)
          : !server && !token && !ca,
      'must be kubeconfig, or server and token (and ca), or nothing in a pod with a service account',
    ),
  remote: true,
  async open({ account, settings, credentials: { kubeconfig, server, token, ca }, installation, clock }) {
    const { createKubernetesProvider } = await import('../providers/kubernetes/kubernetes.ts')
    const { context, ...rest } = settings
    const cluster = kubeconfig
      ? { kubeconfig, context }
      : server && token
        ? { server, token, ca: ca ?? null }
        : { in_cluster: true as const }
    return createKubernetesProvider({ account, installation, clock, cluster, ...rest })
  },
})

const familyGpu = z.strictObject({
  model: text,
  memory_gib: z.number().positive(),
  compute_capability: z.string().nullable().default(null),
})
const pool = z.strictObject({
  id: text,
  instance_types: z.array(text).max(100).optional(),
  spot: z.boolean().optional(),
})
const superShape = z.strictObject({
  gpu_type: text.nullable().optional(),
  gpu: familyGpu.optional(),
  gpus: z.int().min(1).max(16).optional(),
  cpu: z.number().positive(),
  memory_gib: z.number().positive(),
  cny_per_hour: z.number().positive(),
  spot: z.boolean().optional(),
})

const tencent = vendor({
  settings: z.strictObject({
    region: text,
    cluster_id: z.string().regex(/^cls-[a-z0-9]+$/, 'must be the id of a cluster, like cls-...'),
    endpoint: z.enum(['public', 'private']).default('public'),
    namespace: text.default('berth'),
    pools: z.array(pool).max(100).optional(),
    super_nodes: z.array(superShape).max(100).optional(),
    cny_per_usd: z
      .number()
      .positive()
      .max(100)
      .meta({ description: '1 where the account is billed in USD.' }),
    zones: z.array(text).max(20).optional(),
    quote_image: text.nullable().optional(),
    gpus: z.record(z.string().max(100), familyGpu).optional(),
    pods,
  }),
  credentials: z.strictObject({
    secret_id: text,
    secret_key: text,
    session_token: z.string().min(1).max(10_000).optional(),
  }),
  remote: true,
  async open({ account, settings, credentials, installation, clock }) {
    const { createTencentProvider } = await import('../providers/tencent/tencent.ts')
    return createTencentProvider({ account, installation, clock, ...settings, ...credentials })
  },
})

const vswitch = z.strictObject({
  zone: text,
  id: z.string().regex(/^vsw-[a-z0-9]+$/, 'must be the id of a vSwitch, like vsw-...'),
})

const alibaba = vendor({
  settings: z.strictObject({
    region: z
      .string()
      .regex(/^[a-z]{2}-[a-z0-9-]{2,40}$/, 'must be the id of a region, like cn-hangzhou or ap-southeast-1'),
    vswitches: z
      .array(vswitch)
      .min(1)
      .max(20)
      .refine(
        (all) => new Set(all.map(({ zone }) => zone)).size === all.length,
        'must be one a zone: a machine starts in the first that has it',
      ),
    security_group_id: z.string().regex(/^sg-[a-z0-9]+$/, 'must be the id of a security group, like sg-...'),
    image_id: text,
    instance_types: z
      .array(z.string().regex(/^ecs\.[\w.-]{1,60}$/, 'must be an instance type, like ecs.gn7i-c8g1.2xlarge'))
      .min(1)
      .max(50),
    spot: z.boolean().default(true),
    bid_multiple: z.number().min(0.01).max(1).default(1),
    ram_role: z
      .string()
      .regex(/^[A-Za-z0-9.-]{1,64}$/, 'must be the name of a RAM role')
      .nullable()
      .default(null),
    run_as_user: z.int().min(1).nullable().optional(),
    disk_gib: z.int().min(40).max(32_768).default(200),
    disk_category: z
      .enum(['cloud_essd', 'cloud_auto', 'cloud_essd_entry', 'cloud_efficiency'])
      .default('cloud_essd'),
    cny_per_usd: z
      .strictObject({ rate: z.number().positive().max(100), at: z.iso.date() })
      .nullable()
      .default(null)
      .meta({ description: 'Of an account of the Chinese site, whose prices are in CNY.' }),
    gpus: z.record(z.string().max(100), familyGpu).optional(),
  }),
  credentials: z.strictObject({
    access_key_id: text,
    access_key_secret: text,
    security_token: z.string().min(1).max(10_000).optional(),
  }),
  remote: true,
  async open({ account, settings, credentials, installation, clock }) {
    const { createAlibabaProvider } = await import('../providers/alibaba/alibaba.ts')
    return createAlibabaProvider({ account, installation, clock, ...settings, ...credentials })
  },
})

/** By the name that placement and policies use. */
export const vendors: Readonly<Record<string, Vendor>> = {
  alibaba,
  containers,
  kubernetes,
  nomad,
  tencent,
}
