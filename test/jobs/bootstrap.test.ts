// The token in the user data of a machine: good for one exchange, by one machine, and of no use for anything else.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Bootstrap } from '../../jobs/bootstrap.ts'
import type { JobView } from '../../jobs/view.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

let world: World
let attempt_id: string
let token: string
let bootstrap: string
let job_id: string
const machine = 'a-number-that-a-machine-made-up'

beforeEach(async () => {
  world = await openTestWorld()
  world.deps.settings.image = () => 'registry.example.com/backtest:1'
  Object.assign(world.model.provider.traits, { runs_images: true })
  const answer = await world.request('POST', '/v1/jobs', { body: backtest({ retry: { max_attempts: 1 } }) })
  job_id = ((await answer.json()) as { id: string }).id
  await world.pass()
  const [[id, secrets] = []] = [...world.model.machines]
  attempt_id = id ?? ''
  token = secrets?.token ?? ''
  bootstrap = secrets?.bootstrap ?? ''
})
afterEach(() => world[Symbol.asyncDispose]())

const exchange = (given: { key?: string; machine?: string; attempt_id?: string; format?: string } = {}) =>
  world.request('POST', `/v1/runner/bootstrap${given.format ? `?format=${given.format}` : ''}`, {
    key: given.key ?? bootstrap,
    body: { attempt_id: given.attempt_id ?? attempt_id, machine: given.machine ?? machine },
  })
const job = async () => (await (await world.request('GET', `/v1/jobs/${job_id}`)).json()) as JobView
const refusals = async () => {
  const answer = await world.request('GET', `/v1/jobs/${job_id}/events`)
  const { items } = (await answer.json()) as { items: { type: string; data: object }[] }
  return items.filter(({ type }) => type === 'job.bootstrap_refused')
}
const report = (body: object) =>
  world.request('POST', `/v1/attempts/${attempt_id}/report`, { key: token, body })

describe('an exchange', () => {
  test('gives what the machine is to run, and with what', async () => {
    const answer = await exchange()
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect((await answer.json()) as Bootstrap).toEqual({
      berth_url: 'http://berth.test',
      attempt_id,
      token,
      image: 'registry.example.com/backtest:1',
      command: null,
      gpus: 0,
      registry: null,
    })
    expect((await report({ type: 'started', instance: 'one' })).status).toBe(200)
  })

  test('for a shell is assignments, quoted whole', async () => {
    expect((await (await exchange({ format: 'sh' })).text()).split('\n')).toEqual([
      `token='${token}'`,
      "image='registry.example.com/backtest:1'",
      "gpus='0'",
      "registry_server=''",
      "registry_username=''",
      "registry_password=''",
      'set -- ',
      '',
    ])
  })

  test('gives the credentials of the registry of a custom job, and its command', async () => {
    const login = { server: 'registry.example.com', username: 'robot', password: "it's a password" }
    await world.request('PUT', '/v1/secrets/PULL', { body: { registry: login } })
    const params = {
      image: 'registry.example.com/model:1',
      command: ['python', 'train.py'],
      registry: 'PULL',
    }
    await world.request('POST', '/v1/jobs', { body: { kind: 'custom', params, timeout_s: 600 } })
    await world.pass()
    const [id, secrets] = [...world.model.machines].find(([each]) => each !== attempt_id) ?? ['', null]
    const key = secrets?.bootstrap ?? ''
    const given = (await (await exchange({ attempt_id: id, key })).json()) as Bootstrap
    expect(given).toMatchObject({
      image: expect.stringContaining('registry.example.com/model@sha256:'),
      registry: login,
    })
    expect(given.command?.slice(0, 2)).toEqual(['sh', '-c'])
    const text = await (await exchange({ attempt_id: id, key, format: 'sh' })).text()
    expect(text).toContain(String.raw`registry_password='it'\''s a password'`)
    expect(text).toContain("\nset -- 'sh' '-c' 'set -u\n")
  })

  test('whose answer was lost may be repeated by the same machine, for a quarter of an hour', async () => {
    const first = await (await exchange()).json()
    world.advance(14 * 60)
    expect(await (await exchange()).json()).toEqual(first)
    expect(await refusals()).toEqual([])
    world.advance(2 * 60)
    expect((await exchange()).status).toBe(409)
    expect(await refusals()).toHaveLength(1)
  })

  test('by another machine is refused, and told of once in the events of the job and to its webhooks', async () => {
    const hook = { url: 'https://hooks.example.com/', types: ['job.bootstrap_refused'] }
    await world.request('POST', '/v1/webhooks', { body: { url: hook.url, events: hook.types } })
    await exchange()
    for (let each = 0; each < 3; each++) {
      const answer = await exchange({ machine: `another-machine-${each}-0123` })
      expect([answer.status, ((await answer.json()) as { code: string }).code]).toEqual([
        409,
        'bootstrap_used',
      ])
    }
    expect(await refusals()).toMatchObject([
      { type: 'job.bootstrap_refused', data: { attempt_id, attempt: 1, shard: 0 } },
    ])
    await world.deliver()
    expect(world.sent.filter(({ url }) => url === hook.url)).toHaveLength(1)
    // The machine that was first goes on.
    expect((await exchange()).status).toBe(200)
    await report({ type: 'started', instance: 'one' })
    await world.settle(2)
    expect(await job()).toMatchObject({ state: 'running' })
  })

  test('needs its own token, of this attempt, and gives nothing once the attempt is over', async () => {
    const odd = [token, `${bootstrap}x`, bootstrap.replace('brb_', 'brt_'), world.key]
    for (const key of odd) expect((await exchange({ key })).status).toBe(401)
    expect((await exchange({ attempt_id: `${attempt_id.slice(0, -1)}0` })).status).toBe(401)
    expect((await exchange({ machine: 'short' })).status).toBe(422)
    await world.request('POST', `/v1/jobs/${job_id}/cancel`)
    await world.settle()
    expect((await exchange()).status).toBe(410)
  })

  test('is all that the token of the machine is good for, whatever is made of it', async () => {
    for (const key of [bootstrap, bootstrap.replace('brb_', 'brt_')])
      expect((await world.request('GET', `/v1/attempts/${attempt_id}/spec`, { key })).status).toBe(401)
    expect((await world.request('GET', '/v1/jobs', { key: bootstrap })).status).toBe(401)
  })
})

describe('a machine whose runner does not come up', () => {
  test('says that its image cannot be pulled, and the attempt ends as on any provider', async () => {
    const said = { type: 'finished', exit_code: null, failure: 'image', error: { message: 'no such tag' } }
    expect((await report(said)).status).toBe(200)
    await world.settle(3)
    expect(await job()).toMatchObject({
      state: 'failed',
      outcome: 'image_error',
      error: { code: 'image', message: 'no such tag' },
      attempts: [{ outcome: 'image_error', started_at: null }],
    })
  })

  test('says nothing of a success: that is the runner’s, once it has started', async () => {
    expect((await report({ type: 'finished', exit_code: 0, failure: null })).status).toBe(422)
    expect((await report({ type: 'heartbeat' })).status).toBe(422)
  })

  test('changes nothing of what the runner has said itself', async () => {
    await report({ type: 'started', instance: 'one' })
    await report({ type: 'finished', exit_code: 0, failure: null, result: { best: 1 } })
    const late = { type: 'finished', exit_code: 1, failure: 'runner_crashed', error: { message: 'late' } }
    await report(late)
    await world.settle(3)
    expect(await job()).toMatchObject({ state: 'succeeded', result: { best: 1 } })
  })
})
