// The Helm chart: rendered by helm, applied to a real Kubernetes API, and its service account used as the server does.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import * as kube from '@kubernetes/client-node'
import { expect, test, type TestContext } from 'vitest'
import { parseConfig } from '../../infra/config.ts'
import { createKubernetesProvider } from '../../providers/kubernetes/kubernetes.ts'
import { installation, newName } from '../support/kube-account.ts'
import { noKube } from '../support/kube-binary.ts'
import { kubeCluster } from '../support/kube.ts'

const chart = resolve(import.meta.dirname, '../../infra/chart')
const rights = resolve(import.meta.dirname, '../../infra/kubernetes/rbac.yaml')
/** A bound against a hang. */
const helm_ms = 60_000
const noHelm = spawnSync('helm', ['version']).error ? 'the chart is not tried: helm is not installed' : null

/** Everything that can be switched on. */
const everything = [
  'ingress.enabled=true,ingress.className=nginx,ingress.tlsSecret=certificate',
  'serviceMonitor.enabled=true,serviceMonitor.labels.release=prometheus',
  'api.autoscaling.enabled=false,pass.autoscaling.enabled=true',
  'work.quota.pods=200,secrets.objectStore=berth-store,imagePullSecrets[0].name=registry',
  'networkPolicy.from[0].podSelector.matchLabels.role=proxy,tolerations[0].operator=Exists',
  'nodeSelector.pool=servers,affinity.nodeAffinity.x=y,ingress.annotations.a=b',
  'objectStore.endpoint=https://s3.example.com,env.BERTH_LOG_LEVEL=warn',
  'images.backtest=registry.example.com/berth/backtest:1,images.training=registry.example.com/berth/training:1',
].flatMap((each) => ['--set', each])

function helm(...args: readonly string[]): string {
  const done = spawnSync('helm', [...args, '--kube-version', '1.31.0'], {
    encoding: 'utf8',
    timeout: helm_ms,
  })
  if (done.status !== 0) throw new Error(`helm ${args[0]}: ${done.stdout}${done.stderr}`)
  return done.stdout
}

interface Server {
  env: { name: string; value: string }[]
  securityContext: object
}
/** What is read of any of the objects. */
interface Rendered extends kube.KubernetesObject {
  rules?: object[]
  data?: Record<string, string>
  spec?: { template: { spec: { securityContext: object; containers: [Server] } } }
}
const render = (...args: readonly string[]): Rendered[] =>
  (
    kube.loadAllYaml(helm('template', 'b', chart, '--namespace', 'berth', ...args)) as (Rendered | null)[]
  ).filter((each) => each !== null)

function needs(context: TestContext, ...missing: (string | null)[]): void {
  const why = missing.find((each) => each !== null)
  if (why) context.skip(why)
}

test('the chart has no fault that helm finds, with its values and with everything switched on', (context) => {
  needs(context, noHelm)
  helm('lint', chart, '--strict')
  helm('lint', chart, '--strict', ...everything)
  expect(() => helm('lint', chart, '--strict', '--set', 'pas.replicas=3')).toThrow(/pas/)
})

test('its servers run as nobody, write nothing but volumes, and have settings that the server takes', (context) => {
  needs(context, noHelm)
  const objects = render(...everything)
  const { data } = objects.find(({ kind }) => kind === 'ConfigMap') ?? {}
  expect(parseConfig(data ?? {})).toMatchObject({ local_provider: false, log_level: 'warn' })
  const servers = objects
    .filter(({ kind }) => kind === 'Deployment')
    .flatMap(({ spec }) => (spec ? [spec.template.spec] : []))
  expect(servers).toHaveLength(2)
  for (const pod of servers) {
    expect(pod.securityContext).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    })
    const [server] = pod.containers
    expect(server.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    expect(() =>
      parseConfig(Object.fromEntries(server.env.map(({ name, value }) => [name, value]))),
    ).not.toThrow()
  }
  const roles = servers.map((pod) => pod.containers[0].env.find(({ name }) => name === 'BERTH_ROLES')?.value)
  expect(roles).toEqual(['api', 'pass,webhooks,offers'])
})

test('it gives the rights of infra/kubernetes/rbac.yaml, and no other', (context) => {
  needs(context, noHelm)
  const rulesOf = (objects: Rendered[]) =>
    objects
      .filter(({ kind }) => /^(Cluster)?Role$/.test(kind ?? ''))
      .map(({ kind, rules }) => ({ kind, rules }))
      .toSorted((a, b) => String(a.kind).localeCompare(String(b.kind)))
  const own = kube.loadAllYaml(readFileSync(rights, 'utf8')) as Rendered[]
  expect(rulesOf(render('--set', 'work.namespace=berth'))).toEqual(rulesOf(own))
})

test('a Kubernetes API takes it, twice, and the server finds every right that it needs', async (context) => {
  needs(context, noHelm, noKube)
  const { objects, core, rbac, server, ca } = await kubeCluster()
  const own = newName()
  const work = `${own}-work`
  await core.createNamespace({ body: { metadata: { name: own } } })
  const render_own = () =>
    kube.loadAllYaml(
      helm('template', own, chart, '--namespace', own, '--set', `work.namespace=${work}`, ...everything),
    ) as Rendered[]
  // It has no Prometheus operator, whose kinds are not its own.
  const ours = render_own().filter(({ kind }) => kind !== 'PodMonitor')
  for (const object of ours)
    if (!['Namespace', 'ClusterRole', 'ClusterRoleBinding'].includes(object.kind ?? ''))
      (object.metadata ??= {}).namespace ??= own
  const namespacesFirst = ours.toSorted(
    (a, b) => Number(b.kind === 'Namespace') - Number(a.kind === 'Namespace'),
  )
  for (let time = 0; time < 2; time++)
    for (const object of namespacesFirst)
      await objects.patch(object, undefined, undefined, 'helm', true, kube.PatchStrategy.ServerSideApply)
  const made = await core.createNamespacedServiceAccountToken({
    namespace: own,
    name: own,
    body: { spec: { audiences: [], expirationSeconds: 3_600 } },
  })
  const provider = createKubernetesProvider({
    account: 'here',
    installation,
    region: 'test-cluster',
    cluster: { server, token: made.status?.token ?? '', ca },
    namespace: work,
    prices: { gpu_usd_per_hour: { '*': 1 }, cpu_usd_per_hour: 0.05 },
    pods: {},
    clock: { now: () => new Date() },
  })
  const checks = await provider.check(AbortSignal.timeout(helm_ms))
  expect(checks.filter(({ ok, name }) => !ok && name !== 'GPUs')).toEqual([])
  await rbac.deleteClusterRoleBinding({ name: `${own}-capacity` })
  await rbac.deleteClusterRole({ name: `${own}-capacity` })
  for (const name of [own, work]) await core.deleteNamespace({ name })
})
