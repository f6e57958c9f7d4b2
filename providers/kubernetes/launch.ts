// Starts an attempt: a Job that waits, the Secrets it owns, then its release. Every step may be repeated after a crash: what is
// there already is the earlier launch's.
import type { V1Job } from '@kubernetes/client-node'
import { ProviderError } from '../errors.ts'
import type { Handle, LaunchRequest, LaunchSecrets } from '../provider.ts'
import type { Account } from './account.ts'
import { statusOf } from './errors.ts'
import { jobOf, labels, secretsOf } from './manifest.ts'

export async function launchJob(
  account: Account,
  request: LaunchRequest,
  secrets: LaunchSecrets,
  signal: AbortSignal,
): Promise<Handle> {
  const { provider, options } = account
  const { namespace } = options
  if (request.image === null)
    throw new ProviderError('rejected', { provider, detail: 'the cluster runs images, and none is named' })
  const job = await createJob(account, request, secrets, signal)
  const uid = job.metadata?.uid ?? ''
  if (job.spec?.suspend) {
    for (const secret of secretsOf(request, secrets, uid))
      await account.call({ what: 'create a Secret', changes: true, secret: true }, signal, (cluster, bound) =>
        cluster.core.createNamespacedSecret({ namespace, body: secret }, bound).catch(unlessThere),
      )
    await release(account, request.name, uid, signal)
  }
  return { namespace, name: request.name, uid }
}

/** The Job of this name, made now or by an earlier launch. */
async function createJob(
  account: Account,
  request: LaunchRequest,
  { token, registry }: LaunchSecrets,
  signal: AbortSignal,
): Promise<V1Job> {
  const { namespace } = account.options
  const body = jobOf(account.options, request, Boolean(registry))
  // None of them is in a Job but the first; who knows what a webhook has read elsewhere.
  const hide = [request.berth_url, token, ...(registry ? [registry.password] : [])]
  const made = await account.call({ what: 'create the Job', changes: true, hide }, signal, (cluster, bound) =>
    cluster.batch.createNamespacedJob({ namespace, body }, bound).catch(unlessThere),
  )
  if (made) return made
  const found = await account.call({ what: 'read the Job', changes: true }, signal, (cluster, bound) =>
    cluster.batch.readNamespacedJob({ namespace, name: request.name }, bound).catch((error: unknown) => {
      // It was there a moment ago, and is being taken away.
      if (statusOf(error)?.http === 404) return null
      throw error
    }),
  )
  const { provider } = account
  if (found === null) throw deleted(account)
  if (found.metadata?.labels?.[labels.attempt] !== request.attempt_id)
    throw new ProviderError('rejected', {
      provider,
      detail: `a Job ${request.name} that is not this attempt's is in namespace ${namespace}: remove it`,
    })
  return found
}

async function release(account: Account, name: string, uid: string, signal: AbortSignal): Promise<void> {
  const { namespace } = account.options
  await account.call({ what: 'release the Job', changes: true }, signal, (cluster, bound) =>
    cluster.batch
      // With its uid: a Job that was deleted and made again is another one.
      .patchNamespacedJob({ namespace, name, body: { metadata: { uid }, spec: { suspend: false } } }, bound)
      .catch((error: unknown) => {
        if (statusOf(error)?.http !== 404) throw error
        throw deleted(account)
      }),
  )
}

const deleted = ({ provider }: Account) =>
  new ProviderError('unknown_outcome', { provider, detail: 'the Job was deleted meanwhile' })

/** null: something of that name is there. */
function unlessThere(error: unknown): null {
  const status = statusOf(error)
  if (status?.http === 409 && status.reason === 'AlreadyExists') return null
  throw error
}
