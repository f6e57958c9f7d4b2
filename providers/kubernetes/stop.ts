// Ends an attempt and takes away what it has in the cluster. Every step may be repeated.
import type { V1Pod } from '@kubernetes/client-node'
import type { Ref } from '../provider.ts'
import type { Account } from './account.ts'
import { statusOf } from './errors.ts'
import { listPods } from './inspect.ts'
import { labels, pullSecretName, selectorOf, tokenSecretName } from './manifest.ts'
import { lostAfter_ms } from './observe.ts'

export async function stopRef(account: Account, { attempt_id, handle, request }: Ref, signal: AbortSignal) {
  const secret = handle?.['secret']
  if (typeof secret === 'string') return deleteSecret(account, secret, signal)
  const name = handle?.['name'] ?? request?.name
  if (typeof name !== 'string' || (await deleteJob(account, name, attempt_id, signal))) return
  // Without the Job nobody else takes these away.
  for (const each of [tokenSecretName(name), pullSecretName(name)]) await deleteSecret(account, each, signal)
  for (const pod of await listPods(account, selecting(account, attempt_id), signal))
    await deletePod(account, pod, signal)
}

const selecting = ({ options }: Account, attempt_id: string): string =>
  `${selectorOf(options.installation)},${labels.attempt}=${attempt_id}`

/** Whether it was there; its pods and Secrets go with it. */
async function deleteJob(
  account: Account,
  name: string,
  attempt_id: string,
  signal: AbortSignal,
): Promise<boolean> {
  const { namespace } = account.options
  const found = await account.call({ what: 'read the Job', changes: true }, signal, (cluster, bound) =>
    cluster.batch.readNamespacedJob({ namespace, name }, bound).catch(unlessGone),
  )
  const uid = found?.metadata?.uid
  // Another's Job of this name is not ours to stop.
  if (!uid || found.metadata?.labels?.[labels.attempt] !== attempt_id) return false
  await account.call({ what: 'delete the Job', changes: true }, signal, (cluster, bound) =>
    cluster.batch
      // Left unsaid, the API would leave the pods running.
      .deleteNamespacedJob(
        { namespace, name, body: { propagationPolicy: 'Background', preconditions: { uid } } },
        bound,
      )
      .catch(unlessGone),
  )
  return true
}

async function deleteSecret(account: Account, name: string, signal: AbortSignal): Promise<void> {
  const { namespace } = account.options
  await account.call({ what: 'delete a Secret', changes: true, secret: true }, signal, (cluster, bound) =>
    cluster.core.deleteNamespacedSecret({ namespace, name }, bound).catch(unlessGone),
  )
}

async function deletePod(account: Account, pod: V1Pod, signal: AbortSignal): Promise<void> {
  const { namespace } = account.options
  const { name = '', uid, deletionTimestamp } = pod.metadata ?? {}
  if (!uid) return
  const isForced = deletionTimestamp !== undefined && (await isStuck(account, pod, deletionTimestamp, signal))
  if (deletionTimestamp && !isForced) return
  const body = { preconditions: { uid }, ...(isForced && { gracePeriodSeconds: 0 }) }
  await account.call({ what: 'delete a pod', changes: true }, signal, (cluster, bound) =>
    cluster.core.deleteNamespacedPod({ namespace, name, body }, bound).catch(unlessGone),
  )
}

/** Whether its node is not there to say that it has ended. A node that answers is left to end it. */
async function isStuck(account: Account, pod: V1Pod, ends_at: Date, signal: AbortSignal): Promise<boolean> {
  if (account.options.clock.now().getTime() - ends_at.getTime() <= lostAfter_ms) return false
  const fieldSelector = `metadata.name=${pod.spec?.nodeName ?? ''}`
  const nodes = await account.pages('read the node', signal, (cluster, page, bound) =>
    cluster.core.listNode({ fieldSelector, ...page }, bound),
  )
  const ready = nodes.flatMap((node) => node.status?.conditions ?? []).find(({ type }) => type === 'Ready')
  return ready !== undefined && ready.status !== 'True'
}

/** null: it is not there, or another one is. */
function unlessGone(error: unknown): null {
  const status = statusOf(error)
  if (status?.http === 404 && status.reason === 'NotFound') return null
  if (status?.http === 409 && /UID in precondition/.test(status.message)) return null
  throw error
}
