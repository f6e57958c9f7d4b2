// The objects of one attempt, computed from its request alone: a repeated launch asks for the same. Pure.
import type { V1Container, V1EnvVar, V1Job, V1PodSpec, V1Secret } from '@kubernetes/client-node'
import { deadManSeconds } from '../dead-man.ts'
import { ProviderError } from '../errors.ts'
import type { LaunchRequest, LaunchSecrets } from '../provider.ts'
import type { KubernetesProviderOptions, PodSettings } from './options.ts'
import { gpuResource, nodeTerms, placeOf } from './shape.ts'

export const labels = {
  installation: 'berth/installation',
  attempt: 'berth/attempt',
  kind: 'berth/kind',
} as const
/** For who lists a Job that no row knows of. */
export const priceAnnotation = 'berth/usd-per-hour'
export const containerName = 'runner'

/** A net for what nobody cleans up: long after every result and log was read. */
const keptAfterEnd_s = 7 * 86_400
/** The runner's own 10 s of grace for its program, and its last report. */
const grace_s = 30
/** Nobody's on any common image. */
const nobody = 65_532
const home = '/var/lib/berth'
/** Of the memory: what parallel loaders of data share, which counts as memory when it is used. */
const sharedMemory = 0.5

export const selectorOf = (installation: string): string => `${labels.installation}=${installation}`
export const tokenSecretName = (name: string): string => `${name}-token`
export const pullSecretName = (name: string): string => `${name}-pull`

/** It starts no pod before it is released: everything that the pod needs is made in between. */
export function jobOf(
  options: KubernetesProviderOptions,
  request: LaunchRequest,
  hasRegistry: boolean,
): V1Job {
  const { pods = {} } = options
  const own = labelsOf(request)
  const price = { [priceAnnotation]: String(request.offer.usd_per_hour) }
  const job: V1Job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: request.name, labels: own, annotations: price },
    spec: {
      suspend: true,
      parallelism: 1,
      completions: 1,
      backoffLimit: 0,
      activeDeadlineSeconds: deadManSeconds(request, options.clock.now()),
      ttlSecondsAfterFinished: keptAfterEnd_s,
      // Without it the Job would start another pod for a pod that was evicted: the next attempt is Berth's to make.
      podFailurePolicy: {
        rules: [{ action: 'FailJob', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }],
      },
      template: {
        metadata: { labels: { ...pods.labels, ...own }, annotations: { ...pods.annotations, ...price } },
        spec: podOf(options, request, hasRegistry),
      },
    },
  }
  return options.adjust ? options.adjust(job, request) : job
}

export function labelsOf(request: LaunchRequest): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'berth',
    [labels.installation]: request.installation,
    [labels.attempt]: request.attempt_id,
    [labels.kind]: request.kind,
  }
}

function podOf(options: KubernetesProviderOptions, request: LaunchRequest, hasRegistry: boolean): V1PodSpec {
  const { pods = {} } = options
  const place = placeOf(request.offer)
  if (place === null && !options.adjust)
    throw new ProviderError('rejected', {
      provider: options.name ?? 'kubernetes',
      detail: 'the offer is none of this cluster: ask for its offers again',
    })
  const pulls = [...(pods.image_pull_secrets ?? []), ...(hasRegistry ? [pullSecretName(request.name)] : [])]
  const user = pods.run_as_user === undefined ? nobody : pods.run_as_user
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    terminationGracePeriodSeconds: grace_s,
    ...settingsOf(pods),
    ...(pulls.length > 0 && { imagePullSecrets: pulls.map((name) => ({ name })) }),
    ...(place && {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: nodeTerms(place) },
        },
      },
    }),
    // Nodes with GPUs are kept free of everything else by this taint.
    tolerations: [
      ...(request.offer.gpu ? [{ key: gpuResource, operator: 'Exists' }] : []),
      ...(pods.tolerations ?? []),
    ],
    securityContext: {
      runAsNonRoot: true,
      ...(user !== null && { runAsUser: user, runAsGroup: user, fsGroup: user }),
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [containerOf(request, place?.resource ?? null)],
    volumes: [
      { name: 'work', emptyDir: {} },
      {
        name: 'shm',
        emptyDir: { medium: 'Memory', sizeLimit: mebibytes(request.memory_gib * sharedMemory) },
      },
    ],
  }
}

function settingsOf({ priority_class, service_account, runtime_class, node_selector }: PodSettings) {
  return {
    ...(priority_class && { priorityClassName: priority_class }),
    ...(service_account && { serviceAccountName: service_account }),
    ...(runtime_class && { runtimeClassName: runtime_class }),
    ...(node_selector && { nodeSelector: { ...node_selector } }),
  }
}

function containerOf(request: LaunchRequest, resource: string | null): V1Container {
  const { gpu } = request.offer
  // Asked for and bounded alike: the last to be evicted, and no neighbour is slowed down.
  const bounds: Record<string, string> = {
    cpu: `${Math.ceil(request.cpu * 1000)}m`,
    memory: mebibytes(request.memory_gib),
    'ephemeral-storage': mebibytes(request.disk_gib),
    ...(gpu && { [resource ?? gpuResource]: String(gpu.count) }),
  }
  return {
    name: containerName,
    ...(request.image !== null && { image: request.image }),
    ...(request.command && { command: [...request.command] }),
    env: environmentOf(request),
    resources: { requests: bounds, limits: bounds },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'work', mountPath: home, subPath: 'home' },
      { name: 'work', mountPath: '/tmp', subPath: 'tmp' },
      { name: 'shm', mountPath: '/dev/shm' },
    ],
  }
}

function environmentOf(request: LaunchRequest): V1EnvVar[] {
  return [
    { name: 'BERTH_URL', value: request.berth_url },
    { name: 'BERTH_ATTEMPT_ID', value: request.attempt_id },
    {
      name: 'BERTH_TOKEN',
      valueFrom: { secretKeyRef: { name: tokenSecretName(request.name), key: 'token' } },
    },
    { name: 'BERTH_HOME', value: home },
    { name: 'HOME', value: home },
    { name: 'TMPDIR', value: '/tmp' },
    // Images made for GPUs ask for all of a node by themselves.
    ...(request.offer.gpu ? [] : [{ name: 'NVIDIA_VISIBLE_DEVICES', value: 'void' }]),
  ]
}

/** Owned by the Job, so the cluster takes them away with it. */
export function secretsOf(
  request: LaunchRequest,
  { token, registry }: LaunchSecrets,
  job_uid: string,
): V1Secret[] {
  const metadata = (name: string) => ({
    name,
    labels: labelsOf(request),
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: request.name, uid: job_uid }],
  })
  const own: V1Secret = {
    metadata: metadata(tokenSecretName(request.name)),
    type: 'Opaque',
    stringData: { token },
    immutable: true,
  }
  if (!registry) return [own]
  const { server, username, password } = registry
  const auth = Buffer.from(`${username}:${password}`).toString('base64')
  const config = JSON.stringify({ auths: { [server]: { username, password, auth } } })
  return [
    own,
    {
      metadata: metadata(pullSecretName(request.name)),
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': config },
      immutable: true,
    },
  ]
}

const mebibytes = (gib: number): string => `${Math.max(1, Math.ceil(gib * 1024))}Mi`
