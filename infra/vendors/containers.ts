import { hostname } from 'node:os'
import { z } from 'zod'
import { environment } from '../config.ts'
import { address, pem, text, usd, user, vendor } from './common.ts'

export const containers = vendor({
  settings: z
    .strictObject({
      socket: z.string().startsWith('/').max(100).optional(),
      url: address.optional(),
      network: text.default('bridge'),
      user,
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
    const { createContainersProvider } = await import('../../providers/containers/containers.ts')
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
