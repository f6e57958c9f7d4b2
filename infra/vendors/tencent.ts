import { z } from 'zod'
import { familyGpu, namedRate, pricesAt, text, vendor } from './common.ts'
import { pods } from './kubernetes.ts'

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
  prices_at: pricesAt,
  spot: z.boolean().optional(),
})

export const tencent = vendor({
  settings: z.strictObject({
    region: text,
    cluster_id: z.string().regex(/^cls-[a-z0-9]+$/, 'must be the id of a cluster, like cls-...'),
    endpoint: z.enum(['public', 'private']).default('public'),
    namespace: text.default('berth'),
    pools: z.array(pool).max(100).optional(),
    super_nodes: z.array(superShape).max(100).optional(),
    cny_per_usd: z
      .union([z.number().positive().max(100), namedRate])
      .meta({ description: 'A rate with its date; 1 where the account is billed in USD.' }),
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
    const { createTencentProvider } = await import('../../providers/tencent/tencent.ts')
    return createTencentProvider({ account, installation, clock, ...settings, ...credentials })
  },
})
