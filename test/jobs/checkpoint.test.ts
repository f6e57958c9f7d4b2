import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { backtest, openTestWorld } from '../support/world.ts'

test('an upload that arrives again after it was reported does not take the checkpoint away', async () => {
  await using world = await openTestWorld()
  await world.request('POST', '/v1/jobs', { body: backtest() })
  await world.pass()
  const call = async (method: string, path: string, body?: unknown, type = 'application/json') => {
    const [attempt_id, machine] = [...world.model.machines].at(-1) ?? []
    const headers = { 'content-type': type }
    return world.request(method, `/v1/attempts/${attempt_id}${path}`, {
      key: machine?.token ?? '',
      headers,
      ...(body === undefined ? {} : { body }),
    })
  }
  await call('POST', '/report', { type: 'started', instance: 'one' })
  const bytes = 'half of the work'
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const upload = () => call('PUT', '/artifacts/checkpoints%2F1.tar', bytes, 'application/octet-stream')
  expect((await upload()).status).toBe(200)
  const report = { type: 'checkpoint', name: 'checkpoints/1.tar', bytes: bytes.length, sha256 }
  expect((await call('POST', '/report', report)).status).toBe(200)
  expect((await upload()).status).toBe(200)
  await call('POST', '/report', { type: 'finished', exit_code: null, failure: 'killed', result: null })
  await world.pass()
  world.advance(400)
  await world.settle(3)
  const spec = (await (await call('GET', '/spec')).json()) as { checkpoint: { sha256: string } }
  expect(spec.checkpoint).toMatchObject({ sha256 })
  expect(await (await call('GET', '/checkpoint')).text()).toBe(bytes)
})

test('what a preempted machine saves is where the next one begins, and the preemption uses up no attempt', async () => {
  await using world = await openTestWorld()
  const submitted = await world.request('POST', '/v1/jobs', {
    body: backtest({ retry: { max_attempts: 1 } }),
  })
  const { id } = (await submitted.json()) as { id: string }
  await world.pass()
  const [first = '', old] = [...world.model.machines].at(-1) ?? []
  const call = (attempt_id: string, token: string, method: string, path: string, body?: unknown) =>
    world.request(method, `/v1/attempts/${attempt_id}${path}`, {
      key: token,
      headers: { 'content-type': typeof body === 'string' ? 'application/octet-stream' : 'application/json' },
      ...(body === undefined ? {} : { body }),
    })
  const say = (body: unknown) => call(first, old?.token ?? '', 'POST', '/report', body)
  await say({ type: 'started', instance: 'one' })
  await world.pass()
  // The vendor's notice reaches the machine, its runner passes it on and is told to stop.
  await say({ type: 'preempting', at: world.deps.clock.now().toISOString() })
  await world.pass()
  expect(await (await say({ type: 'heartbeat', progress: 0.5 })).json()).toMatchObject({
    stop: { reason: 'preempted' },
  })
  const bytes = 'half of the work'
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  expect((await call(first, old?.token ?? '', 'PUT', '/artifacts/checkpoints%2F7.tar', bytes)).status).toBe(
    200,
  )
  await say({ type: 'checkpoint', name: 'checkpoints/7.tar', bytes: bytes.length, sha256 })
  await say({ type: 'finished', exit_code: 75, failure: null, result: null })
  await world.settle(3)
  world.advance(10)
  await world.settle(3)

  const [second = '', next] = [...world.model.machines].at(-1) ?? []
  expect(second).not.toBe(first)
  const spec = await (await call(second, next?.token ?? '', 'GET', '/spec')).json()
  expect(spec).toMatchObject({ checkpoint: { sha256 } })
  expect(await (await call(second, next?.token ?? '', 'GET', '/checkpoint')).text()).toBe(bytes)
  await call(second, next?.token ?? '', 'POST', '/report', { type: 'started', instance: 'two' })
  await call(second, next?.token ?? '', 'POST', '/report', {
    type: 'finished',
    exit_code: 0,
    failure: null,
    result: {},
  })
  await world.settle(3)
  expect(await (await world.request('GET', `/v1/jobs/${id}`)).json()).toMatchObject({
    state: 'succeeded',
    attempts: [{ outcome: 'preempted' }, { outcome: 'succeeded' }],
  })
})
