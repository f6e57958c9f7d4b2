// Attempts from their launch to their end on a real API, over a line that breaks all the time: none is lost, none is started
// twice, and nothing is left. In real time; chance is seeded, what the cluster's controllers do when is not.
import { setTimeout as sleep } from 'node:timers/promises'
import { Watch, type V1Pod } from '@kubernetes/client-node'
import { beforeEach, expect, test } from 'vitest'
import type { ProviderError } from '../../../providers/errors.ts'
import type { Handle, Observation, Provider } from '../../../providers/provider.ts'
import { answers, openKubeProxy, type Spoiled } from '../../fakes/kube-proxy.ts'
import { createDraw, type Draw } from '../../simulation/draw.ts'
import { openKubeAccount, openProvider } from '../../support/kube-account.ts'
import { type Launched, openBench, requestOf, secrets, signal } from '../../support/kube-bench.ts'
import { noKube } from '../../support/kube-binary.ts'
import { eventually, type KubeCluster, kubeCluster, setFate } from '../../support/kube.ts'

const attempts = 8
/** Of a request that is answered by something else than the API server. */
const spoiled = 0.2
/** A call that fails this often in a row is not unlucky. */
const maxTries = 60
const between_ms = 30

const wrongs: readonly Spoiled[] = [
  'lost',
  'reset',
  'truncated',
  answers.html,
  answers.login,
  answers.etcd,
  answers.unavailable,
  answers.throttled,
  answers.conflict,
  answers.expired,
]
/** After these the core asks or calls again. */
const passing: readonly string[] = ['unknown_outcome', 'unavailable', 'throttled']

beforeEach((context) => {
  if (noKube !== null) context.skip(noKube)
})

test.each(Array.from({ length: 10 }, (_, each) => each + 1))(
  'seed %d: none lost, none doubled, none left',
  async (seed) => {
    const cluster = await kubeCluster()
    await using proxy = await openKubeProxy(cluster.server, cluster.ca)
    const account = await openKubeAccount(cluster, proxy.url)
    await account.addNode('one')
    const bench = openBench(cluster, account)
    const offer = await bench.offer()
    const started = await watchPods(cluster, bench.namespace)

    const line = createDraw(`line ${seed}`)
    proxy.spoil = () => (line.chance(spoiled) ? line.pick(wrongs) : null)
    const replicas = [bench.provider, openProvider(account)]
    const one = async (number: number) => {
      const draw = createDraw(`attempt ${seed}/${number}`)
      const tried = <T>(call: (by: Provider) => Promise<T>) => insist(() => call(draw.pick(replicas)))
      const request = requestOf(offer)
      const handle = await tried((by) => by.launch(request, secrets, signal))
      const ref = { attempt_id: request.attempt_id, request, handle }
      const look = (known: Handle | null = handle) =>
        tried(async (by) => (await by.inspect([{ ...ref, handle: known }], signal))[0] as Observation)
      await until(async () => {
        const { state } = await look(draw.chance(0.3) ? null : handle)
        expect(['pending', 'running'], 'what nobody ended').toContain(state)
        return state === 'running'
      })
      const expected = await fates[draw.pick(Object.keys(fates)) as keyof typeof fates]({
        cluster,
        ref,
        pod: await bench.pod(ref),
        draw,
      })
      if (expected)
        await until(async () => {
          const seen = await look()
          if (seen.state === 'running') return false
          expect(seen).toMatchObject(expected)
          return true
        })
      await until(async () => {
        await tried((by) => by.stop(draw.chance(0.3) ? { ...ref, handle: null } : ref, signal))
        return (await look()).state === 'gone'
      })
      return ref
    }
    const ended = await Promise.all(Array.from({ length: attempts }, (_, number) => one(number)))

    proxy.spoil = () => null
    expect(proxy.asked.length).toBeGreaterThan(attempts * 10)
    for (const { attempt_id } of ended)
      expect([attempt_id, started.get(attempt_id)?.size]).toEqual([attempt_id, 1])
    expect(started.size).toBe(attempts)
    await eventually('that nothing is left', async () => {
      for await (const _ of bench.provider.list(signal)) return false
      const of = { namespace: bench.namespace, labelSelector: 'berth/installation' }
      const [jobs, pods, left] = await Promise.all([
        cluster.batch.listNamespacedJob(of),
        cluster.core.listNamespacedPod(of),
        cluster.core.listNamespacedSecret(of),
      ])
      return jobs.items.length + pods.items.length + left.items.length === 0
    })
    started.close()
    await account.close()
  },
)

/** What becomes of an attempt, and what must be seen of it then; null: Berth stops it. */
const fates = {
  async finishes({ cluster, pod }: Fated) {
    await setFate(cluster, pod, { 'run-for': '1ms' })
    return { state: 'exited', exit_code: 0 }
  },
  async fails({ cluster, pod, draw }: Fated) {
    const exit_code = draw.between(1, 255)
    await setFate(cluster, pod, { 'run-for': '1ms', 'exit-code': String(exit_code) })
    return { state: 'exited', exit_code }
  },
  async isEvicted({ cluster, pod: { metadata } }: Fated) {
    const { name = '', namespace = '' } = metadata ?? {}
    await cluster.core.createNamespacedPodEviction({
      name,
      namespace,
      body: { metadata: { name, namespace } },
    })
    return { state: 'exited', reason: 'preempted' }
  },
  async vanishes({ cluster, ref: { request, handle } }: Fated) {
    const namespace = String(handle['namespace'])
    await cluster.batch.deleteNamespacedJob({
      namespace,
      name: request.name,
      propagationPolicy: 'Background',
    })
    // For a moment its pod is still there, ended by a signal.
    return { state: expect.stringMatching(/^(exited|gone)$/) }
  },
  isStopped: () => Promise.resolve(null),
}
interface Fated {
  cluster: KubeCluster
  ref: Launched
  pod: V1Pod
  draw: Draw
}

async function insist<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      const { name, code, message } = error as ProviderError
      expect([name, passing.includes(code)], message).toEqual(['ProviderError', true])
      expect(message).not.toContain(secrets.token)
      if (tries === maxTries) throw error
      await sleep(between_ms)
    }
  }
}

async function until(look: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await look()); looks++) {
    expect(looks, 'looks until it came to it').toBeLessThan(1_000)
    await sleep(between_ms)
  }
}

/** Every pod that was ever there, by attempt. */
async function watchPods({ config }: KubeCluster, namespace: string) {
  const seen = new Map<string, Set<string>>()
  const watch = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/pods`,
    {},
    (phase, { metadata }: V1Pod) => {
      const attempt_id = metadata?.labels?.['berth/attempt'] ?? ''
      if (phase === 'ADDED')
        seen.set(attempt_id, (seen.get(attempt_id) ?? new Set()).add(metadata?.uid ?? ''))
    },
    () => undefined,
  )
  return Object.assign(seen, { close: () => watch.abort() })
}
