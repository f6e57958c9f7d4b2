// What a vendor says of an end or of a wait decides, where the runner says nothing.
import { expect, test } from 'vitest'
import type { Observation } from '../../providers/provider.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

/** A job whose machine is seen so from its launch on, after some seconds of passes. */
async function seen(world: World, observation: Observation, seconds: number) {
  const spec = backtest({ retry: { max_attempts: 1 }, queue_timeout_s: 30 })
  const answer = await world.request('POST', '/v1/jobs', { body: spec })
  const { id } = (await answer.json()) as { id: string }
  await world.pass()
  for (const machine of world.model.machines.values()) machine.seen = observation
  for (let second = 0; second < seconds; second += 5) {
    world.advance(5)
    await world.pass()
  }
  const job = (await (await world.request('GET', `/v1/jobs/${id}`)).json()) as JobView
  return { job, first: job.attempts.find(({ number }) => number === 1) }
}

test.each([
  ['out_of_memory', 137, 'failed', 'out_of_memory'],
  ['image', null, 'image_error', 'image'],
  ['deadline', null, 'timed_out', 'timed_out'],
] as const)('an end by %s without a report is told as such', async (reason, exit_code, outcome, code) => {
  await using world = await openTestWorld()
  const { job, first } = await seen(world, { state: 'exited', exit_code, detail: null, reason }, 120)
  expect(first).toMatchObject({ outcome, exit_code })
  expect(job).toMatchObject({ state: 'failed', error: { code } })
})

test.each([
  ['exited', { state: 'exited', exit_code: 143, detail: null, reason: 'preempted' }],
  ['gone', { state: 'gone', detail: null, reason: 'preempted' }],
] as const)(
  'a machine that the vendor took back (%s) is preempted, on demand too, and tried again',
  async (_, it) => {
    await using world = await openTestWorld()
    const { job, first } = await seen(world, it, 120)
    expect(first).toMatchObject({ outcome: 'preempted', spot: false })
    expect(job.attempts.length).toBeGreaterThan(1)
  },
)

test('a machine that its vendor will take back is stopped with time for a checkpoint, and tried again', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  const [[id, machine] = []] = [...world.model.machines]
  const report = (body: object) =>
    world.request('POST', `/v1/attempts/${id}/report`, { key: machine?.token ?? '', body })
  await report({ type: 'started', instance: 'one' })
  await world.pass()
  if (machine) machine.seen = { state: 'running', detail: null, reason: 'preempted' }
  world.advance(30)
  await world.pass()
  const told = (await (await report({ type: 'heartbeat' })).json()) as { stop?: object }
  expect(told.stop).toEqual({ reason: 'preempted', grace_ms: 30_000 })
  await report({ type: 'finished', exit_code: 75, failure: 'preempted' })
  await world.pass()
  const [{ attempts } = {}] = (
    (await (await world.request('GET', '/v1/jobs')).json()) as { items: JobView[] }
  ).items
  expect(attempts?.[0]).toMatchObject({ number: 1, outcome: 'preempted' })
})

test('a machine that was never there is no loss: another offer is tried, and this one is remembered for it', async () => {
  await using world = await openTestWorld()
  const gone: Observation = { state: 'gone', detail: 'gave it up', reason: 'capacity' }
  const { first } = await seen(world, gone, 60)
  expect(first).toMatchObject({ outcome: 'no_capacity' })
  const { items } = (await (await world.request('GET', '/v1/offers')).json()) as {
    items: { blocked: object }[]
  }
  expect(items[0]?.blocked).toMatchObject({ reason: 'capacity' })
})

test('an image that cannot be pulled is given up after two minutes, long before the start timeout', async () => {
  await using world = await openTestWorld()
  Object.assign(world.model.provider.traits, { boot_bound_s: 1_800 })
  const detail = 'not found: registry.example.com/none:1'
  const pulling: Observation = { state: 'pending', detail, reason: 'image' }
  const early = await seen(world, pulling, 100)
  expect(early.first).toMatchObject({ outcome: null })
  for (let second = 0; second < 40; second += 5) {
    world.advance(5)
    await world.pass()
  }
  const job = (await (await world.request('GET', `/v1/jobs/${early.job.id}`)).json()) as JobView
  expect(job).toMatchObject({ state: 'failed', outcome: 'image_error', error: { code: 'image' } })
  expect(job.error?.message).toContain(detail)
})

test('a registry that comes back in time has done no harm', async () => {
  await using world = await openTestWorld()
  const { first } = await seen(world, { state: 'pending', detail: 'no route', reason: 'image' }, 100)
  for (const machine of world.model.machines.values()) machine.seen = { state: 'pending', detail: null }
  for (let second = 0; second < 60; second += 5) {
    world.advance(5)
    await world.pass()
  }
  expect(first).toMatchObject({ outcome: null })
})

test('where images are run, a job is placed if there is one for its kind, and launched with it', async () => {
  await using world = await openTestWorld()
  Object.assign(world.model.provider.traits, { runs_images: true })
  const waiting = await world.request('POST', '/v1/jobs', { body: backtest() })
  const { id } = (await waiting.json()) as { id: string }
  await world.settle()
  const explained = await (await world.request('GET', `/v1/jobs/${id}/explain`)).json()
  expect(explained).toMatchObject({ state: 'queued', rejected: [{ reason: 'no_image', count: 1 }] })
  expect(world.model.calls).toEqual([])
  world.deps.settings.image = (kind) => `registry.example.com/${kind}:1`
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.settle()
  const images = [...world.model.machines.values()].map(({ request }) => request.image)
  expect(new Set(images)).toEqual(new Set(['registry.example.com/backtest:1']))
})
