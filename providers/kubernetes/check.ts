// Whether an account can do everything that it will have to, without starting anything.
import type { Check, LaunchRequest } from '../provider.ts'
import type { Account } from './account.ts'
import { gpuPriceOf, isUnnamed, modelOf, nodesOf } from './capacity.ts'
import type { ProviderError } from '../errors.ts'
import { jobOf } from './manifest.ts'
import { productLabel } from './shape.ts'

interface Right {
  group: string
  resource: string
  verbs: string[]
  /** Of the whole cluster, not of the namespace. */
  cluster?: true
  /** Of the one that the account names. */
  own?: true
  /** What is missing without it; then it is not needed. */
  optional?: string
}

/** infra/kubernetes/rbac.yaml gives these and nothing else. */
export const rights: readonly Right[] = [
  { group: 'batch', resource: 'jobs', verbs: ['create', 'get', 'list', 'patch', 'delete'] },
  { group: '', resource: 'pods', verbs: ['list', 'delete'] },
  { group: '', resource: 'pods/log', verbs: ['get'] },
  { group: '', resource: 'secrets', verbs: ['create', 'list', 'delete'] },
  { group: '', resource: 'events', verbs: ['list'] },
  { group: '', resource: 'namespaces', verbs: ['get'], own: true },
  { group: '', resource: 'nodes', verbs: ['list'], cluster: true },
  {
    group: '',
    resource: 'pods',
    verbs: ['list'],
    cluster: true,
    optional: 'what is free on the nodes is not known, and launches find out',
  },
]

export async function checkAccount(account: Account, signal: AbortSignal): Promise<Check[]> {
  const sees = await seesNamespace(account, signal)
  if (!sees.ok) return [sees]
  const allowed: Check[] = []
  for (const right of rights) allowed.push(await checkRight(account, right, signal))
  const isAllowed = allowed.every(({ ok }) => ok)
  const admits = isAllowed ? [await checkAdmission(account, signal), await checkNodes(account, signal)] : []
  return [sees, ...allowed, ...admits]
}

async function seesNamespace(account: Account, signal: AbortSignal): Promise<Check> {
  const { namespace } = account.options
  const name = 'namespace'
  try {
    const found = await account.call(
      { what: 'read the namespace', changes: false },
      signal,
      (cluster, bound) => cluster.core.readNamespace({ name: namespace }, bound),
    )
    if (found.status?.phase === 'Terminating')
      return { name, ok: false, detail: `namespace ${namespace} is being deleted: name another one` }
    const level = found.metadata?.labels?.['pod-security.kubernetes.io/enforce']
    const security = level
      ? `it enforces the Pod Security level "${level}", which Berth's pods keep`
      : 'it enforces no Pod Security level: Berth\'s pods keep "restricted", which you may enforce'
    return { name, ok: true, detail: `namespace ${namespace} is there; ${security}` }
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo: Partial<Record<typeof code, string>> = {
      not_found: `make it: kubectl create namespace ${namespace}`,
      unauthorized: 'the token is not valid, or may not read the namespace: apply infra/kubernetes/rbac.yaml',
      unavailable: 'name an address that the server reaches, with the CA of its certificate',
    }
    return { name, ok: false, detail: `${detail}${todo[code] ? `: ${todo[code]}` : ''}` }
  }
}

async function checkRight(account: Account, right: Right, signal: AbortSignal): Promise<Check> {
  const { namespace } = account.options
  const [resource = '', subresource] = right.resource.split('/')
  const missing: string[] = []
  for (const verb of right.verbs) {
    const resourceAttributes = {
      group: right.group,
      resource,
      verb,
      ...(subresource && { subresource }),
      ...(!right.cluster && { namespace }),
      ...(right.own && { name: namespace }),
    }
    const answer = await account
      .call({ what: 'ask for a right', changes: false }, signal, (cluster, bound) =>
        cluster.authorization.createSelfSubjectAccessReview(
          { body: { spec: { resourceAttributes } } },
          bound,
        ),
      )
      .catch(() => null)
    if (!answer?.status?.allowed) missing.push(verb)
  }
  const where = right.cluster ? 'of the cluster' : `in ${namespace}`
  const name = `${right.resource} ${where}`
  if (missing.length === 0) return { name, ok: true, detail: `may ${right.verbs.join(', ')}` }
  if (right.optional) return { name, ok: true, detail: `may not ${missing.join(', ')}: ${right.optional}` }
  return { name, ok: false, detail: `may not ${missing.join(', ')}: apply infra/kubernetes/rbac.yaml` }
}

/** A Job as Berth makes them, through quotas, policies and webhooks, and not kept. */
async function checkAdmission(account: Account, signal: AbortSignal): Promise<Check> {
  const { namespace } = account.options
  const name = 'a Job'
  const body = jobOf(account.options, probe(account), false)
  try {
    await account.call({ what: 'create a Job that is not kept', changes: false }, signal, (cluster, bound) =>
      cluster.batch.createNamespacedJob({ namespace, body, dryRun: 'All' }, bound),
    )
    return { name, ok: true, detail: 'the cluster takes a Job as Berth makes them' }
  } catch (error) {
    const { code, detail } = error as ProviderError
    const todo =
      code === 'quota' ? 'raise the quota of the namespace, or wait' : 'change the policy, or the account'
    return { name, ok: false, detail: `${detail}: ${todo}` }
  }
}

function probe({ options }: Account): LaunchRequest {
  return {
    attempt_id: 'berth-check',
    name: 'berth-check',
    installation: options.installation,
    kind: 'custom',
    offer: {
      id: 'cpu:1cpu:1gib',
      provider: '',
      account: options.account,
      region: options.region,
      spot: false,
      usd_per_hour: 0,
      gpu: null,
      cpu: 1,
      memory_gib: 1,
      disk_gib: 1,
      available: null,
      slots: null,
    },
    image: 'example.invalid/berth-check:1',
    device: 'cpu',
    cpu: 1,
    memory_gib: 1,
    disk_gib: 1,
    deadline_at: new Date(options.clock.now().getTime() + 3_600_000).toISOString(),
    berth_url: 'https://example.invalid',
  }
}

async function checkNodes(account: Account, signal: AbortSignal): Promise<Check> {
  const name = 'GPUs'
  const listed = await account.pages('list nodes', signal, (cluster, page, bound) =>
    cluster.core.listNode(page, bound),
  )
  const nodes = listed.filter(nodesOf(account.options.pods))
  const unnamed = nodes.filter(isUnnamed).length
  const products = new Set(nodes.flatMap(({ metadata }) => metadata?.labels?.[productLabel] ?? []))
  const models = [...products].map(modelOf)
  const free = models.filter((model) => gpuPriceOf(model, account.options.prices.gpu_usd_per_hour) === null)
  if (unnamed > 0)
    return {
      name,
      ok: false,
      detail: `${unnamed} nodes have GPUs of unknown model: install NVIDIA's GPU Feature Discovery`,
    }
  if (free.length > 0)
    return { name, ok: false, detail: `no price for ${free.join(', ')}: name it in the account's GPU prices` }
  return { name, ok: true, detail: models.join(', ') || `none: CPU only, ${nodes.length} nodes` }
}
