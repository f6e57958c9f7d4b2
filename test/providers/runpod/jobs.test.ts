// Jobs on RunPod: what placement, the pass and the adapter make of each other, on the clock of the test.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { catalogueOf } from '../../../jobs/catalogue.ts'
import type { JobView } from '../../../jobs/view.ts'
import type { Provider } from '../../../providers/provider.ts'
import { matches } from '../../fakes/runpod.ts'
import { openRunpodAccount, type RunpodAccount } from '../../support/runpod-account.ts'
import { openTestWorld, type World } from '../../support/world.ts'

const signal = new AbortController().signal
let account: RunpodAccount
let world: World

beforeEach(async () => {
  account = await openRunpodAccount()
  world = await openTestWorld()
})

afterEach(async () => {
  await account.runpod.close()
  await world[Symbol.asyncDispose]()
})

async function use(provider: Provider): Promise<void> {
  const catalogue = catalogueOf(await provider.offers(signal))
  Object.assign(world.deps, { providers: [provider], offers: () => catalogue })
}

const open = (given: Parameters<RunpodAccount['open']>[0] = {}) =>
  account.open({ installation: world.deps.installation, disk_gb: 50, ...given })

async function submit(placement: object = {}): Promise<string> {
  const params = { image: 'desk/any:1', command: ['true'] }
  const body = { kind: 'custom', params, resources: { gpu: { models: ['RTX 4090'] } }, placement }
  const answer = await world.request('POST', '/v1/jobs', { body })
  expect(answer.status, await answer.clone().text()).toBe(201)
  await world.settle()
  return ((await answer.json()) as JobView).id
}

async function pass(seconds: number): Promise<void> {
  world.advance(seconds)
  await account.runpod.pass(seconds * 1_000)
  await world.settle()
}

const read = async (id: string) =>
  (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView & {
    attempts: { region: string; outcome: string | null; spot: boolean }[]
  }
const attempts = async (id: string) =>
  (await read(id)).attempts.map(({ region, outcome, spot }) => [region, spot ? 'spot' : 'on demand', outcome])
const pods = () =>
  account.runpod.state.pods.map(({ data_center, end }) => [data_center, end === null ? 'runs' : end.how])

/** What its runner says. */
async function report(body: object): Promise<void> {
  const pod = account.runpod.state.pods.at(-1)
  const { BERTH_ATTEMPT_ID: id, BERTH_TOKEN: key = '' } = pod?.env ?? {}
  const answer = await world.request('POST', `/v1/attempts/${id}/report`, { key, body })
  expect(answer.status, await answer.text()).toBe(200)
  await world.settle()
}

test.each(['graphql', 'rest'] as const)(
  'out of stock in one data center, a job starts in the next at once, over %s',
  async (transport) => {
    await use(open({ transport, data_centers: ['EU-RO-1', 'US-KS-2'] }))
    account.runpod.state.out.add('NVIDIA GeForce RTX 4090@EU-RO-1')
    const id = await submit()
    expect(await attempts(id)).toEqual([
      ['US-KS-2', 'on demand', null],
      ['EU-RO-1', 'on demand', 'no_capacity'],
    ])
    expect(pods()).toEqual([['US-KS-2', 'runs']])
  },
)

test.each(['graphql', 'rest'] as const)(
  'a launch whose answer was lost is one pod, over %s',
  async (transport) => {
    await use(open({ transport }))
    account.runpod.wire.lose(matches.launch)
    const id = await submit()
    expect(pods()).toHaveLength(1)
    for (let each = 0; each < 12; each++) await pass(10)
    expect(pods()).toHaveLength(1)
    await report({ type: 'started', instance: 'one' })
    expect(await read(id)).toMatchObject({ state: 'running' })
  },
)

test('an interruptible pod that is outbid ends as preempted, and another is made', async () => {
  await use(open())
  const id = await submit({ spot: 'only' })
  await report({ type: 'started', instance: 'one' })
  const [pod] = account.runpod.state.pods
  await account.runpod.outbid(pod?.env['BERTH_ATTEMPT_ID'] ?? '')
  for (let each = 0; each < 12; each++) await pass(10)
  expect(await attempts(id)).toEqual([
    ['any', 'spot', 'preempted'],
    ['any', 'spot', null],
  ])
  // What was outbid is ended too, for it would stay.
  expect(pods()).toEqual([
    [pod?.data_center, 'terminated'],
    [pod?.data_center, 'runs'],
  ])
})

test.each(['graphql', 'rest'] as const)(
  'a job that has reported and ended its pod has succeeded, and costs what RunPod bills, over %s',
  async (transport) => {
    await use(open({ transport }))
    const id = await submit()
    await pass(45)
    await report({ type: 'started', instance: 'one' })
    await pass(600)
    await report({ type: 'finished', exit_code: 0, failure: null, result: { score: 1 } })
    const [pod] = account.runpod.state.pods
    if (!pod) throw new Error('no pod')
    account.runpod.cloud.terminate(pod.id)
    for (let each = 0; each < 30; each++) await pass(1)
    const job = await read(id)
    expect(job).toMatchObject({ state: 'succeeded', cost: { final: true, basis: 'billed' } })
    const { usd, seconds } = account.runpod.cloud.billed(pod)
    expect(seconds).toBe(645)
    // It is metered until its end was seen, which is two seconds after.
    const late_s = ((job.cost.actual_usd - usd) * 3_600) / account.runpod.cloud.costOf(pod)
    expect(late_s).toBeGreaterThanOrEqual(0)
    expect(late_s).toBeLessThan(2.1)
  },
)

test('a pod that ended itself without a report is lost, and the job goes on elsewhere', async () => {
  await use(open())
  const id = await submit()
  await report({ type: 'started', instance: 'one' })
  const [pod] = account.runpod.state.pods
  account.runpod.cloud.terminate(pod?.id ?? '')
  for (let each = 0; each < 12; each++) await pass(10)
  expect(await attempts(id)).toEqual([
    ['any', 'on demand', 'lost'],
    ['any', 'on demand', null],
  ])
})
