// An account of the tests' cluster as an operator makes it: a namespace, the rights of infra/kubernetes/rbac.yaml, and a token.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as kube from '@kubernetes/client-node'
import { createKubernetesProvider } from '../../providers/kubernetes/kubernetes.ts'
import type { KubernetesProviderOptions, PodSettings } from '../../providers/kubernetes/options.ts'
import { type KubeCluster, makeNode, type NodeShape } from './kube.ts'
import { eventually } from './kube.ts'

const file = resolve(import.meta.dirname, '../../infra/kubernetes/rbac.yaml')
export const installation = '4q7k2m9x3vtb'

/** Names of a test's own; namespaces take ten seconds to go, so they are not used again. */
let count = 0
export const newName = (): string => `t${process.pid}-${Date.now().toString(36)}-${count++}`

export interface KubeAccount {
  namespace: string
  token: string
  /** Labels that keep its pods on its own nodes. */
  node_selector: Record<string, string>
  options: KubernetesProviderOptions
  addNode: (name: string, shape?: NodeShape) => Promise<string>
  close: () => Promise<void>
}

export async function openKubeAccount(cluster: KubeCluster, url?: string): Promise<KubeAccount> {
  const namespace = newName()
  const token = await applyRights(cluster, namespace)
  const node_selector = { 'berth.test/world': namespace }
  const nodes: string[] = []
  const pods: PodSettings = { node_selector, annotations: {} }
  const options: KubernetesProviderOptions = {
    account: 'test',
    installation,
    region: 'test-cluster',
    cluster: {
      kubeconfig: kubeconfigOf(url ?? cluster.server, token, url === undefined ? cluster.ca : null),
    },
    namespace,
    prices: { gpu_usd_per_hour: { H100: 3, 'RTX 4090': 0.5 }, cpu_usd_per_hour: 0.05 },
    pods,
    clock: { now: () => new Date() },
  }
  return {
    namespace,
    token,
    node_selector,
    options,
    async addNode(name, shape = {}) {
      const whole = `${namespace}-${name}`
      nodes.push(whole)
      await makeNode(cluster, whole, { ...shape, labels: { ...shape.labels, ...node_selector } })
      return whole
    },
    async close() {
      for (const name of nodes) await cluster.core.deleteNode({ name })
      const rights = { name: `${namespace}-capacity` }
      await cluster.rbac.deleteClusterRoleBinding(rights)
      await cluster.rbac.deleteClusterRole(rights)
      await cluster.core.deleteNamespace({ name: namespace })
    },
  }
}

export const openProvider = ({ options }: KubeAccount, more: Partial<KubernetesProviderOptions> = {}) =>
  createKubernetesProvider({ ...options, ...more })

/** The file as it is, with other names. */
async function applyRights({ core, objects }: KubeCluster, namespace: string): Promise<string> {
  const text = readFileSync(file, 'utf8')
    .replaceAll(/\bnamespace: berth$/gm, `namespace: ${namespace}`)
    .replaceAll(/\bname: berth-capacity$/gm, `name: ${namespace}-capacity`)
    .replace(/(kind: Namespace\nmetadata:\n {2}name: )berth$/m, `$1${namespace}`)
    .replace('resourceNames: [berth]', `resourceNames: [${namespace}]`)
  for (const object of kube.loadAllYaml(text) as kube.KubernetesObject[]) await objects.create(object)
  await eventually(`the service account of ${namespace}`, () =>
    core.readNamespacedServiceAccount({ namespace, name: 'default' }).then(
      () => true,
      () => false,
    ),
  )
  const made = await core.createNamespacedServiceAccountToken({
    namespace,
    name: 'berth',
    body: { spec: { audiences: [], expirationSeconds: 3_600 } },
  })
  return made.status?.token ?? ''
}

function kubeconfigOf(server: string, token: string, ca: string | null): string {
  const trust = ca
    ? { 'certificate-authority-data': Buffer.from(ca).toString('base64') }
    : { 'insecure-skip-tls-verify': true }
  // JSON is YAML.
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, ...trust } }],
    users: [{ name: 'berth', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'berth' } }],
    'current-context': 'test',
  })
}
