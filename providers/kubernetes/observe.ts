// What a Job and its pods say of an attempt. Pure.
import type { V1ContainerStateTerminated, V1ContainerStatus, V1Job, V1Pod } from '@kubernetes/client-node'
import type { Observation } from '../provider.ts'
import { containerName } from './manifest.ts'

export interface Seen {
  job: V1Job | null
  pods: readonly V1Pod[]
  /** Why the Job's controller could not make a pod, in its own words. */
  refusal: string | null
  now: Date
}

/** A node that does not answer keeps its pods, though the cluster gave them up: after this long they count as lost. */
export const lostAfter_ms = 60_000
/** Of messages that are shown. */
const maxDetail = 300

const imageReasons: ReadonlySet<string> = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'SignatureValidationFailed',
])
/** The image is there, and has not what it was told to start. */
const startReasons: ReadonlySet<string> = new Set(['StartError', 'ContainerCannotRun'])
/** What kubelets say of pods that they gave up for the node's sake, before there was a condition for it. */
const takenReasons: ReadonlySet<string> = new Set([
  'Preempting',
  'Shutdown',
  'NodeShutdown',
  'NodeLost',
  'Terminated',
])

export function observe({ job, pods, refusal, now }: Seen): Observation {
  const pod = newestOf(pods)
  const failure = conditionOf(job, 'Failed') ?? conditionOf(job, 'FailureTarget')
  if (pod === null) {
    if (job === null) return { state: 'gone', detail: null }
    if (failure) return failedJob(failure)
    if (conditionOf(job, 'Complete'))
      return { state: 'exited', exit_code: 0, detail: 'completed, its pod is gone' }
    return waiting(job, refusal)
  }
  const phase = pod.status?.phase
  if (phase === 'Succeeded' || phase === 'Failed') return ended(pod, failure)
  if (isLost(pod, now))
    return {
      state: 'exited',
      exit_code: null,
      detail: `its node ${nodeOf(pod)} does not answer`,
      reason: 'preempted',
    }
  const isGoing = Boolean(pod.metadata?.deletionTimestamp) || job === null
  if (isGoing) return { state: 'running', detail: 'it is being stopped' }
  return phase === 'Running' ? { state: 'running', detail: null } : pending(pod)
}

/** The cluster has given up the pod, and its node has not confirmed it. */
export function isLost(pod: V1Pod, now: Date): boolean {
  const ends_at = pod.metadata?.deletionTimestamp
  const isTaken = isDisrupted(pod) || pod.status?.reason === 'NodeLost'
  return isTaken && ends_at !== undefined && now.getTime() - ends_at.getTime() > lostAfter_ms
}

function newestOf(pods: readonly V1Pod[]): V1Pod | null {
  const at = (pod: V1Pod) => pod.metadata?.creationTimestamp?.getTime() ?? 0
  return pods.reduce<V1Pod | null>((newest, pod) => (newest && at(newest) >= at(pod) ? newest : pod), null)
}

interface Condition {
  reason: string
  message: string
}

function conditionOf(thing: V1Job | V1Pod | null, type: string): Condition | null {
  const conditions = thing?.status?.conditions ?? []
  const found = conditions.find((condition) => condition.type === type && condition.status === 'True')
  return found ? { reason: found.reason ?? '', message: found.message ?? '' } : null
}

const isDisrupted = (pod: V1Pod): boolean => conditionOf(pod, 'DisruptionTarget') !== null
const nodeOf = (pod: V1Pod): string => pod.spec?.nodeName ?? 'of unknown name'

/** A Job that failed and whose pod is gone: the deadline deletes it, and so do evictions. */
function failedJob({ reason, message }: Condition): Observation {
  const detail = worded(reason, message)
  if (reason === 'DeadlineExceeded') return { state: 'exited', exit_code: null, detail, reason: 'deadline' }
  // The policy has one rule, for pods that were taken away.
  if (reason === 'PodFailurePolicy') return { state: 'exited', exit_code: null, detail, reason: 'preempted' }
  return { state: 'exited', exit_code: null, detail }
}

function waiting(job: V1Job, refusal: string | null): Observation {
  if (job.metadata?.deletionTimestamp) return { state: 'running', detail: 'it is being stopped' }
  if (refusal === null) return { state: 'pending', detail: job.spec?.suspend ? 'suspended' : 'no pod yet' }
  const isQuota = /exceeded quota/.test(refusal)
  return { state: 'pending', detail: refusal.slice(0, maxDetail), ...(isQuota && { reason: 'quota' }) }
}

function ended(pod: V1Pod, failure: Condition | null): Observation {
  const exit = containerOf(pod)?.state?.terminated
  const exit_code = exit?.exitCode ?? (pod.status?.phase === 'Succeeded' ? 0 : null)
  if (exit_code === 0) return { state: 'exited', exit_code, detail: null }
  const [detail, reason] = endOf(pod, exit, failure)
  return { state: 'exited', exit_code, detail: detail || null, ...(reason && { reason }) }
}

type Ending = Extract<Observation, { state: 'exited' }>['reason']

function endOf(
  pod: V1Pod,
  exit: V1ContainerStateTerminated | undefined,
  failure: Condition | null,
): [detail: string, reason?: Ending] {
  const disruption = conditionOf(pod, 'DisruptionTarget')
  if (disruption) return [worded(disruption.reason, disruption.message), 'preempted']
  const { reason = '', message } = pod.status ?? {}
  if (takenReasons.has(reason)) return [worded(reason, message), 'preempted']
  if ([reason, failure?.reason].includes('DeadlineExceeded'))
    return ['activeDeadlineSeconds is over', 'deadline']
  const why = exit?.reason ?? ''
  if (why === 'OOMKilled') return [why, 'out_of_memory']
  if (startReasons.has(why)) return [worded(why, exit?.message), 'image']
  // Evicted without a disruption: it used more disk than it asked for.
  return [reason ? worded(reason, message) : why]
}

function pending(pod: V1Pod): Observation {
  const waits = containerOf(pod)?.state?.waiting
  if (waits?.reason && waits.reason !== 'ContainerCreating') {
    const reason = imageReasons.has(waits.reason) ? ({ reason: 'image' } as const) : {}
    return { state: 'pending', detail: worded(waits.reason, waits.message), ...reason }
  }
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled')
  if (scheduled?.status === 'False') {
    const reason = scheduled.reason === 'Unschedulable' ? ({ reason: 'capacity' } as const) : {}
    return { state: 'pending', detail: worded(scheduled.reason ?? '', scheduled.message), ...reason }
  }
  return { state: 'pending', detail: waits?.reason ?? null }
}

const containerOf = (pod: V1Pod): V1ContainerStatus | undefined =>
  pod.status?.containerStatuses?.find(({ name }) => name === containerName)

const worded = (reason: string, message = ''): string =>
  [reason, message].filter(Boolean).join(': ').slice(0, maxDetail)
