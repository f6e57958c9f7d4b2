// Looks at many attempts with few calls: all Jobs and pods of the installation, or those of some attempts, a page at a time.
import type { CoreV1Event, V1Job, V1ObjectMeta, V1Pod } from '@kubernetes/client-node'
import type { Observation, Ref } from '../provider.ts'
import type { Account } from './account.ts'
import { labels, selectorOf } from './manifest.ts'
import { observe } from './observe.ts'

/** Ids that fit into the address of a call. */
const maxNamed = 50
/** A label's value may hold nothing else, and so may a selector. */
const labelValue = /^[\w.-]{1,63}$/

export async function inspectRefs(
  account: Account,
  refs: readonly Ref[],
  signal: AbortSignal,
): Promise<Observation[]> {
  const { namespace, clock } = account.options
  const here = refs.filter((ref) => isHere(ref, namespace))
  if (here.length === 0) return refs.map(() => elsewhere)
  const labelSelector = selecting(account.options.installation, here)
  // Jobs first: a pod that is made in between is seen with its Job.
  const jobs = await listJobs(account, labelSelector, signal)
  const pods = await listPods(account, labelSelector, signal)
  const [jobOf, podsOf] = [new Map(jobs.map((job) => [attemptOf(job), job])), Map.groupBy(pods, attemptOf)]
  const isBare = jobs.some((job) => !podsOf.has(attemptOf(job)) && !isOver(job))
  const refusals = isBare ? await listRefusals(account, signal) : new Map<string, string>()
  const now = clock.now()
  return refs.map((ref) => {
    if (!isHere(ref, namespace)) return elsewhere
    const job = jobOf.get(ref.attempt_id) ?? null
    const refusal = refusals.get(job?.metadata?.uid ?? '') ?? null
    return observe({ job, pods: podsOf.get(ref.attempt_id) ?? [], refusal, now })
  })
}

const elsewhere: Observation = {
  state: 'unseen',
  detail: 'it is in another namespace than the account has now',
}

const isHere = ({ handle }: Ref, namespace: string): boolean =>
  handle === null || handle['namespace'] === namespace

export const attemptOf = (thing: { metadata?: V1ObjectMeta }): string =>
  thing.metadata?.labels?.[labels.attempt] ?? ''

export const isOver = (job: V1Job): boolean =>
  Boolean(job.metadata?.deletionTimestamp) ||
  (job.status?.conditions ?? []).some(({ type, status }) => status === 'True' && type !== 'Suspended')

function selecting(installation: string, refs: readonly Ref[]): string {
  const ids = refs.map(({ attempt_id }) => attempt_id)
  const all = selectorOf(installation)
  if (ids.length > maxNamed || !ids.every((id) => labelValue.test(id))) return all
  return `${all},${labels.attempt} in (${ids.join(',')})`
}

export function listJobs(account: Account, labelSelector: string, signal: AbortSignal): Promise<V1Job[]> {
  const { namespace } = account.options
  return account.pages('list Jobs', signal, (cluster, page, bound) =>
    cluster.batch.listNamespacedJob({ namespace, labelSelector, ...page }, bound),
  )
}

export function listPods(account: Account, labelSelector: string, signal: AbortSignal): Promise<V1Pod[]> {
  const { namespace } = account.options
  return account.pages('list pods', signal, (cluster, page, bound) =>
    cluster.core.listNamespacedPod({ namespace, labelSelector, ...page }, bound),
  )
}

/** Why Jobs have no pod, by the Job's uid: quotas and policies say so in an event alone. */
async function listRefusals(account: Account, signal: AbortSignal): Promise<Map<string, string>> {
  const { namespace } = account.options
  const fieldSelector = 'reason=FailedCreate,involvedObject.kind=Job'
  const events = await account.pages('list events', signal, (cluster, page, bound) =>
    cluster.core.listNamespacedEvent({ namespace, fieldSelector, ...page }, bound),
  )
  const at = ({ lastTimestamp, eventTime, metadata }: CoreV1Event) =>
    (lastTimestamp ?? eventTime ?? metadata.creationTimestamp)?.getTime() ?? 0
  events.sort((a, b) => at(a) - at(b))
  return new Map(events.map((event) => [event.involvedObject.uid ?? '', event.message ?? '']))
}
