// Accounts of vendors as a function knows them: those that are called by fetch alone are opened; of the others, whose SDKs it
// has no room for, it knows what is stored, and a server on Node calls them.
import { z } from 'zod'
import { unknownTraits } from '../../jobs/unknown-traits.ts'
import type { Vendor } from '../../jobs/vendor.ts'
import { ProviderError } from '../../providers/errors.ts'
import { nomad } from '../vendors/nomad.ts'
import { runpod } from '../vendors/runpod.ts'
import { elsewhere } from './elsewhere.ts'

/** Of a stand-in: it may run images elsewhere. */
const traits = { ...unknownTraits, runs_images: true }

/** What accounts are opened with here. Those of other vendors become stand-ins, which refuse every call. */
export const edgeVendors: Readonly<Record<string, Vendor>> = {
  nomad,
  runpod,
  ...Object.fromEntries(elsewhere.map((name) => [name, standInFor(name)])),
}

function standInFor(name: string): Vendor {
  const detail = 'a server on Node calls it, and not this edge function'
  const unavailable = () => Promise.reject(new ProviderError('unavailable', { provider: name, detail }))
  return {
    settings: z.never({ error: 'are set up at a server on Node: this edge function opens no such account' }),
    credentials: z.record(z.string(), z.string().optional()),
    remote: true,
    async open({ account }) {
      return {
        name,
        account,
        traits,
        check: unavailable,
        offers: unavailable,
        launch: unavailable,
        inspect: unavailable,
        stop: unavailable,
        // oxlint-disable-next-line require-yield -- it has nothing to tell
        async *list() {
          await unavailable()
        },
      }
    },
  }
}
