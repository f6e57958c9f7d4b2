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
