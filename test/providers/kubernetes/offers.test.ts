// Nodes of all kinds on a real API, as offers and devices.
import type { V1DaemonSet } from '@kubernetes/client-node'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Offer } from '../../../providers/provider.ts'
import { type KubeAccount, openKubeAccount, openProvider } from '../../support/kube-account.ts'
import { type KubeBench, openBench, signal } from '../../support/kube-bench.ts'
import { noKube } from '../../support/kube-binary.ts'
import { type KubeCluster, kubeCluster, patchNode } from '../../support/kube.ts'

let cluster: KubeCluster
let account: KubeAccount
let bench: KubeBench

const h100 = {
  'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3',
  'nvidia.com/gpu.memory': '81559',
  'nvidia.com/gpu.count': '8',
  'nvidia.com/gpu.compute.major': '9',
  'nvidia.com/gpu.compute.minor': '0',
  'nvidia.com/cuda.driver-version.full': '570.86.15',
  'nvidia.com/cuda.runtime-version.full': '12.8',
}
const gpuTaint = { key: 'nvidia.com/gpu', value: 'present', effect: 'NoSchedule' }

afterEach(() => (noKube === null ? account.close() : undefined))
beforeEach(async (context) => {
  if (noKube !== null) return context.skip(noKube)
  account = await openKubeAccount(cluster)
  bench = openBench(cluster, account)
})
beforeAll(async () => {
  if (noKube === null) cluster = await kubeCluster()
})

const byId = (offers: readonly Offer[]) =>
  Object.fromEntries(
    offers.map(({ id, available, slots, usd_per_hour }) => [id, { available, slots, usd_per_hour }]),
  )

test('a node with GPUs is offered in parts, at the price of what they have, and less when something runs', async () => {
  const resources = { cpu: '64', memory: '512Gi', 'nvidia.com/gpu': '8' }
  await account.addNode('gpu', { labels: h100, taints: [gpuTaint], resources })
  const offers = await bench.provider.offers(signal)
  expect(byId(offers)).toEqual({
    'NVIDIA-H100-80GB-HBM3:gpu:8:64cpu:512gib': { available: 1, slots: 1, usd_per_hour: 27.2 },
    'NVIDIA-H100-80GB-HBM3:gpu:4:32cpu:256gib': { available: 2, slots: 2, usd_per_hour: 13.6 },
    'NVIDIA-H100-80GB-HBM3:gpu:2:16cpu:128gib': { available: 4, slots: 4, usd_per_hour: 6.8 },
    'NVIDIA-H100-80GB-HBM3:gpu:1:8cpu:64gib': { available: 8, slots: 8, usd_per_hour: 3.4 },
  })
  expect(offers.find(({ gpu }) => gpu?.count === 2)).toMatchObject({
    provider: 'kubernetes',
    account: 'test',
    region: 'test-cluster',
    spot: false,
    gpu: { model: 'H100 80GB HBM3', count: 2, memory_gib: 79.65, compute_capability: '9.0' },
    disk_gib: 50,
  })
  const offer = offers.find(({ gpu }) => gpu?.count === 4) as Offer
  const first = await bench.launch(bench.provider, { offer, device: 'cuda', cpu: 32, memory_gib: 200 })
  await bench.running(first)
  expect((await bench.pod(first)).spec?.containers[0]?.resources?.limits?.['nvidia.com/gpu']).toBe('4')
  const left = await bench.provider.offers(signal)
  expect(left.map(({ gpu, available }) => [gpu?.count, available])).toEqual([
    [8, 0],
    [1, 4],
    [2, 2],
    [4, 1],
  ])
  // Eight GPUs, each once, whatever parts of the node are offered.
  const devices = (await bench.provider.devices?.(signal)) ?? []
  const single = offers.find(({ gpu }) => gpu?.count === 1) as Offer
  expect(devices.map((device) => [device.offer, device.index])).toEqual(
    Array.from({ length: 8 }, (_, index) => [single.id, index]),
  )
  expect(devices[3]).toEqual({
    offer: single.id,
    region: 'test-cluster',
    index: 3,
    memory_used_gib: null,
    utilization: null,
    temperature_c: null,
    power_w: null,
    driver: '570.86.15',
    cuda: '12.8',
  })
})

test('work for a GPU goes to nodes of its model, and work without one to nodes without', async () => {
  const gpu = await account.addNode('gpu', {
    labels: h100,
    taints: [gpuTaint],
    resources: { 'nvidia.com/gpu': '2' },
  })
  const other = {
    ...h100,
    'nvidia.com/gpu.product': 'NVIDIA-GeForce-RTX-4090-SHARED',
    'nvidia.com/gpu.memory': '24564',
  }
  const shared = await account.addNode('shared', { labels: other, resources: { 'nvidia.com/gpu': '4' } })
  const plain = await account.addNode('plain')
  const at = async (is: (offer: Offer) => boolean) => {
    const launched = await bench.launch(bench.provider, { offer: await bench.offer(is) })
    await bench.running(launched)
    return (await bench.pod(launched)).spec?.nodeName
  }
  for (let each = 0; each < 2; each++) {
    expect(await at(({ gpu: has }) => has?.model === 'H100 80GB HBM3' && has.count === 1)).toBe(gpu)
    expect(await at(({ gpu: has }) => has?.model === 'RTX 4090' && has.count === 1)).toBe(shared)
    expect(await at(({ gpu: has }) => has === null)).toBe(plain)
  }
})

test('slices of GPUs are offered by their names, with the memory of a slice', async () => {
  const labels = { ...h100, 'nvidia.com/mig-1g.10gb.memory': '9728', 'nvidia.com/mig.strategy': 'mixed' }
  await account.addNode('mig', {
    labels,
    resources: { 'nvidia.com/gpu': '0', 'nvidia.com/mig-1g.10gb': '7', 'nvidia.com/mig-3g.40gb': '1' },
  })
  const prices = { gpu_usd_per_hour: { H100: 3, 'H100 MIG 1g.10gb': 0.5 }, cpu_usd_per_hour: 0 }
  const provider = openProvider(account, { prices })
  const offers = (await provider.offers(signal)).filter(({ gpu }) => gpu?.count === 1)
  expect(offers.map(({ gpu, slots, usd_per_hour }) => ({ ...gpu, slots, usd_per_hour }))).toEqual([
    {
      model: 'H100 80GB HBM3 MIG 1g.10gb',
      count: 1,
      memory_gib: 9.5,
      compute_capability: '9.0',
      slots: 7,
      usd_per_hour: 0.5,
    },
    {
      model: 'H100 80GB HBM3 MIG 3g.40gb',
      count: 1,
      memory_gib: 40,
      compute_capability: '9.0',
      slots: 1,
      usd_per_hour: 3,
    },
  ])
  const slice = await bench.launch(provider, { offer: offers[0] as Offer })
  await bench.running(slice)
  expect((await bench.pod(slice)).spec?.containers[0]?.resources?.limits).toMatchObject({
    'nvidia.com/mig-1g.10gb': '1',
  })
})

test('only nodes that can take work count: neither cordoned, nor tainted, nor down, nor without a price', async () => {
  await account.addNode('cordoned')
  await patchNode(cluster, `${account.namespace}-cordoned`, { spec: { unschedulable: true } })
  await account.addNode('down')
  const annotations = { 'sim.berth.test/not-ready': 'down' }
  await patchNode(cluster, `${account.namespace}-down`, { metadata: { annotations } })
  const taint = { key: 'dedicated', value: 'others', effect: 'NoSchedule' }
  await account.addNode('tainted', { taints: [taint] })
  await account.addNode('dear', {
    labels: { 'nvidia.com/gpu.product': 'NVIDIA-B300-SXM6-AC' },
    resources: { 'nvidia.com/gpu': '8' },
  })
  await account.addNode('unnamed', { resources: { 'nvidia.com/gpu': '8' } })
  await expect.poll(() => bench.provider.offers(signal)).toEqual([])
  const tolerations = [{ key: 'dedicated', operator: 'Exists' }]
  const tolerant = openProvider(account, { pods: { ...account.options.pods, tolerations } })
  expect((await tolerant.offers(signal)).length).toBeGreaterThan(0)
  const { ok, detail } = (await bench.provider.check(signal)).find(({ name }) => name === 'GPUs') ?? {}
  expect([ok, detail]).toEqual([false, expect.stringContaining('1 nodes have GPUs of unknown model')])
})

test('what the nodes’ own agents take is no room for work, and spot nodes are offered as such', async () => {
  const node = await account.addNode('spot', {
    labels: { 'karpenter.sh/capacity-type': 'spot' },
    resources: { cpu: '4', memory: '16Gi' },
  })
  const name = `agent-${account.namespace}`
  const agent = { matchLabels: { agent: account.namespace } }
  const template = {
    metadata: { labels: agent.matchLabels },
    spec: { containers: [{ name: 'a', image: 'example.test/agent:1' }] },
  }
  // A real one: the pod of an owner that there is not is collected as garbage, sooner or later.
  const owner = await cluster.objects.create<V1DaemonSet>({
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name, namespace: 'default' },
    spec: { selector: agent, template },
  })
  const uid = owner.metadata?.uid ?? ''
  await cluster.core.createNamespacedPod({
    namespace: 'default',
    body: {
      metadata: { name, ownerReferences: [{ apiVersion: 'apps/v1', kind: 'DaemonSet', name, uid }] },
      spec: {
        nodeName: node,
        tolerations: [{ operator: 'Exists' }],
        containers: [
          {
            name: 'a',
            image: 'example.test/agent:1',
            resources: { requests: { cpu: '500m', memory: '1Gi' } },
          },
        ],
      },
    },
  })
  await expect
    .poll(async () =>
      (await bench.provider.offers(signal)).map(({ id, spot, slots }) => ({ id, spot, slots })),
    )
    .toEqual([
      { id: 'cpu:3cpu:12gib', spot: true, slots: 1 },
      { id: 'cpu:1cpu:4gib', spot: true, slots: 3 },
      { id: 'cpu:2cpu:8gib', spot: true, slots: 1 },
    ])
  const first = await bench.launch(bench.provider, { offer: await bench.offer(({ cpu }) => cpu === 2) })
  await bench.running(first)
})

test('without the right to see all pods it is not known what is free', async () => {
  await account.addNode('plain', { resources: { cpu: '2' } })
  const [name, json] = [`${account.namespace}-capacity`, { op: 'remove', path: '/rules/1' }]
  await cluster.rbac.patchClusterRole({ name, body: [json] })
  await expect
    .poll(async () => (await bench.provider.offers(signal)).map(({ available, slots }) => [available, slots]))
    .toEqual([
      [null, 1],
      [null, 2],
    ])
  const checks = await bench.provider.check(signal)
  expect(checks.find(({ name: each }) => each === 'pods of the cluster')).toEqual({
    name: 'pods of the cluster',
    ok: true,
    detail: 'may not list: what is free on the nodes is not known, and launches find out',
  })
})
