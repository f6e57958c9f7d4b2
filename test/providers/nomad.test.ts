// The Nomad adapter: the suite, and what the suite does not ask.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runConformance } from '../../providers/conformance/run.ts'
import { requestFor } from '../../providers/conformance/subject.ts'
import { createNomadProvider } from '../../providers/nomad/nomad.ts'
import type { Provider } from '../../providers/provider.ts'
import { openNomad } from '../fakes/nomad.ts'
import { found } from '../support/local-world.ts'
import { nomadOptions, subject } from '../support/nomad-subject.ts'

const signal = new AbortController().signal
const attempt_id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'

let nomad: Awaited<ReturnType<typeof openNomad>>
let provider: Provider

beforeEach(async () => {
  nomad = await openNomad()
  provider = createNomadProvider(nomadOptions({ url: nomad.url }))
})

afterEach(() => nomad.close())

async function launch() {
  const [offer] = await provider.offers(signal)
  if (!offer) throw new Error('no offer')
  const given = {
    deadline_at: '2026-01-01T02:00:00Z',
    installation: '4q7k2mzz',
    image: 'registry.example.com/work:1',
  }
  const request = requestFor(attempt_id, offer, given)
  return { attempt_id, request, handle: await provider.launch(request, { token: 'secret-token' }, signal) }
}

test('the Nomad adapter keeps every promise that Nomad lets it keep', { timeout: 180_000 }, async () => {
  const report = await runConformance(subject, { signal, log: () => undefined })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  // Nomad has no prices, no quota but in its Enterprise edition, no dead-man switch, and no helpers of a job.
  expect(report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))).toEqual([
    'devices are parts of offers',
    'a launch repeated while lists lag starts nothing new',
    'the dead-man switch is later than the deadline',
    'the end is told with its reason: deadline',
    'waiting is told with its reason: image',
    'waiting is told with its reason: quota',
    'nothing is billed after the end',
    'list gives helpers, of no attempt, and they can be stopped',
    'launch answered by capacity: capacity',
    'launch answered by quota: quota',
    'launch answered by balance: balance',
  ])
})

test('an image that cannot be pulled ends the attempt with that reason', async () => {
  await nomad.pullFails(attempt_id)
  const ref = await launch()
  await nomad.pass(5_000)
  expect(await provider.inspect([ref], signal)).toMatchObject([
    {
      state: 'exited',
      exit_code: null,
      reason: 'image',
      detail: expect.stringContaining('manifest unknown'),
    },
  ])
})

test('an attempt that waits for a node and is stopped ends, and is not listed', async () => {
  await nomad.back.hinder?.capacity?.(attempt_id)
  const ref = await launch()
  await provider.stop(ref, signal)
  expect(await provider.inspect([ref], signal)).toEqual([
    { state: 'exited', exit_code: null, detail: 'stopped before it was placed' },
  ])
  expect(await found(provider)).toEqual([])
})

test('the price that an attempt was launched at is told for what runs', async () => {
  await launch()
  expect(await found(provider)).toEqual([
    {
      name: 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x',
      attempt_id,
      handle: { job: 'berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x' },
      usd_per_hour: 0.08,
      since: '2026-01-01T00:00:00.000Z',
    },
  ])
})

test('a redirect is not followed with the token', async () => {
  const seen: string[] = []
  const options = nomadOptions({
    url: nomad.url,
    fetch: (url, init) => {
      seen.push(String(init?.redirect))
      return fetch(url as string, init)
    },
  })
  await createNomadProvider(options).offers(signal)
  expect(seen).toEqual(['error'])
})
