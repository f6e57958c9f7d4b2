// The TKE adapter's Jobs on a real Kubernetes API, its cluster found by the fake of Tencent's.
import { v7 } from 'uuid'
import { TypeID } from 'typeid-js'
import { expect, test } from 'vitest'
import { runConformance } from '../../../providers/conformance/run.ts'
import { requestFor } from '../../../providers/conformance/subject.ts'
import { noKube } from '../../support/kube-binary.ts'
import { eventually, kubeCluster } from '../../support/kube.ts'
import { openKubeAccount } from '../../support/kube-account.ts'
import { nativePool, openFakeTencent, openProvider } from '../../support/tencent-account.ts'
import { tencentSubject } from '../../support/tencent-subject.ts'

/** A bound against a hang: eighty cases take a second each. */
const suite_ms = 15 * 60_000
const newId = () => TypeID.fromUUID('att', v7()).toString()

test('the TKE adapter keeps every promise', { timeout: suite_ms }, async (context) => {
  if (noKube) return context.skip(noKube)
  const report = await runConformance(tencentSubject(await kubeCluster()), {
    signal: context.signal,
    log: () => undefined,
    attemptId: newId,
  })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  // It starts nodes by the cluster's autoscaler alone, so that Tencent refuses no launch; devices are not told of.
  expect(report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))).toEqual([
    'devices are parts of offers',
    'a launch repeated while lists lag starts nothing new',
    'launch answered by capacity: capacity',
    'launch answered by balance: balance',
  ])
})

test('a Job goes to nodes of its pool, and of its type where the pool has several', async (context) => {
  if (noKube) return context.skip(noKube)
  const cluster = await kubeCluster()
  const account = await openKubeAccount(cluster)
  const { kubeconfig } = account.options.cluster as { kubeconfig: string }
  const tencent = await openFakeTencent(() => kubeconfig)
  try {
    tencent.state.pools = [
      nativePool('np-gpu00001', ['GN7.2XLARGE32']),
      nativePool('np-gpu00002', ['GN7.2XLARGE32', 'S5.2XLARGE16']),
    ]
    const resources = { cpu: '8', memory: '32Gi', 'nvidia.com/gpu': '1' }
    const of = (id: string) => ({ 'node.tke.cloud.tencent.com/machineset': id })
    const type = (name: string) => ({ 'node.kubernetes.io/instance-type': name })
    await account.addNode('one', { resources, labels: of('np-gpu00001') })
    await account.addNode('other', { resources, labels: { ...of('np-gpu00002'), ...type('S5.2XLARGE16') } })
    const right = { 'tke.cloud.tencent.com/nodepool-id': 'np-gpu00002', ...type('GN7.2XLARGE32') }
    await account.addNode('right', { resources, labels: right })
    const { namespace, options } = account
    const given = { namespace, clock: options.clock, ...(options.pods && { pods: options.pods }) }
    const provider = openProvider(tencent, given)
    const nodeOf = async (id: string) => {
      const offer = (await provider.offers(context.signal)).find((each) => each.id === id)
      if (!offer) throw new Error(`no offer ${id}`)
      const attempt_id = newId()
      const deadline_at = new Date(options.clock.now().getTime() + 3_600_000).toISOString()
      const request = requestFor(attempt_id, offer, {
        deadline_at,
        installation: '4q7k2m9x3vtb',
        image: 'registry.example.test/runner@sha256:0',
        cpu: 0.1,
        memory_gib: 0.1,
        disk_gib: 0.1,
      })
      await provider.launch(request, { token: 'a-token' }, context.signal)
      const pod = await eventually('a node', async () => {
        const { items } = await cluster.core.listNamespacedPod({
          namespace,
          labelSelector: `berth/attempt=${attempt_id}`,
        })
        return items[0]?.spec?.nodeName ? items[0] : null
      })
      expect(pod.spec?.containers[0]?.resources?.limits?.['nvidia.com/gpu']).toBe('1')
      return pod.spec?.nodeName
    }
    expect(await nodeOf('np-gpu00001/GN7.2XLARGE32/1')).toBe(`${namespace}-one`)
    expect(await nodeOf('np-gpu00002/GN7.2XLARGE32/1:mixed')).toBe(`${namespace}-right`)
  } finally {
    await account.close()
    await tencent.close()
  }
})

test('a pod of a super node has the size of its offer, and runs there alone', async (context) => {
  if (noKube) return context.skip(noKube)
  const cluster = await kubeCluster()
  const account = await openKubeAccount(cluster)
  const { kubeconfig } = account.options.cluster as { kubeconfig: string }
  const tencent = await openFakeTencent(() => kubeconfig)
  try {
    const taints = [{ key: 'eks.tke.cloud.tencent.com/eklet', effect: 'NoSchedule' }]
    const labels = { 'node.kubernetes.io/instance-type': 'eklet' }
    await account.addNode('eklet', { labels, taints, resources: { 'nvidia.com/gpu': '100' } })
    await account.addNode('other', { resources: { 'nvidia.com/gpu': '1' } })
    const { namespace, options } = account
    const provider = openProvider(tencent, {
      namespace,
      clock: options.clock,
      ...(options.pods && { pods: options.pods }),
      super_nodes: [{ gpu_type: 'A10*GNV4', cpu: 12, memory_gib: 44, cny_per_hour: 12, spot: true }],
    })
    const offer = (await provider.offers(context.signal)).find(({ spot }) => spot)
    if (!offer) throw new Error('no offer')
    const attempt_id = newId()
    const request = requestFor(attempt_id, offer, {
      deadline_at: new Date(options.clock.now().getTime() + 3_600_000).toISOString(),
      installation: '4q7k2m9x3vtb',
      image: 'registry.example.test/runner@sha256:0',
    })
    await provider.launch(request, { token: 'a-token' }, context.signal)
    const labelSelector = `berth/attempt=${attempt_id}`
    const pod = await eventually('a node', async () => {
      const [found] = (await cluster.core.listNamespacedPod({ namespace, labelSelector })).items
      return found?.spec?.nodeName ? found : null
    })
    expect(pod.spec?.nodeName).toBe(`${namespace}-eklet`)
    expect(pod.metadata?.annotations).toMatchObject({
      'eks.tke.cloud.tencent.com/cpu': '12',
      'eks.tke.cloud.tencent.com/mem': '44Gi',
      'eks.tke.cloud.tencent.com/gpu-type': 'A10*GNV4',
      'eks.tke.cloud.tencent.com/gpu-count': '1',
      'eks.tke.cloud.tencent.com/spot-pod': 'true',
    })
    expect(pod.spec?.containers[0]?.resources?.limits?.['nvidia.com/gpu']).toBe('1')
  } finally {
    await account.close()
    await tencent.close()
  }
})
