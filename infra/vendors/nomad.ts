import { z } from 'zod'
import { address, pricesAt, shape, text, vendor } from './common.ts'

export const nomad = vendor({
  settings: z.strictObject({
    url: address,
    namespace: text.default('default'),
    region: text.default('global'),
    shapes: z.array(shape).min(1).max(100),
    prices_at: pricesAt,
  }),
  credentials: z.strictObject({ token: text }),
  remote: true,
  async open({ account, settings, credentials, installation }) {
    const { createNomadProvider } = await import('../../providers/nomad/nomad.ts')
    return createNomadProvider({ account, installation, ...settings, ...credentials, fetch })
  },
})
