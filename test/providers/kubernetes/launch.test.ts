// What is made in the cluster for an attempt, and what is left of a launch that broke off.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { type Asked, openKubeProxy, answers, type KubeProxy, type Spoiled } from '../../fakes/kube-proxy.ts'
import { type KubeAccount, openKubeAccount, openProvider } from '../../support/kube-account.ts'
import {
  type KubeBench,
  later,
  newAttempt,
  openBench,
  requestOf,
  secrets,
  signal,
} from '../../support/kube-bench.ts'
import { noKube } from '../../support/kube-binary.ts'
import { eventually, type KubeCluster, kubeCluster } from '../../support/kube.ts'

let cluster: KubeCluster
let proxy: KubeProxy
let account: KubeAccount
let bench: KubeBench

beforeAll(async () => {
  if (noKube !== null) return
  cluster = await kubeCluster()
  proxy = await openKubeProxy(cluster.server, cluster.ca)
  account = await openKubeAccount(cluster, proxy.url)
  await account.addNode('cpu')
  bench = openBench(cluster, account)
})
afterAll(async () => {
  if (noKube !== null) return
  await account.close()
  await proxy[Symbol.asyncDispose]()
})
beforeEach((context) => {
  if (noKube !== null) return context.skip(noKube)
  proxy.spoil = () => null
  proxy.asked.length = 0
})

test('a pod is restricted, bounded, and has its token from a Secret that goes with its Job', async () => {
  const first = await bench.launch(bench.provider, {
    cpu: 0.5,
    memory_gib: 1.5,
    disk_gib: 2,
    command: ['python', '-m', 'work'],
  })
  await bench.running(first)
  const { name } = first.request
  const { spec, metadata } = await bench.pod(first)
  expect(metadata?.labels).toMatchObject({
    'app.kubernetes.io/managed-by': 'berth',
    'berth/installation': '4q7k2m9x3vtb',
    'berth/attempt': first.attempt_id,
    'berth/kind': 'custom',
  })
  expect(spec).toMatchObject({
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65_532,
      fsGroup: 65_532,
      seccompProfile: { type: 'RuntimeDefault' },
    },
  })
  const bounds = { cpu: '500m', memory: '1536Mi', 'ephemeral-storage': '2Gi' }
  expect(spec?.containers).toMatchObject([
    {
      image: 'registry.example.test/runner:1',
      command: ['python', '-m', 'work'],
      resources: { requests: bounds, limits: bounds },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    },
  ])
  expect(JSON.stringify(await bench.job(first))).not.toContain(secrets.token)
  const env = new Map(spec?.containers[0]?.env?.map(({ name: key, ...value }) => [key, value]))
  expect(env.get('BERTH_TOKEN')).toEqual({
    valueFrom: { secretKeyRef: { name: `${name}-token`, key: 'token' } },
  })
  expect(env.get('BERTH_ATTEMPT_ID')).toEqual({ value: first.attempt_id })
  expect(env.get('NVIDIA_VISIBLE_DEVICES')).toEqual({ value: 'void' })
  const secret = await cluster.core.readNamespacedSecret({
    name: `${name}-token`,
    namespace: bench.namespace,
  })
  expect(Buffer.from(secret.data?.['token'] ?? '', 'base64').toString()).toBe(secrets.token)
  const found: string[] = []
  for await (const each of bench.provider.list(signal)) found.push(each.name)
  expect(found).toEqual([name])
  await bench.provider.stop(first, signal)
  await eventually('the end of the Secret', async () => (await bench.secretNames(first)).length === 0)
})

test('the credential of a registry is a Secret of the attempt, and the account’s settings are kept', async () => {
  const pods = {
    ...account.options.pods,
    labels: { team: 'research' },
    annotations: { 'sidecar.istio.io/inject': 'false' },
    tolerations: [{ key: 'dedicated', operator: 'Equal', value: 'research', effect: 'NoSchedule' }],
    priority_class: 'research',
    service_account: 'runner',
    runtime_class: 'nvidia',
    image_pull_secrets: ['mirror'],
    run_as_user: null,
  }
  const provider = openProvider(account, { pods })
  const request = requestOf(await bench.offer())
  const registry = { server: 'registry.example.test', username: 'robot', password: 'a-password' }
  await provider.launch(request, { ...secrets, registry }, signal)
  const { name } = request
  expect(await bench.secretNames(request)).toEqual([`${name}-pull`, `${name}-token`])
  const job = await bench.job(request)
  expect(job?.spec?.template.metadata).toMatchObject({ labels: pods.labels, annotations: pods.annotations })
  expect(job?.spec?.template.spec).toMatchObject({
    nodeSelector: account.node_selector,
    tolerations: pods.tolerations,
    priorityClassName: 'research',
    serviceAccountName: 'runner',
    runtimeClassName: 'nvidia',
    imagePullSecrets: [{ name: 'mirror' }, { name: `${name}-pull` }],
  })
  expect(job?.spec?.template.spec?.securityContext).not.toHaveProperty('runAsUser')
  const pull = await cluster.core.readNamespacedSecret({ name: `${name}-pull`, namespace: bench.namespace })
  expect(JSON.parse(Buffer.from(pull.data?.['.dockerconfigjson'] ?? '', 'base64').toString())).toEqual({
    auths: {
      'registry.example.test': {
        username: 'robot',
        password: 'a-password',
        auth: Buffer.from('robot:a-password').toString('base64'),
      },
    },
  })
  await provider.stop({ attempt_id: request.attempt_id, handle: null, request }, signal)
})

test('the dead-man switch is counted from the id, so it is the same at every launch, and ends a Job once', async () => {
  const attempt_id = newAttempt()
  const deadline_at = later(1_800_000).toISOString()
  const first = await bench.launch(bench.provider, { attempt_id, deadline_at })
  const spec = (await bench.job(first))?.spec
  // Half an hour and a quarter of one, and the second that is being counted.
  expect(spec?.activeDeadlineSeconds).toBeGreaterThanOrEqual(2_700)
  expect(spec?.activeDeadlineSeconds).toBeLessThanOrEqual(2_701)
  expect(spec).toMatchObject({ backoffLimit: 0, ttlSecondsAfterFinished: 604_800 })
  const asked = () => proxy.asked.filter(isCreate).map(({ body }) => body)
  await openProvider(account).launch(first.request, secrets, signal)
  expect(asked()).toHaveLength(2)
  expect(asked()[1]).toBe(asked()[0])
})

const isCreate = ({ method, path }: Asked) => method === 'POST' && path.endsWith('/jobs')
const isSecret = ({ method, path }: Asked) => method === 'POST' && path.endsWith('/secrets')
const isRelease = ({ method }: Asked) => method === 'PATCH'
const steps = { create: isCreate, secret: isSecret, release: isRelease }
const spoils: Record<string, Spoiled> = {
  lost: 'lost',
  reset: 'reset',
  truncated: 'truncated',
  'error of the store': answers.etcd,
  'page of a proxy': answers.html,
}

test.each(Object.keys(steps).flatMap((step) => Object.keys(spoils).map((spoil) => ({ step, spoil }))))(
  'a launch that broke off at its $step ($spoil) is completed by another replica, once',
  async ({ step, spoil }) => {
    const request = requestOf(await bench.offer())
    proxy.spoil = (asked) => (steps[step as keyof typeof steps](asked) ? (spoils[spoil] ?? null) : null)
    await expect(bench.provider.launch(request, secrets, signal)).rejects.toMatchObject({
      code: 'unknown_outcome',
      message: expect.not.stringContaining(secrets.token),
    })
    proxy.spoil = () => null
    const handle = await openProvider(account).launch(request, secrets, signal)
    await bench.running({ attempt_id: request.attempt_id, handle, request })
    expect(await bench.pods(request)).toHaveLength(1)
    expect(await bench.secretNames(request)).toEqual([`${request.name}-token`])
    await bench.provider.stop({ attempt_id: request.attempt_id, handle, request }, signal)
  },
)

test('a launch that nobody completes starts nothing, is listed, and can be stopped', async () => {
  const request = requestOf(await bench.offer())
  proxy.spoil = (asked) => (isSecret(asked) ? 'reset' : null)
  await expect(bench.provider.launch(request, secrets, signal)).rejects.toThrow()
  proxy.spoil = () => null
  const ref = { attempt_id: request.attempt_id, handle: null, request }
  await eventually('that it is suspended', async () =>
    (await bench.job(request))?.status?.conditions?.some(({ type }) => type === 'Suspended'),
  )
  expect(await bench.pods(request)).toEqual([])
  expect(await bench.provider.inspect([ref], signal)).toEqual([{ state: 'pending', detail: 'suspended' }])
  await bench.provider.stop(ref, signal)
  await eventually('its end', async () => (await bench.job(request)) === undefined)
})

test('a launch whose Job is deleted meanwhile does not know what came of it', async () => {
  const request = requestOf(await bench.offer())
  proxy.spoil = (asked) => (isRelease(asked) ? answers.noNamespace : null)
  await expect(bench.provider.launch(request, secrets, signal)).rejects.toMatchObject({
    code: 'unknown_outcome',
    detail: 'the Job was deleted meanwhile',
  })
})

test('without an image, or with an offer of elsewhere, nothing is asked of the cluster', async () => {
  const offer = await bench.offer()
  proxy.asked.length = 0
  const launch = (more: object) => bench.provider.launch(requestOf(offer, more), secrets, signal)
  await expect(launch({ image: null })).rejects.toMatchObject({ code: 'rejected' })
  await expect(launch({ offer: { ...offer, id: 'ecs.gn7i-c8g1.2xlarge' } })).rejects.toMatchObject({
    code: 'rejected',
    detail: 'the offer is none of this cluster: ask for its offers again',
  })
  expect(proxy.asked).toEqual([])
})
