// The code under test, from this checkout or from a copy of it: the same simulation finds what is wrong in either.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Code {
  root: string
  createApp: typeof import('../../functions/_app.ts').createApp
  runPass: typeof import('../../jobs/reconcile.ts').runPass
  deliverDue: typeof import('../../jobs/webhooks.ts').deliverDue
  scanOrphans: typeof import('../../jobs/orphans.ts').scanOrphans
  createLanes: typeof import('../../jobs/lanes.ts').createLanes
  createKey: typeof import('../../jobs/keys.ts').createKey
  newReplicaId: typeof import('../../jobs/store/claim.ts').newReplicaId
  renewReplica: typeof import('../../jobs/store/claim.ts').renewReplica
  ProviderError: typeof import('../../providers/errors.ts').ProviderError
  ensureInstallation: typeof import('../../infra/first-start.ts').ensureInstallation
  createSealer: typeof import('../../infra/secrets.ts').createSealer
}

export const checkout = join(import.meta.dirname, '..', '..')

export async function loadCode(root: string): Promise<Code> {
  const load = async <Module>(file: string) => (await import(pathToFileURL(join(root, file)).href)) as Module
  const { createApp } = await load<typeof import('../../functions/_app.ts')>('functions/_app.ts')
  const { runPass } = await load<typeof import('../../jobs/reconcile.ts')>('jobs/reconcile.ts')
  const { deliverDue } = await load<typeof import('../../jobs/webhooks.ts')>('jobs/webhooks.ts')
  const { scanOrphans } = await load<typeof import('../../jobs/orphans.ts')>('jobs/orphans.ts')
  const { createKey } = await load<typeof import('../../jobs/keys.ts')>('jobs/keys.ts')
  const { createLanes } = await load<typeof import('../../jobs/lanes.ts')>('jobs/lanes.ts')
  const { newReplicaId, renewReplica } =
    await load<typeof import('../../jobs/store/claim.ts')>('jobs/store/claim.ts')
  const { ProviderError } = await load<typeof import('../../providers/errors.ts')>('providers/errors.ts')
  const { ensureInstallation } =
    await load<typeof import('../../infra/first-start.ts')>('infra/first-start.ts')
  const { createSealer } = await load<typeof import('../../infra/secrets.ts')>('infra/secrets.ts')
  return {
    root,
    createApp,
    runPass,
    deliverDue,
    scanOrphans,
    createKey,
    createLanes,
    newReplicaId,
    renewReplica,
    ProviderError,
    ensureInstallation,
    createSealer,
  }
}
