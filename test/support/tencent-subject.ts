// The TKE adapter for the conformance suite: Tencent's APIs are the fake, the cluster is a real Kubernetes API.
import { setTimeout as sleep } from 'node:timers/promises'
import type { V1Pod } from '@kubernetes/client-node'
import type { BackEnd, Subject } from '../../providers/conformance/subject.ts'
import { partOf } from '../../providers/tencent/shape.ts'
import { secretKey } from '../fakes/tencent.ts'
import type { WireRequest } from '../fakes/wire.ts'
import type { KubeAccount } from './kube-account.ts'
import { installation } from './kube-account.ts'
import type { KubeCluster } from './kube.ts'
import { openKubeWorld, type Over } from './kube-subject.ts'
import { openFakeTencent, openProvider } from './tencent-account.ts'

/** The pool that the cluster's one node is of. */
const pool = 'np-cpu00001'

export function tencentSubject(cluster: KubeCluster): Subject {
  const labels = { 'node.tke.cloud.tencent.com/machineset': pool }
  return {
    name: 'tencent',
    open: () => openKubeWorld(cluster, labels, (account) => openOver(cluster, account)),
  }
}

async function openOver(real: KubeCluster, { options, namespace }: KubeAccount): Promise<Over> {
  const { cluster, pods } = options
  const tencent = await openFakeTencent(() => ('kubeconfig' in cluster ? cluster.kubeconfig : ''))
  const meter = startMeter(real, namespace)
  const given = { installation, namespace, clock: options.clock, ...(pods && { pods }) }
  const isPools = ({ headers }: WireRequest) => headers['x-tc-action'] === 'DescribeNodePools'
  return {
    provider: (bound) => openProvider(tencent, { ...given, ...bound }),
    isOffer: (offer) => partOf(offer)?.pool === pool,
    secrets: [secretKey],
    back: (kubernetes): Partial<BackEnd> => ({
      fail(call, fault, after) {
        if (call !== 'offers') return kubernetes.fail?.(call, fault, after) ?? false
        tencent.wire.spoil(isPools, fault, after)
        return true
      },
      calm() {
        tencent.wire.calm()
        kubernetes.calm?.()
      },
      bill: meter.bill,
      stranger: () => openProvider(tencent, { ...given, secret_key: 'a-key-of-nobody' }),
    }),
    async close() {
      await meter.stop()
      await tencent.close()
    },
  }
}

/** Often enough for no pod to be missed. */
const meter_ms = 200

/** What the vendor's meter reads: pods by the second, from their start to their end. */
function startMeter({ core }: KubeCluster, namespace: string) {
  const times = new Map<string, { attempt_id: string; from_ms: number; to_ms: number | null }>()
  const read = async () => {
    const { items } = await core.listNamespacedPod({ namespace })
    for (const pod of items) {
      const uid = pod.metadata?.uid ?? ''
      const from_ms = pod.status?.startTime?.getTime()
      if (from_ms === undefined) continue
      const attempt_id = pod.metadata?.labels?.['berth/attempt'] ?? ''
      times.set(uid, { attempt_id, from_ms, to_ms: times.get(uid)?.to_ms ?? endOf(pod) })
    }
    const there = new Set(items.map(({ metadata }) => metadata?.uid))
    for (const [uid, time] of times) if (!there.has(uid)) time.to_ms ??= Date.now()
  }
  const ended = new AbortController()
  const running = (async () => {
    while (!ended.signal.aborted) {
      await read()
      await sleep(meter_ms, null, { signal: ended.signal }).catch(() => null)
    }
  })()
  return {
    async bill(attempt_id: string) {
      await read()
      const own = [...times.values()].filter((time) => time.attempt_id === attempt_id)
      return own.reduce(
        // A second that has begun is billed; the cluster's clock has no finer ones.
        (sum, { from_ms, to_ms }) => sum + Math.max(1, Math.ceil(((to_ms ?? Date.now()) - from_ms) / 1_000)),
        0,
      )
    },
    stop() {
      ended.abort()
      return running
    },
  }
}

const endOf = ({ status }: V1Pod): number | null =>
  status?.containerStatuses?.[0]?.state?.terminated?.finishedAt?.getTime() ?? null
