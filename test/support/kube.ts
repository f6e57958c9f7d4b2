// The tests' Kubernetes cluster: an administrator's clients, namespaces and nodes of a test's own, and what a kubelet would do.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as kube from '@kubernetes/client-node'
import { inject } from 'vitest'
import { patience_ms } from './patience.ts'

const look_ms = 50

export interface KubeCluster {
  server: string
  /** Of an administrator. */
  token: string
  ca: string
  /** Its work folder. */
  folder: string
  /** Of its supervisor; SIGHUP restarts the API server. */
  pid: number
  config: kube.KubeConfig
  core: kube.CoreV1Api
  batch: kube.BatchV1Api
  rbac: kube.RbacAuthorizationV1Api
  scheduling: kube.SchedulingV1Api
  objects: kube.KubernetesObjectApi
}

export async function kubeCluster(): Promise<KubeCluster> {
  const folder = inject('kube_folder')
  writeFileSync(join(folder, 'wanted'), '')
  const at = (name: string) => join(folder, name)
  for (const until = Date.now() + patience_ms; !existsSync(at('ready.json')); await sleep(look_ms)) {
    if (existsSync(at('failed')))
      throw new Error(`the cluster did not start: ${readFileSync(at('failed'), 'utf8')}`)
    if (Date.now() > until) throw new Error('the cluster did not start in time')
  }
  const { server, token, ca, pid } = JSON.parse(readFileSync(at('ready.json'), 'utf8')) as Record<
    string,
    string
  >
  const config = new kube.KubeConfig()
  config.loadFromFile(at('kubeconfig'))
  keepConnections(config)
  return {
    server: String(server),
    token: String(token),
    ca: readFileSync(String(ca), 'utf8'),
    folder,
    pid: Number(pid),
    config,
    core: config.makeApiClient(kube.CoreV1Api),
    batch: config.makeApiClient(kube.BatchV1Api),
    rbac: config.makeApiClient(kube.RbacAuthorizationV1Api),
    scheduling: config.makeApiClient(kube.SchedulingV1Api),
    objects: kube.KubernetesObjectApi.makeApiClient(config),
  }
}

/** The client makes new ones for each request. */
function keepConnections(config: kube.KubeConfig): void {
  const apply = config.applySecurityAuthentication.bind(config)
  let pool: ReturnType<kube.RequestContext['getDispatcher']>
  config.applySecurityAuthentication = async (request) => {
    await apply(request)
    pool ??= request.getDispatcher()
    if (pool) request.setDispatcher(pool)
  }
}

/** Of simulated pods; stages/pods.yaml says what each does. */
export type Fate = Partial<
  Record<
    'start-after' | 'stuck' | 'run-for' | 'exit-code' | 'reason' | 'kill-after' | 'kill-exit-code',
    string
  >
>

export const annotationsOf = (fate: Fate): Record<string, string> =>
  Object.fromEntries(Object.entries(fate).map(([name, value]) => [`sim.berth.test/${name}`, value]))

const mergePatch = kube.setHeaderOptions('Content-Type', kube.PatchStrategy.MergePatch)

/** A namespace that takes pods. */
export async function makeNamespace(
  { core }: KubeCluster,
  name: string,
  labels: Record<string, string> = {},
): Promise<string> {
  await core.createNamespace({ body: { metadata: { name, labels } } })
  await eventually(`the service account of ${name}`, () =>
    core.readNamespacedServiceAccount({ namespace: name, name: 'default' }).then(
      () => true,
      () => false,
    ),
  )
  return name
}

export interface NodeShape {
  labels?: Record<string, string>
  taints?: kube.V1Taint[]
  resources?: Record<string, string>
}

export async function makeNode({ core }: KubeCluster, name: string, shape: NodeShape = {}): Promise<void> {
  const resources = {
    cpu: '16',
    memory: '64Gi',
    'ephemeral-storage': '200Gi',
    pods: '110',
    ...shape.resources,
  }
  await core.createNode({
    body: {
      metadata: { name, labels: { 'kubernetes.io/hostname': name, ...shape.labels } },
      spec: { ...(shape.taints && { taints: shape.taints }) },
      status: { capacity: resources, allocatable: resources },
    },
  })
  await eventually(`node ${name}`, async () => {
    const { spec, status } = await core.readNode({ name })
    const isReady = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True')
    return isReady && !spec?.taints?.some(({ key }) => key.startsWith('node.kubernetes.io/'))
  })
}

export async function patchNode({ core }: KubeCluster, name: string, body: object): Promise<void> {
  await core.patchNode({ name, body }, mergePatch)
}

export async function patchJob({ batch }: KubeCluster, namespace: string, name: string, body: object) {
  return batch.patchNamespacedJob({ namespace, name, body }, mergePatch)
}

/** Decides what happens to a pod that is there. */
export async function setFate({ core }: KubeCluster, pod: kube.V1Pod, fate: Fate): Promise<void> {
  const { name = '', namespace = '' } = pod.metadata ?? {}
  const body = { metadata: { annotations: annotationsOf(fate) } }
  await core.patchNamespacedPod({ name, namespace, body }, mergePatch)
}

/** As the controllers, the scheduler and the kubelets of a cluster come to it; there is no clock to move. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
): Promise<T> {
  for (const until = Date.now() + patience_ms; ; await sleep(look_ms)) {
    const seen = await look()
    if (seen) return seen
    if (Date.now() > until) throw new Error(`it did not come to it: ${what}`)
  }
}
