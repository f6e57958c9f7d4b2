// What each answer of an API server, a webhook or a proxy means. No cluster is needed: the answers were recorded.
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createKubernetesProvider } from '../../../providers/kubernetes/kubernetes.ts'
import type { ClusterAccess, KubernetesProviderOptions } from '../../../providers/kubernetes/options.ts'
import type { Offer, Provider } from '../../../providers/provider.ts'
import { answers, type KubeProxy, openKubeProxy, type Spoiled } from '../../fakes/kube-proxy.ts'
import { requestOf, signal } from '../../support/kube-bench.ts'

let proxy: KubeProxy
beforeAll(async () => {
  proxy = await openKubeProxy('http://127.0.0.1:9', '')
})
afterAll(() => proxy[Symbol.asyncDispose]())
beforeEach(() => {
  proxy.asked.length = 0
  proxy.spoil = () => null
})

const token = 'the-token-of-the-account'
const secrets = {
  token: 'the-token-of-the-attempt',
  registry: { server: 'registry.example.test', username: 'robot', password: 'the-password-of-the-robot' },
}
const kubeconfig = (cluster: object, user: object) =>
  JSON.stringify({
    clusters: [{ name: 'c', cluster: { 'insecure-skip-tls-verify': true, ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  })

function provider(access?: KubernetesProviderOptions['cluster'], call_ms = 1_000) {
  return createKubernetesProvider({
    account: 'a',
    installation: '4q7k2m9x3vtb',
    region: 'r',
    cluster: access ?? { kubeconfig: kubeconfig({ server: proxy.url }, { token }) },
    namespace: 'berth',
    prices: { gpu_usd_per_hour: {}, cpu_usd_per_hour: 0.05 },
    clock: { now: () => new Date('2026-03-02T09:00:00Z') },
    call_ms,
  })
}

const offer: Offer = {
  id: 'cpu:1cpu:4gib',
  provider: 'kubernetes',
  account: 'a',
  region: 'r',
  spot: false,
  usd_per_hour: 0.05,
  gpu: null,
  cpu: 1,
  memory_gib: 4,
  disk_gib: 10,
  available: null,
  slots: 4,
}
const request = requestOf(offer)
const ref = { attempt_id: request.attempt_id, handle: { namespace: 'berth', name: 'n', uid: 'u' }, request }

interface Meaning {
  launch: string
  read: string
  /** In the detail of a launch's error. */
  says: string
}

const table: Record<string, [answer: Spoiled, meaning: Meaning]> = {
  quota: [
    answers.quota,
    { launch: 'quota', read: 'quota', says: 'exceeded quota: jobs, requested: count/jobs.batch=1' },
  ],
  unauthorized: [answers.unauthorized, { launch: 'unauthorized', read: 'unauthorized', says: '401' }],
  forbidden: [
    answers.forbidden,
    {
      launch: 'unauthorized',
      read: 'unauthorized',
      says: 'cannot create resource "jobs" in API group "batch"',
    },
  ],
  terminating: [
    answers.terminating,
    { launch: 'not_found', read: 'not_found', says: 'it is being terminated' },
  ],
  'no namespace': [
    answers.noNamespace,
    { launch: 'not_found', read: 'not_found', says: 'namespaces "berth" not found' },
  ],
  throttled: [answers.throttled, { launch: 'throttled', read: 'throttled', says: '429' }],
  invalid: [
    answers.invalid,
    {
      launch: 'rejected',
      read: 'rejected',
      says: '422 Invalid: spec.template.spec.containers[0].env[0].value',
    },
  ],
  'bad request': [answers.badRequest, { launch: 'rejected', read: 'rejected', says: '400 BadRequest' }],
  'denied by a webhook': [
    answers.webhookDenied('images must come from registry.corp.test'),
    { launch: 'rejected', read: 'rejected', says: 'images must come from registry.corp.test' },
  ],
  'webhook down': [
    answers.webhookDown,
    { launch: 'unknown_outcome', read: 'unavailable', says: '500 InternalError' },
  ],
  'store timed out': [
    answers.etcd,
    { launch: 'unknown_outcome', read: 'unavailable', says: '500 InternalError' },
  ],
  conflict: [answers.conflict, { launch: 'unknown_outcome', read: 'unavailable', says: '409 Conflict' }],
  expired: [answers.expired, { launch: 'unknown_outcome', read: 'unavailable', says: '410 Expired' }],
  'shutting down': [answers.unavailable, { launch: 'unknown_outcome', read: 'unavailable', says: '503' }],
  'gateway timed out': [
    answers.timeout,
    { launch: 'unknown_outcome', read: 'unavailable', says: '504 Timeout' },
  ],
  'page of a proxy': [answers.html, { launch: 'unknown_outcome', read: 'unavailable', says: '502' }],
  'forbidden by a proxy': [
    { ...answers.html, status: 403 },
    { launch: 'unknown_outcome', read: 'unavailable', says: '403' },
  ],
  'not found by a proxy': [
    { ...answers.html, status: 404 },
    { launch: 'unknown_outcome', read: 'unavailable', says: '404' },
  ],
  'page of a login': [answers.login, { launch: 'unknown_outcome', read: 'unavailable', says: 'not JSON' }],
  'broken JSON': [answers.malformed, { launch: 'unknown_outcome', read: 'unavailable', says: 'not JSON' }],
  'another API': [
    { status: 200, body: '{"hello":"world"}' },
    { launch: 'unknown_outcome', read: 'unavailable', says: 'not an object of the API' },
  ],
  redirect: [
    { status: 302, headers: { location: 'https://login.example.test/' }, body: '' },
    { launch: 'unknown_outcome', read: 'unavailable', says: 'the connection failed' },
  ],
  reset: [
    'reset',
    { launch: 'unknown_outcome', read: 'unavailable', says: 'the connection failed (ECONNRESET)' },
  ],
  hang: ['hang', { launch: 'unknown_outcome', read: 'unavailable', says: 'no answer in time' }],
}

test.each(Object.keys(table))('%s', async (name) => {
  const [answer, meaning] = table[name] as (typeof table)[string]
  proxy.spoil = () => answer
  const adapter = provider()
  const errors = await Promise.all(
    [
      adapter.launch(request, secrets, signal),
      adapter.stop(ref, signal),
      adapter.inspect([ref], signal),
      adapter.offers(signal),
      listed(adapter),
    ].map((call) =>
      call.then(
        () => ({ code: 'none', message: '' }),
        (error: Error & { code: string }) => error,
      ),
    ),
  )
  const [launched, stopped, ...read] = errors
  expect(launched).toMatchObject({ code: meaning.launch, detail: expect.stringContaining(meaning.says) })
  expect(stopped?.code).toBe(meaning.launch)
  for (const { code } of read) expect(code).toBe(meaning.read)
  for (const error of errors) {
    const told = `${error.message} ${JSON.stringify(error)} ${String((error as Error).stack)}`
    for (const secret of [token, secrets.token, secrets.registry.password, request.berth_url])
      expect(told).not.toContain(secret)
    expect((error as Error).cause).toBeUndefined()
  }
})

async function listed(adapter: Provider): Promise<void> {
  for await (const each of adapter.list(signal)) expect(each).toBeDefined()
}

test('what a webhook says of a Secret is not repeated, whatever it is', async () => {
  const job = {
    kind: 'Job',
    metadata: { name: request.name, uid: 'u' },
    spec: { suspend: true, template: {} },
  }
  proxy.spoil = ({ path, body }) =>
    path.endsWith('/secrets') ? answers.webhookDenied(body) : { status: 201, body: JSON.stringify(job) }
  await expect(provider().launch(request, secrets, signal)).rejects.toMatchObject({
    code: 'rejected',
    detail: 'create a Secret: 400 BadRequest',
  })
})

test('a list that expired between its pages begins again, and not for ever', async () => {
  const page = { kind: 'PodList', metadata: { continue: 'next' }, items: [] }
  proxy.spoil = ({ query }) =>
    query.has('continue') ? answers.expired : { status: 200, body: JSON.stringify(page) }
  await expect(provider().offers(signal)).rejects.toMatchObject({ code: 'unavailable' })
  expect(proxy.asked.filter(({ query }) => query.has('continue')).length).toBe(3)
})

test('a list without an end is none', async () => {
  const page = { kind: 'NodeList', metadata: { continue: 'next' }, items: [] }
  proxy.spoil = () => ({ status: 200, body: JSON.stringify(page) })
  await expect(provider().offers(signal)).rejects.toMatchObject({
    detail: 'list nodes: a list without an end',
  })
  expect(proxy.asked.length).toBe(200)
})

test('credentials that are fetched are fetched again when they are refused, once', async () => {
  let given = 0
  const access = () => {
    const user = { token: `${token}-${++given}` }
    return Promise.resolve({ kubeconfig: kubeconfig({ server: proxy.url }, user) })
  }
  proxy.spoil = ({ headers }) =>
    headers['authorization'] === `Bearer ${token}-2`
      ? { status: 200, body: '{"kind":"NodeList","items":[]}' }
      : answers.unauthorized
  const adapter = provider(access)
  expect(await adapter.offers(signal)).toEqual([])
  expect(given).toBe(2)
  proxy.spoil = () => answers.unauthorized
  await expect(adapter.offers(signal)).rejects.toMatchObject({ code: 'unauthorized' })
  expect(given).toBe(3)
})

test.each<[string, ClusterAccess, RegExp]>([
  ['is not YAML', { kubeconfig: `{: ${token}` }, /cannot be read/],
  ['is something else', { kubeconfig: '[]' }, /cannot be read|no such context/],
  [
    'names a context that is not there',
    { kubeconfig: kubeconfig({ server: 'https://c.test' }, { token }), context: 'other' },
    /no such context/,
  ],
  [
    'runs a command',
    {
      kubeconfig: kubeconfig({ server: 'https://c.test' }, { exec: { command: 'touch', args: ['/tmp/x'] } }),
    },
    /names commands or files \(exec\)/,
  ],
  [
    'reads files of the server',
    {
      kubeconfig: kubeconfig(
        { server: 'https://c.test', 'certificate-authority': '/etc/passwd' },
        { 'client-certificate': '/etc/shadow', 'client-key': '/etc/shadow', token },
      ),
    },
    /client-certificate, client-key, certificate-authority/,
  ],
  [
    'reads a token from a file',
    {
      kubeconfig: kubeconfig(
        { server: 'https://c.test' },
        { 'auth-provider': { name: 'x', config: { tokenFile: '/etc/shadow' } } },
      ),
    },
    /auth-provider/,
  ],
  ['sends its token in the clear', { server: 'http://c.test', token, ca: null }, /connection failed|HTTPS/],
])('a cluster whose access %s is refused', async (_name, access, says) => {
  const error = await provider(access)
    .offers(signal)
    .catch((each: unknown) => each as Error & { code: string })
  expect(error).toMatchObject({ name: 'ProviderError', message: expect.stringMatching(says) })
  expect((error as Error).message).not.toContain(token)
})

test('a signal that has ended sends nothing', async () => {
  await expect(provider().launch(request, secrets, AbortSignal.abort())).rejects.toMatchObject({
    code: 'unknown_outcome',
    detail: 'create the Job: given up',
  })
  expect(proxy.asked).toEqual([])
})
