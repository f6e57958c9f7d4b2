// What is told of attempts that wait, end and are taken away, on a real API with simulated nodes.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Found, Observation } from '../../../providers/provider.ts'
import { type KubeAccount, openKubeAccount, openProvider } from '../../support/kube-account.ts'
import { type KubeBench, later, type Launched, openBench, signal } from '../../support/kube-bench.ts'
import { noKube } from '../../support/kube-binary.ts'
import { eventually, type KubeCluster, kubeCluster, patchNode, setFate } from '../../support/kube.ts'

let cluster: KubeCluster
let account: KubeAccount
let bench: KubeBench

beforeAll(async () => {
  if (noKube !== null) return
  cluster = await kubeCluster()
  account = await openKubeAccount(cluster)
  await account.addNode('main')
  bench = openBench(cluster, account)
})
afterAll(() => (noKube === null ? account.close() : undefined))
beforeEach((context) => {
  if (noKube !== null) context.skip(noKube)
})

const isOver = ({ state }: Observation) => state === 'exited' || state === 'gone'

test('more than any node has is a lack of capacity, with what is lacking', async () => {
  const first = await bench.launch(bench.provider, { cpu: 64 })
  const seen = await bench.until(first, (each) => 'reason' in each && each.reason === 'capacity')
  expect(seen).toMatchObject({ state: 'pending', detail: expect.stringContaining('Insufficient cpu') })
  await bench.provider.stop(first, signal)
  expect(await bench.until(first, isOver)).toEqual({ state: 'gone', detail: null })
})

test.each(['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull'])(
  'an image that cannot be pulled is told as such: %s',
  async (stuck) => {
    const first = await bench.launch(bench.with({ stuck }))
    expect(await bench.until(first, ({ detail }) => detail?.startsWith(stuck) ?? false)).toEqual({
      state: 'pending',
      reason: 'image',
      detail: `${stuck}: simulated`,
    })
  },
)

test('a container that waits for something else is no question of its image', async () => {
  const stuck = 'CreateContainerConfigError'
  const first = await bench.launch(bench.with({ stuck }))
  expect(await bench.until(first, ({ detail }) => detail?.startsWith(stuck) ?? false)).toEqual({
    state: 'pending',
    detail: `${stuck}: simulated`,
  })
})

test('an image without what it was told to start is an image error', async () => {
  const first = await bench.launch(bench.with({ 'run-for': '1ms', 'exit-code': '128', reason: 'StartError' }))
  expect(await bench.until(first, isOver)).toMatchObject({ state: 'exited', exit_code: 128, reason: 'image' })
})

test('a pod that policies refuse waits, with their words', async () => {
  const adjust: Parameters<typeof openProvider>[1] = {
    adjust: (job) => {
      for (const { securityContext } of job.spec?.template.spec?.containers ?? [])
        if (securityContext) securityContext.privileged = true
      for (const { securityContext } of job.spec?.template.spec?.containers ?? [])
        if (securityContext) securityContext.allowPrivilegeEscalation = true
      return job
    },
  }
  const first = await bench.launch(openProvider(account, adjust))
  const seen = await bench.until(first, ({ detail }) => detail?.includes('PodSecurity') ?? false)
  expect(seen).toMatchObject({ state: 'pending', detail: expect.stringContaining('privileged') })
  expect(seen).not.toHaveProperty('reason')
  await bench.provider.stop(first, signal)
})

test('what makes room for more important work was preempted', async () => {
  const name = `${account.namespace}-urgent`
  await cluster.scheduling.createPriorityClass({ body: { metadata: { name }, value: 1_000 } })
  await account.addNode('small', {
    labels: { 'berth.test/small': 'true' },
    resources: { cpu: '2' },
  })
  const node_selector = { ...account.node_selector, 'berth.test/small': 'true' }
  const first = await bench.launch(openProvider(account, { pods: { node_selector } }), { cpu: 1.5 })
  await bench.running(first)
  const urgent = openProvider(account, { pods: { node_selector, priority_class: name } })
  const second = await bench.launch(urgent, { cpu: 1.5 })
  expect(await bench.until(first, isOver)).toMatchObject({
    state: 'exited',
    reason: 'preempted',
    detail: expect.stringMatching(/Preemption|DisruptionTarget/),
  })
  await bench.running(second)
  await bench.provider.stop(second, signal)
  await cluster.scheduling.deletePriorityClass({ name })
})

test('what runs on a node that is cleared was preempted, and no second pod is started', async () => {
  const node = await account.addNode('cleared', { labels: { 'berth.test/cleared': 'true' } })
  const node_selector = { ...account.node_selector, 'berth.test/cleared': 'true' }
  const first = await bench.launch(openProvider(account, { pods: { node_selector } }))
  await bench.running(first)
  await patchNode(cluster, node, { spec: { taints: [{ key: 'maintenance', effect: 'NoExecute' }] } })
  expect(await bench.until(first, isOver)).toMatchObject({ state: 'exited', reason: 'preempted' })
  // A Job that only had lost a pod would start another one ten seconds later.
  await eventually('the end of the Job', async () =>
    (await bench.job(first))?.status?.conditions?.find(
      ({ type, reason }) => type === 'Failed' && reason === 'PodFailurePolicy',
    ),
  )
})

test('a pod on a node that answers no more is lost after a while, and a stop takes it away', async () => {
  const node = await account.addNode('dead', { labels: { 'berth.test/dead': 'true' } })
  let ahead_ms = 0
  const settings = {
    clock: { now: () => later(ahead_ms) },
    pods: {
      node_selector: { ...account.node_selector, 'berth.test/dead': 'true' },
      tolerations: [
        {
          key: 'node.kubernetes.io/not-ready',
          operator: 'Exists',
          effect: 'NoExecute',
          tolerationSeconds: 1,
        },
      ],
    },
  }
  const provider = bench.with({ 'kill-after': '1h' }, settings)
  const first = await bench.launch(provider)
  await bench.running(first)
  await patchNode(cluster, node, { metadata: { annotations: { 'sim.berth.test/not-ready': 'dead' } } })
  await eventually('the eviction', async () => (await bench.pod(first)).metadata?.deletionTimestamp)
  expect(await bench.look(first, provider)).toEqual({ state: 'running', detail: 'it is being stopped' })
  ahead_ms = 120_000
  expect(await bench.look(first, provider)).toEqual({
    state: 'exited',
    exit_code: null,
    detail: `its node ${node} does not answer`,
    reason: 'preempted',
  })
  await provider.stop(first, signal)
  await eventually('the end of the Job', async () => (await bench.job(first)) === undefined)
  expect(await bench.pods(first)).toHaveLength(1)
  await provider.stop(first, signal)
  expect(await bench.until(first, isOver, provider)).toEqual({ state: 'gone', detail: null })
}, 120_000)

test('a pod that used more disk than it asked for is nobody else’s fault', async () => {
  const first = await bench.launch()
  await bench.running(first)
  const { metadata } = await bench.pod(first)
  const message = 'Pod ephemeral local storage usage exceeds the total limit of containers 103Mi.'
  await cluster.core.patchNamespacedPodStatus({
    name: metadata?.name ?? '',
    namespace: bench.namespace,
    body: [
      { op: 'replace', path: '/status/phase', value: 'Failed' },
      { op: 'add', path: '/status/reason', value: 'Evicted' },
      { op: 'add', path: '/status/message', value: message },
    ],
  })
  expect(await bench.until(first, isOver)).toEqual({
    state: 'exited',
    exit_code: null,
    detail: `Evicted: ${message}`,
  })
})

test('a stop is confirmed only when the pod is gone', async () => {
  // Longer than a busy machine needs for the looks in between.
  const first = await bench.launch(bench.with({ 'kill-after': '3s' }))
  await bench.running(first)
  await bench.provider.stop(first, signal)
  await eventually('the end of the Job', async () => (await bench.job(first)) === undefined)
  // However long it takes: its node answers.
  const patient = openProvider(account, { clock: { now: () => later(120_000) } })
  await patient.stop(first, signal)
  for (const by of [bench.provider, patient])
    expect(await bench.look(first, by)).toEqual({ state: 'running', detail: 'it is being stopped' })
  // Its container may be seen to have ended a moment before.
  expect(await bench.until(first, ({ state }) => state === 'gone')).toEqual({ state: 'gone', detail: null })
  expect(await bench.pods(first)).toEqual([])
})

test('a pod that was left without its Job is seen, listed with its price, and stopped', async () => {
  const first = await bench.launch()
  await bench.running(first)
  const { name = '', uid } = (await bench.job(first))?.metadata ?? {}
  await cluster.batch.deleteNamespacedJob({ namespace: bench.namespace, name, propagationPolicy: 'Orphan' })
  await eventually('the end of the Job', async () => (await bench.job(first)) === undefined)
  expect(uid).toBeDefined()
  expect(await bench.look(first)).toMatchObject({ state: 'running' })
  const found = await listed(first)
  expect(found).toMatchObject([{ name, usd_per_hour: 0.05 }])
  const ref = { attempt_id: first.attempt_id, handle: found[0]?.handle ?? {}, request: null }
  await bench.provider.stop(ref, signal)
  await eventually('the end of the pod', async () => (await bench.pods(first)).length === 0)
  expect(await listed(first)).toEqual([])
})

test('what has ended is listed without a price, and its pod is still asked for its log', async () => {
  const first = await bench.launch(bench.with({ 'run-for': '1ms', 'exit-code': '3' }))
  expect(await bench.until(first, isOver)).toEqual({ state: 'exited', exit_code: 3, detail: 'Error' })
  await eventually('a list without its price', async () => (await listed(first))[0]?.usd_per_hour === 0)
  writeFileSync(join(cluster.folder, 'pod.log'), '2026-11-28T08:00:00Z stdout F its last words\n')
  expect(await bench.provider.tail?.(first, signal)).toBe('its last words\n')
})

test('a Job of another’s that has the name is refused and left alone', async () => {
  const { request } = await bench.launch()
  const name = 'berth-4q7k2m-of-another'
  const template = {
    spec: { restartPolicy: 'Never', containers: [{ name: 'a', image: 'example.test/a:1' }] },
  }
  await cluster.batch.createNamespacedJob({
    namespace: bench.namespace,
    body: { metadata: { name }, spec: { suspend: true, template } },
  })
  const mine = { ...request, name }
  await expect(bench.provider.launch(mine, { token: 't' }, signal)).rejects.toMatchObject({
    code: 'rejected',
    detail: expect.stringContaining(`a Job ${name} that is not this attempt's`),
  })
  await bench.provider.stop({ attempt_id: mine.attempt_id, handle: null, request: mine }, signal)
  await cluster.batch.readNamespacedJob({ namespace: bench.namespace, name })
})

test('what an account had in another namespace is out of its sight', async () => {
  const first = await bench.launch()
  const moved = { ...first, handle: { ...first.handle, namespace: 'elsewhere' } }
  expect(await bench.provider.inspect([moved, first], signal)).toMatchObject([
    { state: 'unseen' },
    { state: expect.stringMatching(/pending|running/) },
  ])
  await setFate(cluster, await bench.pod(first), { 'run-for': '1ms' })
})

async function listed({ attempt_id }: Launched): Promise<Found[]> {
  const found: Found[] = []
  for await (const each of bench.provider.list(signal)) if (each.attempt_id === attempt_id) found.push(each)
  return found
}
