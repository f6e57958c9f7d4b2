// What the conformance suite needs of a Kubernetes cluster, made with the real API and a proxy in front of it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { V1Job, V1Pod } from '@kubernetes/client-node'
import {
  type BackEnd,
  type Call,
  type Fault,
  requestFor,
  type Subject,
  type World,
} from '../../providers/conformance/subject.ts'
import type { Offer, Provider } from '../../providers/provider.ts'
import { answers, type Asked, openKubeProxy, type Spoiled } from '../fakes/kube-proxy.ts'
import { type KubeAccount, installation, openKubeAccount, openProvider } from './kube-account.ts'
import {
  annotationsOf,
  eventually,
  type Fate,
  type KubeCluster,
  patchJob,
  patchNode,
  setFate,
} from './kube.ts'

/** A machine with other work to do can take seconds to answer; where a case waits for the end of it, it is short. */
const [call_ms, hurried_ms] = [30_000, 1_500]

/** A minute in which nothing must happen is waited for no longer: what is counted by the second would show it. */
const pass_most_ms = 2_500

/** An adapter of a cloud whose Kubernetes the cluster is, in place of the one of Kubernetes alone. */
export interface Over {
  provider: (bound: { call_ms: number }) => Provider
  /** Which of its offers the cluster's node is. */
  isOffer: (offer: Offer) => boolean
  secrets: readonly string[]
  /** In place of the cluster's own controls. */
  back: (kubernetes: BackEnd) => Partial<BackEnd>
  close: () => Promise<void>
}

export function kubernetesSubject(cluster: KubeCluster): Subject {
  return { name: 'kubernetes', open: () => openKubeWorld(cluster) }
}

export async function openKubeWorld(
  cluster: KubeCluster,
  labels: Record<string, string> = {},
  openOver?: (account: KubeAccount) => Promise<Over>,
): Promise<World> {
  const proxy = await openKubeProxy(cluster.server, cluster.ca)
  const account = await openKubeAccount(cluster, proxy.url)
  await account.addNode('cpu', { labels })
  const over = await openOver?.(account)
  const open = over?.provider ?? ((bound: { call_ms: number }) => openProvider(account, bound))
  let most_ms = call_ms
  const provider = () => open({ call_ms: most_ms })
  const offers = await provider().offers(AbortSignal.timeout(30_000))
  const offer = offers.find(over?.isOffer ?? (({ cpu }) => cpu === 1)) as Offer
  const registry = {
    server: 'registry.example.test',
    username: 'robot',
    password: 'the-password-of-the-robot',
  }
  const back: BackEnd = { ...backEnd(cluster, account), ...proxied(proxy, account), registry }
  return {
    provider,
    request: (attempt_id) =>
      requestFor(attempt_id, offer, {
        installation,
        image: 'registry.example.test/runner@sha256:0',
        deadline_at: new Date(Date.now() + 3_600_000).toISOString(),
        cpu: 0.01,
        memory_gib: 0.05,
        disk_gib: 0.05,
      }),
    secrets: [account.token, registry.password, ...(over?.secrets ?? [])],
    // What is real here takes its time anyway.
    pass: (ms) => sleep(Math.min(ms, pass_most_ms)),
    patience_ms: 30_000,
    back: { ...back, hurry: () => (most_ms = hurried_ms), ...over?.back(back) },
    async close() {
      await over?.close()
      await account.close()
      await proxy[Symbol.asyncDispose]()
    },
  }
}

function backEnd(cluster: KubeCluster, account: KubeAccount): BackEnd {
  const { core, batch } = cluster
  const { namespace } = account
  const of = (attempt_id: string) => ({ namespace, labelSelector: `berth/attempt=${attempt_id}` })
  const podOf = async (attempt_id: string) =>
    eventually('a pod', async () => (await core.listNamespacedPod(of(attempt_id))).items[0])
  const jobOf = async (attempt_id: string): Promise<V1Job | undefined> =>
    (await batch.listNamespacedJob(of(attempt_id))).items[0]
  const end = async (attempt_id: string, fate: Fate) =>
    setFate(cluster, await podOf(attempt_id), { 'run-for': '1ms', ...fate })
  const settings = account.options.pods?.annotations as Record<string, string>
  return {
    async things(attempt_id) {
      const job = await jobOf(attempt_id)
      const { items } = await core.listNamespacedPod(of(attempt_id))
      // A Job that has ended says so a second after its pod.
      const isWaiting = job && items.length === 0 && !job.metadata?.deletionTimestamp
      return isWaiting ? 1 : items.filter(isAlive).length
    },
    async vanish(attempt_id) {
      const name = (await jobOf(attempt_id))?.metadata?.name ?? ''
      await batch.deleteNamespacedJob({ namespace, name, propagationPolicy: 'Background' })
    },
    finish: (attempt_id, exit_code) => end(attempt_id, { 'exit-code': String(exit_code) }),
    end: {
      out_of_memory: (attempt_id) => end(attempt_id, { 'exit-code': '137', reason: 'OOMKilled' }),
      async preempted(attempt_id) {
        const name = (await podOf(attempt_id)).metadata?.name ?? ''
        await core.createNamespacedPodEviction({ namespace, name, body: { metadata: { name, namespace } } })
      },
      async deadline(attempt_id) {
        const name = (await jobOf(attempt_id))?.metadata?.name ?? ''
        await patchJob(cluster, namespace, name, { spec: { activeDeadlineSeconds: 1 } })
      },
    },
    hinder: {
      async image() {
        Object.assign(settings, annotationsOf({ stuck: 'ImagePullBackOff' }))
      },
      capacity: () => patchNode(cluster, `${namespace}-cpu`, { spec: { unschedulable: true } }),
      async quota() {
        const quota = { metadata: { name: 'pods' }, spec: { hard: { pods: '0' } } }
        await core.createNamespacedResourceQuota({ namespace, body: quota })
        await eventually('the quota', async () => {
          const { status } = await core.readNamespacedResourceQuota({ namespace, name: 'pods' })
          return status?.hard !== undefined
        })
      },
    },
    async foreign() {
      const template = {
        spec: { restartPolicy: 'Never', containers: [{ name: 'main', image: 'example.test/other:1' }] },
      }
      const labels = { 'berth/installation': 'another', 'berth/attempt': 'att_of_another' }
      for (const metadata of [{ name: 'another', labels }, { name: 'nobodys' }])
        await batch.createNamespacedJob({ namespace, body: { metadata, spec: { template } } })
    },
    async helper() {
      const labels = { 'berth/installation': installation, 'berth/attempt': 'att_01jd3m4k5nep7r8r9s0t1v2w3x' }
      const name = 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x-token'
      await core.createNamespacedSecret({
        namespace,
        body: { metadata: { name, labels }, stringData: { token: 't' } },
      })
      return name
    },
    async deadMan(attempt_id) {
      const { metadata, spec } = (await jobOf(attempt_id)) ?? {}
      const from = metadata?.creationTimestamp?.getTime() ?? 0
      return new Date(from + (spec?.activeDeadlineSeconds ?? 0) * 1000)
    },
    async print(_attempt_id, text) {
      const at = new Date().toISOString()
      const lines = text.trimEnd().split('\n')
      writeFileSync(join(cluster.folder, 'pod.log'), lines.map((line) => `${at} stdout F ${line}\n`).join(''))
    },
    stranger: () =>
      openProvider(account, {
        cluster: { server: cluster.server, token: 'a-token-of-nobody', ca: cluster.ca },
      }),
    // More would show nothing new: pages are tried by small ones.
    crowd: 60,
    // Jobs and pods, and why some have no pod yet.
    calls_per_inspect: 3,
  }
}

const isAlive = ({ status }: V1Pod): boolean => status?.phase !== 'Succeeded' && status?.phase !== 'Failed'

function proxied(proxy: Awaited<ReturnType<typeof openKubeProxy>>, { namespace }: KubeAccount): BackEnd {
  const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`
  const inNamespace = `/api/v1/namespaces/${namespace}`
  const does: Record<Call, (asked: Asked) => boolean> = {
    launch: ({ method, path }) => method === 'POST' && path === jobs,
    stop: ({ method, path }) => method === 'DELETE' && path.startsWith(jobs),
    inspect: ({ method, path }) => method === 'GET' && [jobs, `${inNamespace}/pods`].includes(path),
    list: ({ method, path }) =>
      method === 'GET' && [jobs, `${inNamespace}/pods`, `${inNamespace}/secrets`].includes(path),
    offers: ({ path }) => path === '/api/v1/nodes' || path === '/api/v1/pods',
  }
  return {
    fail(call, fault, after = 0) {
      if (!isTold(call, fault)) return false
      let passed = 0
      proxy.spoil = (asked) => (does[call](asked) && passed++ >= after ? spoiledBy(fault, asked) : null)
      return true
    },
    calm() {
      proxy.spoil = () => null
    },
    loseAnswer(call) {
      proxy.spoil = (asked) => {
        if (!does[call](asked)) return null
        proxy.spoil = () => null
        return 'lost'
      }
    },
    pages(size) {
      proxy.page = size
    },
    calls: () => proxy.asked.length,
  }
}

/** A cluster has no stock to sell and no balance. */
const isTold = (call: Call, fault: Fault): boolean =>
  !['capacity', 'balance'].includes(fault) &&
  (call === 'launch' || !['quota', 'rejected', 'echo'].includes(fault))

function spoiledBy(fault: Fault, asked: Asked): Spoiled {
  switch (fault) {
    case 'quota':
      return answers.quota
    case 'throttled':
      return answers.throttled
    case 'unauthorized':
      return answers.unauthorized
    case 'rejected':
      return answers.invalid
    case 'echo':
      return answers.webhookDenied(JSON.stringify(asked))
    case 'server_error':
      return answers.etcd
    case 'html':
      return answers.html
    case 'malformed':
      return answers.malformed
    case 'truncated':
    case 'reset':
    case 'hang':
      return fault
    case 'capacity':
    case 'balance':
      throw new Error(`a cluster does not answer ${fault}`)
  }
}
