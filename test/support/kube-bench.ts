// One account on the tests' cluster, and what most tests ask of it.
import type { V1Job, V1Pod } from '@kubernetes/client-node'
import { TypeID } from 'typeid-js'
import { v7 } from 'uuid'
import { requestFor } from '../../providers/conformance/subject.ts'
import type { KubernetesProviderOptions } from '../../providers/kubernetes/options.ts'
import type {
  Handle,
  LaunchRequest,
  LaunchSecrets,
  Observation,
  Offer,
  Provider,
} from '../../providers/provider.ts'
import { installation, type KubeAccount, openProvider } from './kube-account.ts'
import { annotationsOf, eventually, type Fate, type KubeCluster } from './kube.ts'

export const signal = new AbortController().signal
export const secrets: LaunchSecrets = { token: 'the-token-of-the-attempt' }
export const newAttempt = (): string => TypeID.fromUUID('att', v7()).toString()

/** The cluster's controllers have a clock of their own. */
export const later = (ms: number): Date => new Date(Date.now() + ms)

export interface Launched {
  attempt_id: string
  handle: Handle
  request: LaunchRequest
}

export function requestOf(offer: Offer, more: Partial<LaunchRequest> = {}): LaunchRequest {
  return requestFor(more.attempt_id ?? newAttempt(), offer, {
    installation,
    image: 'registry.example.test/runner:1',
    berth_url: 'https://berth.example.test',
    deadline_at: later(3_600_000).toISOString(),
    cpu: 0.1,
    memory_gib: 0.1,
    disk_gib: 0.1,
    ...more,
  })
}

export type KubeBench = ReturnType<typeof openBench>

export function openBench({ batch, core }: KubeCluster, account: KubeAccount) {
  const { namespace } = account
  const provider = openProvider(account)
  const of = (attempt_id: string) => ({ namespace, labelSelector: `berth/attempt=${attempt_id}` })
  /** A single CPU, if not said otherwise. */
  const offer = async (
    is: (offer: Offer) => boolean = ({ cpu, gpu }) => cpu === 1 && !gpu,
  ): Promise<Offer> => {
    const found = (await provider.offers(signal)).find(is)
    if (!found) throw new Error('there is no such offer')
    return found
  }
  const look = async (ref: Launched, by = provider): Promise<Observation> =>
    (await by.inspect([ref], signal))[0] as Observation
  const until = (ref: Launched, is: (seen: Observation) => boolean, by = provider): Promise<Observation> =>
    eventually(`what was looked for of ${ref.attempt_id}`, async () => {
      const seen = await look(ref, by)
      return is(seen) && seen
    })
  const pods = async ({ attempt_id }: Named): Promise<V1Pod[]> =>
    (await core.listNamespacedPod(of(attempt_id))).items
  return {
    namespace,
    provider,
    offer,
    look,
    until,
    pods,
    /** With the fate of its pods. */
    with(fate: Fate, more: Partial<KubernetesProviderOptions> = {}): Provider {
      const settings = { ...account.options.pods, ...more.pods, annotations: annotationsOf(fate) }
      return openProvider(account, { ...more, pods: settings })
    },
    async launch(by = provider, more: Partial<LaunchRequest> = {}): Promise<Launched> {
      const request = requestOf(more.offer ?? (await offer()), more)
      return { attempt_id: request.attempt_id, request, handle: await by.launch(request, secrets, signal) }
    },
    running: (ref: Launched) => until(ref, ({ state }) => state === 'running'),
    pod: (ref: Named): Promise<V1Pod> => eventually('a pod', async () => (await pods(ref))[0]),
    job: async ({ attempt_id }: Named): Promise<V1Job | undefined> =>
      (await batch.listNamespacedJob(of(attempt_id))).items[0],
    async secretNames({ attempt_id }: Named): Promise<string[]> {
      const { items } = await core.listNamespacedSecret(of(attempt_id))
      return items.map(({ metadata }) => metadata?.name ?? '').sort()
    },
  }
}

type Named = Pick<Launched, 'attempt_id'>
