// Pods of RunPod over both of its APIs: what is asked for, what is found again, and what it costs.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { costMicros, usdToMicros } from '../../../jobs/cost.ts'
import type { ProviderError } from '../../../providers/errors.ts'
import type { Offer } from '../../../providers/provider.ts'
import { matches } from '../../fakes/runpod.ts'
import { bodies } from '../../fakes/runpod-recorded.ts'
import { openRunpodAccount, type RunpodAccount } from '../../support/runpod-account.ts'
import { attempt_id, token } from '../../support/runpod-account.ts'
import { installation } from '../../support/runpod-subject.ts'

const signal = new AbortController().signal
const both = ['graphql', 'rest'] as const
const isSpot = ({ spot }: Offer) => spot
const onDemand = ({ spot }: Offer) => !spot

let account: RunpodAccount

beforeEach(async () => {
  account = await openRunpodAccount()
})

afterEach(() => account.runpod.close())

const failureOf = (work: Promise<unknown>): Promise<ProviderError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: ProviderError) => error,
  )

describe.each(both)('over %s', (transport) => {
  const open = () => account.open({ transport })
  const launched = async (fits = onDemand) => {
    const provider = open()
    const request = account.requestOf(await account.offer(provider, fits))
    return { provider, ...(await account.launch(provider, request)) }
  }

  test('a pod has the name of its attempt, no volume and no port', async () => {
    await launched()
    const [pod] = account.runpod.state.pods
    expect(pod).toMatchObject({
      name: 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x',
      image: 'registry.example.com/work:1',
      count: 1,
      cloud: 'SECURE',
      disk_gb: 20,
      bid: null,
      registry: null,
      env: {
        BERTH_URL: 'http://127.0.0.1:9',
        BERTH_ATTEMPT_ID: attempt_id,
        BERTH_TOKEN: token,
        BERTH_INSTALLATION: installation,
      },
    })
  })

  test('RunPod makes two pods for two calls, and the adapter makes one', async () => {
    const { provider, request, handle } = await launched()
    await account.runpod.pass(provider.traits.list_lag_ms)
    const again = await account.launch(open(), request)
    expect(again.handle).toEqual(handle)
    expect(account.runpod.state.pods).toHaveLength(1)
    const [pod] = account.runpod.state.pods
    if (!pod) throw new Error('no pod')
    account.runpod.cloud.create({ ...pod, gpu_type: pod.gpu.id, data_centers: [], cpu: 1, ram: 1 })
    expect(account.runpod.of(attempt_id)).toHaveLength(2)
  })

  test('of two pods of one attempt the oldest is kept', async () => {
    const { provider, request, handle } = await launched()
    const [pod] = account.runpod.state.pods
    if (!pod) throw new Error('no pod')
    await account.runpod.pass(1_000)
    account.runpod.cloud.create({ ...pod, gpu_type: pod.gpu.id, data_centers: [], cpu: 1, ram: 1 })
    expect((await account.launch(provider, request)).handle).toEqual(handle)
    expect(account.runpod.of(attempt_id).map(({ end }) => end?.how ?? 'runs')).toEqual(['runs', 'terminated'])
  })

  test('a pod that was made though RunPod said that something went wrong is found by its repeat', async () => {
    const provider = open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    account.runpod.wire.spoil(matches.launch, 'malformed')
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'unknown_outcome' })
    account.runpod.wire.calm()
    await account.runpod.pass(provider.traits.list_lag_ms)
    await account.launch(provider, request)
    expect(account.runpod.of(attempt_id)).toHaveLength(1)
  })

  test('nothing is asked twice by itself', async () => {
    const provider = open()
    account.runpod.wire.spoil(() => true, 'server_error')
    await failureOf(provider.offers(signal))
    expect(account.runpod.wire.count()).toBe(1)
  })

  test('out of stock in one data center, the offer of another starts', async () => {
    account.runpod.state.out.add('NVIDIA GeForce RTX 4090@EU-RO-1')
    const provider = account.open({ transport, data_centers: ['EU-RO-1', 'US-KS-2'] })
    const at = (region: string) =>
      account.offer(provider, (offer) => onDemand(offer) && offer.region === region)
    expect((await at('EU-RO-1')).available).toBe(0)
    const request = account.requestOf(await at('EU-RO-1'))
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'capacity' })
    await account.launch(provider, account.requestOf(await at('US-KS-2')))
    expect(account.runpod.state.pods.map(({ data_center }) => data_center)).toEqual(['US-KS-2'])
  })

  test('a pod is pending, runs though its container was started again, and is gone when it ended itself', async () => {
    const { provider, ...ref } = await launched()
    expect(await account.seen(provider, ref)).toMatchObject({ state: 'pending' })
    await account.runpod.pass(60_000)
    expect(await account.seen(provider, ref)).toEqual({ state: 'running', detail: null })
    for (const pod of account.runpod.of(attempt_id)) account.runpod.cloud.entryEnds(pod)
    expect(await account.seen(provider, ref)).toEqual({ state: 'running', detail: null })
    await account.runpod.back.finish?.(attempt_id, 0)
    expect(await account.seen(provider, ref)).toEqual({ state: 'gone', detail: null })
    await account.runpod.pass(5_000)
    expect(await account.seen(provider, ref)).toEqual({ state: 'gone', detail: null })
  })

  test('a pod that somebody stopped has exited, is listed at no cost, and is ended by a stop', async () => {
    const { provider, ...ref } = await launched()
    await account.runpod.outbid(attempt_id)
    expect(await account.seen(provider, ref)).toEqual({
      state: 'exited',
      exit_code: null,
      detail: 'it was stopped',
      reason: null,
    })
    expect(await account.listed(provider)).toMatchObject([{ attempt_id, usd_per_hour: 0 }])
    await provider.stop(ref, signal)
    expect(await account.listed(provider)).toEqual([])
  })

  test('the ledger is what RunPod bills', async () => {
    const { provider, request, ...ref } = await launched()
    await account.runpod.pass(1_234_000)
    await provider.stop({ request, ...ref }, signal)
    const [pod] = account.runpod.of(attempt_id)
    if (!pod?.end) throw new Error('no end')
    const billed = account.runpod.cloud.billed(pod)
    const ours = costMicros(
      {
        usd_micros_per_hour: usdToMicros(request.offer.usd_per_hour),
        min_billing_s: provider.traits.min_billing_s,
        billed_from: new Date(pod.created_ms),
        billed_to: new Date(pod.end.ms),
      },
      new Date(account.runpod.now()),
    )
    expect(billed.seconds).toBe(1_234)
    // The price is in whole micro-dollars an hour: half of one is the most that they are apart.
    expect(Math.abs(ours - billed.usd * 1e6)).toBeLessThan(1.5)
  })

  test('a credential is there while its pod is, and is listed when a launch was broken off', async () => {
    const provider = open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    const registry = { server: 'registry.example.com', username: 'desk', password: 'hush-hush' }
    account.runpod.wire.spoil(matches.launch, 'reset')
    await failureOf(account.launch(provider, request, { registry }))
    account.runpod.wire.calm()
    expect(await account.listed(provider)).toMatchObject([
      { name: `${request.name}-${installation}`, attempt_id: null, usd_per_hour: 0 },
    ])
    const ref = await account.launch(provider, request, { registry })
    expect(account.runpod.state.registries).toMatchObject([{ username: 'desk', password: 'hush-hush' }])
    expect(account.runpod.state.pods[0]?.registry).toBe(account.runpod.state.registries[0]?.id)
    expect(await account.listed(provider)).toMatchObject([{ attempt_id }])
    await provider.stop(ref, signal)
    expect(account.runpod.state.registries).toEqual([])
  })

  test('a thing of another installation with the same first letters is nobody of ours', async () => {
    const provider = open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    await account.runpod.back.foreign?.()
    const { handle } = await account.launch(provider, request)
    const others = account.runpod.state.pods.filter(({ env }) => env['BERTH_INSTALLATION'] === '4q7k2mother')
    expect(others.map(({ id, name }) => [id === handle['pod'], name])).toEqual([[false, request.name]])
  })

  test('neither token nor variables are in an error, whatever RunPod repeats', async () => {
    const provider = open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    account.runpod.wire.spoil(matches.launch, 'echo')
    const error = await failureOf(account.launch(provider, request))
    expect(error).toMatchObject({ code: 'rejected', cause: undefined })
    expect(error.detail).toMatch(
      /^(podFindAndDeployOnDemand|createPod): the request is refused \(HTTP 4\d\d\)$/,
    )
  })
})

describe('interruptible', () => {
  test('a pod bids what the offer costs, without the disk', async () => {
    const provider = account.open({ bid_factor: 1.5, gpu_counts: [2] })
    const offer = await account.offer(provider, isSpot)
    expect(offer.usd_per_hour).toBeCloseTo(2 * 1.5 * 0.2 + (20 * 0.1) / 730, 5)
    await account.launch(provider, account.requestOf(offer))
    expect(account.runpod.state.pods).toMatchObject([{ count: 2, bid: 0.3 }])
    expect(account.runpod.cloud.spend()).toBeCloseTo(offer.usd_per_hour, 5)
  })

  test('a higher bid takes it: exited, preempted', async () => {
    const provider = account.open()
    const ref = await account.launch(provider, account.requestOf(await account.offer(provider, isSpot)))
    await account.runpod.outbid(attempt_id)
    expect(await account.seen(provider, ref)).toMatchObject({
      state: 'exited',
      exit_code: null,
      reason: 'preempted',
    })
  })

  test('a bid that is below the least one by now is no stock', async () => {
    const provider = account.open()
    const request = account.requestOf(await account.offer(provider, isSpot))
    for (const gpu of account.runpod.state.gpus) gpu.bid = 0.5
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'capacity' })
  })

  test('an offer of the time before is refused over REST, and nothing is made', async () => {
    const offer = await account.offer(account.open(), isSpot)
    const rest = account.open({ transport: 'rest' })
    const error = await failureOf(account.launch(rest, account.requestOf(offer)))
    expect(error).toMatchObject({ code: 'rejected' })
    expect(account.runpod.state.pods).toEqual([])
  })
})

describe('before a pod is made over GraphQL', () => {
  test('a machine is asked for with the CPUs and the memory of the work', async () => {
    const provider = account.open()
    const offer = await account.offer(provider, onDemand)
    const { cpu, memory_gib } = offer
    for (const more of [
      { cpu, memory_gib: memory_gib + 2 },
      { cpu: cpu + 1, memory_gib },
    ])
      expect(await failureOf(account.launch(provider, account.requestOf(offer, more)))).toMatchObject({
        code: 'capacity',
      })
    await account.launch(provider, account.requestOf(offer, { cpu, memory_gib }))
  })

  test('an hour of it has to be in the balance', async () => {
    const provider = account.open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    account.runpod.state.balance = 0.5
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'balance' })
    account.runpod.state.balance = 1
    await account.launch(provider, request)
  })

  test('the limit of spending must not be passed', async () => {
    const provider = account.open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    account.runpod.state.spend_limit = 0.5
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'quota' })
  })

  test('a balance that went meanwhile is an outcome that is not known', async () => {
    const provider = account.open()
    const request = account.requestOf(await account.offer(provider, onDemand))
    account.runpod.answerWith(matches.launch, bodies.graphql_wrong)
    expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'unknown_outcome' })
  })
})

test.each([
  ['an offer of another adapter', { id: 'cuda:0' }, {}],
  ['no image', {}, { image: null }],
])('%s is refused before anything is asked', async (_, offer, given) => {
  const provider = account.open()
  const request = account.requestOf({ ...(await account.offer(provider)), ...offer }, given)
  const before = account.runpod.wire.count()
  expect(await failureOf(account.launch(provider, request))).toMatchObject({ code: 'rejected' })
  expect(account.runpod.wire.count()).toBe(before)
})
