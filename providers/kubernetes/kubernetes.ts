// Runs attempts as Jobs of a Kubernetes cluster, one Job and one pod each.
import type { V1Node, V1Pod } from '@kubernetes/client-node'
import type { ProviderError } from '../errors.ts'
import type { Device, Offer, Provider } from '../provider.ts'
import { type Account, openAccount } from './account.ts'
import { devicesOf, nodesOf, offersOf } from './capacity.ts'
import { checkAccount } from './check.ts'
import { inspectRefs } from './inspect.ts'
import { launchJob } from './launch.ts'
import { listFound } from './list.ts'
import type { KubernetesProviderOptions } from './options.ts'
import { stopRef } from './stop.ts'
import { tailOf } from './tail.ts'

const traits = {
  runs_images: true,
  launch_token: true, // a second Job of the same name is refused
  inspect_batch: 1_000, // two lists of two pages
  list_lag_ms: 0, // lists without a version are as new as everything that was answered
  boot_s: 20, // mostly the pull of an image that the node has not
  boot_bound_s: 900, // a large image on a node that an autoscaler has to start first
  min_billing_s: 0,
  dead_man_min_s: 1,
  calls_per_s: 50, // of the API server's share for one account (API priority and fairness), a fraction
  machines: 'own',
  billing: 'modelled',
} as const

export function createKubernetesProvider(options: KubernetesProviderOptions): Provider {
  const account = openAccount(options)
  return {
    name: account.provider,
    account: options.account,
    traits,
    check: (signal) => checkAccount(account, signal),
    async offers(signal): Promise<Offer[]> {
      const nodes = await listNodes(account, signal)
      return offersOn(account, nodes, await podsOfCluster(account, signal))
    },
    async devices(signal): Promise<Device[]> {
      const nodes = await listNodes(account, signal)
      return devicesOf(offersOn(account, nodes, null), nodes)
    },
    launch: (request, secrets, signal) => launchJob(account, request, secrets, signal),
    inspect: (refs, signal) => inspectRefs(account, refs, signal),
    stop: (ref, signal) => stopRef(account, ref, signal),
    list: (signal) => listFound(account, signal),
    tail: (ref, signal) => tailOf(account, ref, signal),
  }
}

function offersOn({ provider, options }: Account, nodes: V1Node[], pods: V1Pod[] | null): Offer[] {
  const { account, region, prices, pods: settings } = options
  return offersOf({ nodes: nodes.filter(nodesOf(settings)), pods }, { provider, account, region, prices })
}

function listNodes(account: Account, signal: AbortSignal): Promise<V1Node[]> {
  return account.pages('list nodes', signal, (cluster, page, bound) => cluster.core.listNode(page, bound))
}

/** null: the account may not see the pods of others. */
async function podsOfCluster(account: Account, signal: AbortSignal): Promise<V1Pod[] | null> {
  // The scheduler has no use for pods that have ended either.
  const fieldSelector = 'status.phase!=Succeeded,status.phase!=Failed'
  const listed = account.pages('list pods of all namespaces', signal, (cluster, page, bound) =>
    cluster.core.listPodForAllNamespaces({ fieldSelector, ...page }, bound),
  )
  return listed.catch((error: ProviderError) => {
    if (error.code === 'unauthorized') return null
    throw error
  })
}
