// An account of a real cluster, added over REST, runs a job: what the core writes, the cluster does.
import { expect, test } from 'vitest'
import { keepAccounts } from '../../../infra/accounts.ts'
import { keepOffers } from '../../../infra/offers.ts'
import { vendors } from '../../../infra/vendors/vendors.ts'
import type { JobView } from '../../../jobs/view.ts'
import { noKube } from '../../support/kube-binary.ts'
import { openKubeAccount } from '../../support/kube-account.ts'
import { eventually, kubeCluster } from '../../support/kube.ts'
import { openTestWorld } from '../../support/world.ts'

test('a job over REST becomes a pod with its command and token, and nothing is left of it', async (context) => {
  if (noKube) return context.skip(noKube)
  const cluster = await kubeCluster()
  const desk = await openKubeAccount(cluster)
  await using world = await openTestWorld()
  const { namespace, options } = desk
  try {
    await desk.addNode('cpu')
    // A server's own accounts, and no place but the cluster.
    const accounts = keepAccounts([])
    const books = keepOffers(accounts, { asks: true })
    Object.assign(world.deps, {
      vendors: async () => vendors,
      providers: accounts.providers,
      offers: books.now,
    })
    const ask = async <Body>(method: string, path: string, body?: unknown, key = world.key) =>
      (await (
        await world.request(method, path, { key, ...(body === undefined ? {} : { body }) })
      ).json()) as Body
    const { kubeconfig } = options.cluster as { kubeconfig: string }
    const { prices, pods, region } = options
    const account = await ask<{ id: string }>('POST', '/v1/provider-accounts', {
      provider: 'kubernetes',
      account: 'desk',
      settings: { namespace, region, prices, pods },
      credentials: { kubeconfig },
    })
    expect(await ask('POST', `/v1/provider-accounts/${account.id}/test`)).toMatchObject({ ok: true })
    await accounts.refresh(world.deps)
    await books.refresh(world.deps)

    const command = ['python3', 'train.py']
    const resources = { cpu: 0.1, memory_gib: 0.1, disk_gib: 0.1 }
    const params = { image: 'registry.example.test/model:1', command }
    const { id } = await ask<JobView>('POST', '/v1/jobs', { kind: 'custom', params, resources })
    const read = async () => {
      world.advance(2)
      await world.settle(2)
      return ask<JobView>('GET', `/v1/jobs/${id}`)
    }
    await read()
    const pod = await eventually('a pod', async () => {
      const { items } = await cluster.core.listNamespacedPod({ namespace })
      return items.find(({ status }) => status?.phase === 'Running')
    })
    const [container] = pod.spec?.containers ?? []
    const image = expect.stringContaining('registry.example.test/model@sha256:') as string
    expect(container).toMatchObject({ image, command: ['sh', '-c', expect.any(String)] })
    const attempt_id = (await read()).attempts[0]?.id ?? ''
    const { items: secrets } = await cluster.core.listNamespacedSecret({ namespace })
    const token = Buffer.from(secrets[0]?.data?.['token'] ?? '', 'base64').toString()
    const report = (body: object) => ask('POST', `/v1/attempts/${attempt_id}/report`, body, token)
    expect(await ask('GET', `/v1/attempts/${attempt_id}/spec`, undefined, token)).toMatchObject({
      program: { command },
    })
    await report({ type: 'started', instance: 'the-pod', host: {} })
    expect(await read()).toMatchObject({
      state: 'running',
      attempts: [{ provider: 'kubernetes', account: 'desk' }],
    })
    await report({
      type: 'finished',
      exit_code: 0,
      failure: null,
      error: null,
      result: { sharpe: 1 },
      artifacts: [],
    })
    expect(await read()).toMatchObject({ state: 'succeeded', result: { sharpe: 1 } })
    const ended = await eventually('the end of the attempt', async () => {
      const job = await read()
      return job.attempts[0]?.state === 'ended' && job.cost.final ? job : undefined
    })
    expect(ended.cost.actual_usd).toBeGreaterThan(0)
    const left = await Promise.all([
      cluster.core.listNamespacedPod({ namespace }),
      cluster.core.listNamespacedSecret({ namespace }),
      cluster.batch.listNamespacedJob({ namespace }),
    ])
    expect(left.map(({ items }) => items.length)).toEqual([0, 0, 0])
  } finally {
    await desk.close()
  }
})
