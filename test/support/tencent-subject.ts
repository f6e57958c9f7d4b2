// The TKE adapter for the conformance suite: Tencent's APIs are the fake, the cluster is a real Kubernetes API.
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
  return { name: 'tencent', open: () => openKubeWorld(cluster, labels, openOver) }
}

async function openOver({ options, namespace }: KubeAccount): Promise<Over> {
  const { cluster, pods } = options
  const tencent = await openFakeTencent(() => ('kubeconfig' in cluster ? cluster.kubeconfig : ''))
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
      stranger: () => openProvider(tencent, { ...given, secret_key: 'a-key-of-nobody' }),
    }),
    close: tencent.close,
  }
}
