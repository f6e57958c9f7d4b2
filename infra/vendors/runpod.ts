import { z } from 'zod'
import { text, vendor } from './common.ts'

/** Each of them is asked about by itself. */
const distinct = (values: readonly unknown[]) => new Set(values).size === values.length

const once = 'must name each once'

export const runpod = vendor({
  settings: z.strictObject({
    transport: z.enum(['rest', 'graphql']).default('rest'),
    clouds: z
      .array(z.enum(['secure', 'community']))
      .min(1)
      .refine(distinct, once)
      .default(['secure']),
    data_centers: z
      .array(z.string().regex(/^[A-Z]{2,4}(-[A-Z0-9]{1,5}){1,3}$/, 'must be data centers, like EU-RO-1'))
      .min(1)
      .max(10)
      .refine(distinct, once)
      .optional(),
    gpu_counts: z.array(z.int().min(1).max(16)).min(1).max(8).refine(distinct, once).default([1, 2, 4, 8]),
    disk_gb: z.int().min(5).max(2_000).default(50),
    bid_factor: z.number().min(1).max(5).default(1),
    min_cuda: z
      .string()
      .regex(/^\d{1,2}\.\d{1,2}$/, 'must be a version, like 12.8')
      .optional(),
  }),
  credentials: z.strictObject({ api_key: text }),
  remote: true,
  async open({ account, settings, credentials, installation, clock }) {
    const { createRunpodProvider } = await import('../../providers/runpod/runpod.ts')
    return createRunpodProvider({ account, installation, clock, ...settings, ...credentials })
  },
})
