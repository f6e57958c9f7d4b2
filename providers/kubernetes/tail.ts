// The end of a pod's log.
import type { Ref } from '../provider.ts'
import type { Account } from './account.ts'
import { statusOf } from './errors.ts'
import { listPods } from './inspect.ts'
import { containerName, labels, selectorOf } from './manifest.ts'

/** More than 64 KiB of usual lines. */
const maxLines = 2_000

export async function tailOf(account: Account, { attempt_id }: Ref, signal: AbortSignal): Promise<string> {
  const { namespace, installation } = account.options
  const labelSelector = `${selectorOf(installation)},${labels.attempt}=${attempt_id}`
  const [pod] = await listPods(account, labelSelector, signal)
  const name = pod?.metadata?.name
  if (!name) return ''
  return account.call(
    { what: 'read the log', changes: false, kind: 'log' },
    signal,
    async (cluster, bound) => {
      const asked = { namespace, name, container: containerName, tailLines: maxLines }
      return cluster.core.readNamespacedPodLog(asked, bound).catch((error: unknown) => {
        // Gone meanwhile, or not started yet.
        const status = statusOf(error)
        if (
          status?.http === 404 ||
          (status?.http === 400 && /waiting to start|not found/.test(status.message))
        )
          return ''
        throw error
      })
    },
  )
}
