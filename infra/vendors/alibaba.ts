import { z } from 'zod'
import { familyGpu, namedRate, text, vendor } from './common.ts'

const vswitch = z.strictObject({
  zone: text,
  id: z.string().regex(/^vsw-[a-z0-9]+$/, 'must be the id of a vSwitch, like vsw-...'),
})

export const alibaba = vendor({
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
    cny_per_usd: namedRate
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
    const { createAlibabaProvider } = await import('../../providers/alibaba/alibaba.ts')
    return createAlibabaProvider({ account, installation, clock, ...settings, ...credentials })
  },
})
