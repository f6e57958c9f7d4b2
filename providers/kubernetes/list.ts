// Everything with the installation's label: Jobs, pods whose Job is gone, and Secrets whose Job is gone.
import type { V1ObjectMeta } from '@kubernetes/client-node'
import type { Found } from '../provider.ts'
import type { Account } from './account.ts'
import { isHolding } from './capacity.ts'
import { attemptOf, isOver, listJobs, listPods } from './inspect.ts'
import { labels, priceAnnotation, selectorOf } from './manifest.ts'

export async function* listFound(account: Account, signal: AbortSignal): AsyncIterable<Found> {
  const { namespace, installation } = account.options
  const labelSelector = selectorOf(installation)
  // Jobs last: what was seen before and has none then has lost it, however many are launched meanwhile.
  const secrets = await listSecrets(account, labelSelector, signal)
  const pods = await listPods(account, labelSelector, signal)
  const jobs = await listJobs(account, labelSelector, signal)
  const attempts = new Set(jobs.map(attemptOf))
  for (const job of jobs) {
    const name = nameOf(job.metadata)
    yield found(job.metadata, { namespace, name, uid: job.metadata?.uid }, name, !isOver(job))
  }
  for (const pod of pods) {
    if (attempts.has(attemptOf(pod))) continue
    attempts.add(attemptOf(pod))
    const name = pod.metadata?.labels?.[jobNameLabel] ?? nameOf(pod.metadata)
    yield found(pod.metadata, { namespace, name }, name, isHolding(pod))
  }
  for (const each of secrets) {
    if (attempts.has(attemptOf(each))) continue
    const secret = nameOf(each.metadata)
    yield { ...found(each.metadata, { namespace, secret }, secret, false), attempt_id: null }
  }
}

const jobNameLabel = 'batch.kubernetes.io/job-name'
const nameOf = (metadata: V1ObjectMeta | undefined): string => metadata?.name ?? ''

function found(
  metadata: V1ObjectMeta | undefined,
  handle: Found['handle'],
  name: string,
  costs: boolean,
): Found {
  const price = Number(metadata?.annotations?.[priceAnnotation])
  return {
    name,
    attempt_id: metadata?.labels?.[labels.attempt] ?? null,
    handle,
    usd_per_hour: costs && price > 0 ? price : 0,
    since: metadata?.creationTimestamp?.toISOString() ?? null,
  }
}

function listSecrets(account: Account, labelSelector: string, signal: AbortSignal) {
  const { namespace } = account.options
  return account.pages(
    'list Secrets',
    signal,
    (cluster, page, bound) => cluster.core.listNamespacedSecret({ namespace, labelSelector, ...page }, bound),
    'names',
  )
}
