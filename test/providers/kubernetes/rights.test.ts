// The service account of infra/kubernetes/rbac.yaml on a real API: it may do what the adapter does, and nothing else.
import { beforeEach, expect, test } from 'vitest'
import * as kube from '@kubernetes/client-node'
import { openKubeAccount, openProvider } from '../../support/kube-account.ts'
import { noKube } from '../../support/kube-binary.ts'
import { freePort } from '../../support/server.ts'
import { kubeCluster, makeNamespace } from '../../support/kube.ts'

const signal = AbortSignal.timeout(120_000)

beforeEach((context) => {
  if (noKube !== null) context.skip(noKube)
})

test('check finds every right, and the account has no other', async () => {
  const cluster = await kubeCluster()
  const account = await openKubeAccount(cluster)
  const checks = await openProvider(account).check(signal)
  expect(checks.filter(({ ok }) => !ok)).toEqual([])
  expect(checks.map(({ name }) => name)).toContain('pods of the cluster')

  const config = new kube.KubeConfig()
  config.loadFromClusterAndUser(
    {
      name: 'c',
      server: cluster.server,
      caData: Buffer.from(cluster.ca).toString('base64'),
      skipTLSVerify: false,
    },
    { name: 'berth', token: account.token },
  )
  const own = config.makeApiClient(kube.AuthorizationV1Api)
  const rules = async (namespace: string) => {
    const { status } = await own.createSelfSubjectRulesReview({ body: { spec: { namespace } } })
    const told = status?.resourceRules.flatMap(({ apiGroups = [], resources = [], verbs }) =>
      resources.flatMap((resource) => verbs.map((verb) => `${apiGroups[0]}/${resource} ${verb}`)),
    )
    // Every account may ask what it may.
    return told?.filter((rule) => !/^(authorization|authentication)\.k8s\.io\//.test(rule)).sort()
  }
  const ofCluster = ['/nodes list', '/pods list']
  expect(await rules('default')).toEqual(ofCluster)
  expect(new Set(await rules(account.namespace))).toEqual(
    new Set([
      ...ofCluster,
      ...['create', 'delete', 'get', 'list', 'patch'].map((verb) => `batch/jobs ${verb}`),
      '/pods delete',
      '/pods/log get',
      ...['create', 'delete', 'list'].map((verb) => `/secrets ${verb}`),
      '/events list',
      '/namespaces get',
    ]),
  )
  await account.close()
})

test('check says what is missing and what to do', async () => {
  const cluster = await kubeCluster()
  const account = await openKubeAccount(cluster)
  const { namespace } = account
  const failed = async (more = {}) =>
    (await openProvider(account, more).check(signal)).filter(({ ok }) => !ok)

  const other = await makeNamespace(cluster, `${namespace}-other`)
  expect(await failed({ namespace: other })).toEqual([
    {
      name: 'namespace',
      ok: false,
      detail: expect.stringMatching(
        /cannot get resource "namespaces".*: the token is not valid, or may not read/,
      ),
    },
  ])
  const access = { cluster: { server: cluster.server, token: cluster.token, ca: cluster.ca } }
  expect(await failed({ ...access, namespace: 'nowhere' })).toEqual([
    {
      name: 'namespace',
      ok: false,
      detail:
        'read the namespace: 404 NotFound: namespaces "nowhere" not found: make it: kubectl create namespace nowhere',
    },
  ])
  expect(await failed({ cluster: { ...access.cluster, token: 'a-wrong-token' } })).toMatchObject([
    { name: 'namespace', detail: expect.stringContaining('401') },
  ])
  expect(
    await failed({ cluster: { ...access.cluster, server: `https://127.0.0.1:${await freePort()}` } }),
  ).toMatchObject([{ name: 'namespace', detail: expect.stringMatching(/\(ECONNREFUSED\).*name an address/) }])
  expect(await failed({ cluster: { ...access.cluster, ca: null } })).toMatchObject([
    {
      name: 'namespace',
      detail: expect.stringMatching(/\([A-Z_]*(CERT|SIGN)[A-Z_]*\).*CA of its certificate/),
    },
  ])

  await cluster.rbac.patchNamespacedRole(
    { name: 'berth', namespace, body: [{ op: 'remove', path: '/rules/0/verbs/4' }] },
    kube.setHeaderOptions('Content-Type', kube.PatchStrategy.JsonPatch),
  )
  expect(await failed()).toEqual([
    { name: `jobs in ${namespace}`, ok: false, detail: 'may not delete: apply infra/kubernetes/rbac.yaml' },
  ])
  await account.close()
  await cluster.core.deleteNamespace({ name: other })
})

test('check tries a Job against quotas, and finds GPUs without a name or a price', async () => {
  const cluster = await kubeCluster()
  const account = await openKubeAccount(cluster)
  const { namespace } = account
  const quota = { metadata: { name: 'jobs' }, spec: { hard: { 'count/jobs.batch': '0' } } }
  await cluster.core.createNamespacedResourceQuota({ namespace, body: quota })
  await account.addNode('odd', { resources: { 'nvidia.com/gpu': '2' } })
  const byName = async () =>
    new Map((await openProvider(account).check(signal)).map(({ name, ok, detail }) => [name, { ok, detail }]))
  await expect
    .poll(async () => (await byName()).get('a Job')?.detail)
    .toMatch(/exceeded quota: jobs.*raise the quota/)
  expect((await byName()).get('GPUs')).toEqual({
    ok: false,
    detail: expect.stringMatching(
      /^\d+ nodes have GPUs of unknown model: install NVIDIA's GPU Feature Discovery$/,
    ),
  })
  await account.close()
})
