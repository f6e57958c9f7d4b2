// The program of a machine, run by a real shell against a real Berth: what it fetches, starts, reports and releases.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { getRequestListener } from '@hono/node-server'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { JobView } from '../../jobs/view.ts'
import type { LaunchRequest } from '../../providers/provider.ts'
import { readProgram, userDataOf } from '../../providers/alibaba/user-data.ts'
import { type FakeInstance, isGone } from '../fakes/alibaba-machines.ts'
import { key } from '../fakes/alibaba.ts'
import { type FakeEcs, openFakeEcs, region } from '../support/alibaba-account.ts'
import { until } from '../support/local-world.ts'
import { type Machine, noMachine, openMachine } from '../support/machine.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

const path = fileURLToPath(new URL('../../providers/alibaba/boot.sh', import.meta.url))

test('is a program that a shell can read, with and without its comments', () => {
  expect(spawnSync('bash', ['-n', path], { encoding: 'utf8' }).stderr).toBe('')
  const input = readProgram()
  expect(spawnSync('bash', ['-n'], { input, encoding: 'utf8' }).stderr).toBe('')
  expect(input).not.toMatch(/^\s*#/m)
})

describe.skipIf(noMachine !== null)('a machine', () => {
  let world: World
  let server: ReturnType<typeof createServer>
  let machine: Machine
  let ecs: FakeEcs
  let request: LaunchRequest
  let job_id: string
  /** Paths of Berth whose next answer is lost. */
  let lost: string | null

  beforeEach(async () => {
    world = await openTestWorld()
    ecs = await openFakeEcs()
    machine = await openMachine(ecs.wire.url, region)
    lost = null
    const listener = getRequestListener(world.app.fetch)
    server = createServer((incoming, outgoing) => {
      if (lost !== null && incoming.url?.startsWith(lost)) {
        lost = null
        // It takes effect, and nobody hears of it.
        const answer = outgoing.end.bind(outgoing)
        outgoing.end = (() => (outgoing.destroy(), outgoing)) as typeof answer
      }
      void listener(incoming, outgoing)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    world.deps.settings.berth_url = () => url
    world.deps.settings.image = () => 'registry.example.com/backtest:1'
    Object.assign(world.model.provider.traits, { runs_images: true })
    const answer = await world.request('POST', '/v1/jobs', { body: backtest({ retry: { max_attempts: 1 } }) })
    job_id = ((await answer.json()) as { id: string }).id
    await world.pass()
    request = launched().request
    machine.ends(0)
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
    await machine.close()
    await ecs.close()
    await world[Symbol.asyncDispose]()
  })

  const launched = () =>
    [...world.model.machines.values()][0] as { request: LaunchRequest; token: string; bootstrap?: string }
  const userData = (ram_role: string | null = null, bootstrap = launched().bootstrap) => {
    const text = userDataOf(request, { ...(bootstrap && { bootstrap }) }, { region, ram_role }, readProgram())
    return Buffer.from(text, 'base64').toString()
  }
  const job = async () => {
    await world.settle(3)
    return (await (await world.request('GET', `/v1/jobs/${job_id}`)).json()) as JobView
  }
  const ran = () => machine.calls().find((line) => line.startsWith('docker run'))

  test('runs the image as a container without rights, and without what it needs not', async () => {
    const { code, output } = await machine.boot(userData())
    expect([code, output]).toEqual([0, ''])
    expect(ran()).toMatch(/ --pull never --env-file env --user 65532:65532 --read-only --cap-drop ALL /)
    expect(ran()).toMatch(
      / --init .* --security-opt no-new-privileges .* registry\.example\.com\/backtest:1$/,
    )
    expect(ran()).not.toMatch(/gpus|privileged|--entrypoint|--network|docker\.sock/)
    expect(ran()).toContain('--log-opt max-size=10m --log-opt max-file=2')
    expect(machine.read('env')?.split('\n')).toEqual([
      `BERTH_URL=${request.berth_url}`,
      `BERTH_ATTEMPT_ID=${request.attempt_id}`,
      `BERTH_TOKEN=${launched().token}`,
      'BERTH_HOME=/var/lib/berth',
      'HOME=/var/lib/berth',
      'TMPDIR=/tmp',
      'NVIDIA_VISIBLE_DEVICES=void',
      '',
    ])
    const order = machine.calls().map((line) => line.split(' ').slice(0, 2).join(' '))
    expect(order.indexOf('iptables -I')).toBeLessThan(order.indexOf('docker run'))
    expect(machine.calls()).toContain('iptables -I DOCKER-USER -d 100.100.100.200 -j DROP')
    expect(order.at(-2)).toBe('shutdown -h')
    expect(machine.calls().some((line) => line.startsWith('nvidia-smi'))).toBe(false)
  })

  test('runs the image as the user that the account names, or as its own', async () => {
    for (const [run_as_user, text] of [
      [1_000, ' --user 1000:1000 '],
      [null, ' --env-file env --read-only '],
    ] as const) {
      const { bootstrap = '' } = launched()
      await world.deps.db.updateTable('attempts').set({ bootstrapped_at: null }).execute()
      const own = { region, ram_role: null, run_as_user }
      const data = userDataOf(request, { bootstrap }, own, readProgram())
      await machine.boot(Buffer.from(data, 'base64').toString())
      expect(machine.calls().findLast((line) => line.startsWith('docker run'))).toContain(text)
    }
  })

  test('keeps no secret on its disk, in its console or in an argument', async () => {
    const { output } = await machine.boot(userData())
    expect(machine.read('left')?.split('\n')).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(env|order|docker)$/)]),
    )
    const files = readdirSync(machine.root, { recursive: true, withFileTypes: true })
    const kept = files
      .filter((each) => each.isFile())
      .map((each) => readFileSync(`${each.parentPath}/${each.name}`, 'utf8'))
    const { token, bootstrap = '' } = launched()
    for (const text of [...kept, output, ...machine.calls()]) {
      expect(text).not.toContain(token)
      expect(text).not.toContain(bootstrap)
    }
  })

  test('takes an image of a private registry with its credentials, which go the same way', async () => {
    const login = { server: 'registry.example.com', username: 'robot', password: "it's $a `password`" }
    await world.request('PUT', '/v1/secrets/PULL', { body: { registry: login } })
    const params = { image: 'registry.example.com/model:1', command: ['./train'], registry: 'PULL' }
    await world.request('POST', '/v1/jobs', { body: { kind: 'custom', params } })
    await world.pass()
    const other = [...world.model.machines.values()].at(-1)
    request = other?.request ?? request
    await machine.boot(userData(null, other?.bootstrap))
    expect(machine.read('password')).toBe(login.password)
    expect(machine.calls()).toContain('docker login -u robot --password-stdin registry.example.com')
    expect(machine.calls().join('\n')).not.toContain('password`')
    expect(ran()).toContain(' --entrypoint=sh registry.example.com/model@sha256:')
  })

  test('gives GPUs to what was placed on them, and runs the command of a custom job in place of the entry', async () => {
    const gpu = { model: 'A10', count: 2, memory_gib: 24, compute_capability: '8.6' }
    const stored = {
      ...request,
      offer: { ...request.offer, gpu },
      command: ['sh', '-c', `echo 'it''s' "$HOME"\nexit 0`],
    }
    await world.deps.db
      .updateTable('attempts')
      .set({ request: JSON.stringify(stored) })
      .execute()
    await machine.boot(userData())
    expect(ran()).toContain(' --gpus all ')
    expect(ran()).toMatch(/ --entrypoint=sh registry\.example\.com\/backtest:1 -c \$'echo /)
    expect(machine.read('env')).not.toContain('NVIDIA_VISIBLE_DEVICES')
  })

  test('asks again after a lost answer, as the same machine', async () => {
    lost = '/v1/runner/bootstrap'
    expect(await machine.boot(userData())).toEqual({ code: 0, output: '' })
    expect(ran()).toBeDefined()
    expect(machine.calls().filter((line) => line.includes('/v1/runner/bootstrap'))).toHaveLength(2)
  })

  test('whose token was used by somebody else runs nothing, and the job tells of it', async () => {
    expect((await machine.boot(userData())).code).toBe(0)
    const other = await openMachine(ecs.wire.url, region)
    const { output } = await other.boot(userData())
    expect(output).toContain('berth: Berth has nothing for this machine: ')
    expect(other.calls().some((line) => line.startsWith('docker'))).toBe(false)
    expect(other.calls()).toContain('shutdown -h now')
    await other.close()
    const events = (await (await world.request('GET', `/v1/jobs/${job_id}/events`)).json()) as {
      items: { type: string }[]
    }
    expect(events.items.map(({ type }) => type)).toContain('job.bootstrap_refused')
  })

  test('that cannot pull its image says so, and the attempt ends by it', async () => {
    machine.fail('docker-pull', 'manifest for registry.example.com/backtest:1 not found: "manifest unknown"')
    await machine.boot(userData())
    expect(await job()).toMatchObject({ state: 'failed', outcome: 'image_error', error: { code: 'image' } })
    expect((await job()).error?.message).toContain(
      'cannot be pulled: manifest for registry.example.com/backtest:1',
    )
    expect(machine.calls().filter((line) => line.startsWith('docker pull'))).toHaveLength(3)
    expect(ran()).toBeUndefined()
  })

  test.each([
    ['docker-info', 'provider', 'Docker does not answer'],
    ['iptables', 'provider', 'the metadata service is not closed off'],
    ['docker-run', 'image', 'the container does not start'],
  ])('where %s fails says so as %s', async (program, code, text) => {
    machine.fail(program, 'as told')
    await machine.boot(userData())
    const { error } = await job()
    expect(error).toMatchObject({ code, message: expect.stringContaining(`${text}`) })
    expect(error?.message).toContain('as told')
  })

  test('without a driver for its GPUs says so', async () => {
    const gpu = { model: 'A10', count: 1, memory_gib: 24, compute_capability: '8.6' }
    const stored = { ...request, offer: { ...request.offer, gpu } }
    await world.deps.db
      .updateTable('attempts')
      .set({ request: JSON.stringify(stored) })
      .execute()
    machine.fail('nvidia-smi', "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver")
    await machine.boot(userData())
    expect((await job()).error).toMatchObject({ code: 'gpu_preflight' })
  })

  test('without the container toolkit says so', async () => {
    machine.fail('docker-run', 'could not select device driver "" with capabilities: [[gpu]].')
    await machine.boot(userData())
    expect((await job()).error).toMatchObject({ code: 'gpu_preflight' })
  })

  test.each([
    [137, true, 'out_of_memory', /used all of its memory/],
    [70, false, 'runner_crashed', /ended with exit code 70 and no report/],
  ])(
    'says of a runner that ended by %i without a report what became of it',
    async (exit, oom, code, text) => {
      machine.ends(exit, oom)
      await machine.boot(userData())
      const { error, attempts } = await job()
      expect(error).toMatchObject({ code, message: expect.stringMatching(text) })
      expect(attempts[0]).toMatchObject({ outcome: 'failed', exit_code: exit })
    },
  )

  test('that is taken back tells the runner by SIGTERM, with minutes for its checkpoint', async () => {
    machine.metadata.set('instance/spot/termination-time', '2026-03-02T09:05:00Z')
    machine.ends(143)
    const { output } = await machine.boot(userData())
    expect(output).toContain('berth: taken back at 2026-03-02T09:05:00Z')
    // It is not waited for.
    await until(() => machine.calls().includes('docker stop -t 240 runner'))
    expect(machine.refused()).toBe(0)
    // The runner has said nothing itself.
    expect((await job()).attempts[0]).toMatchObject({ outcome: 'preempted' })
  })

  test('releases itself with the credentials of its role, signed as ECS wants it', async () => {
    ecs.state.instances.set('i-bp1self', { ...self, release_ms: Infinity })
    ecs.state.keys.push({
      id: 'STS.NUqExample',
      secret: 'the-secret-of-the-role',
      token: 'the-token-of-the-role',
    })
    machine.metadata.set('instance-id', 'i-bp1self')
    machine.metadata.set(
      'ram/security-credentials/berth-machine',
      JSON.stringify(
        {
          AccessKeyId: 'STS.NUqExample',
          AccessKeySecret: 'the-secret-of-the-role',
          SecurityToken: 'the-token-of-the-role',
          Expiration: '2026-03-02T15:00:00Z',
          Code: 'Success',
        },
        null,
        2,
      ),
    )
    const { output } = await machine.boot(userData('berth-machine'))
    expect(output).toBe('berth: released\n')
    expect(Object.fromEntries(ecs.state.asked.at(-1)?.parameters ?? [])).toEqual({
      Force: 'true',
      ForceStop: 'true',
      InstanceId: 'i-bp1self',
    })
    ecs.state.now_ms += 10_000
    expect(isGone(ecs.state.instances.get('i-bp1self') as FakeInstance, ecs.state.now_ms)).toBe(true)
  })

  test('that ECS does not let go is shut down, for Berth to release', async () => {
    ecs.state.keys = [key]
    const { output } = await machine.boot(userData('berth-machine'))
    expect(output).toBe('')
    expect(machine.calls()).toContain('shutdown -h now')
  })

  const self: FakeInstance = {
    id: 'i-bp1self',
    name: 'self',
    type: 'ecs.g7.2xlarge',
    zone: 'cn-hangzhou-i',
    tags: new Map(),
    user_data: '',
    console: '',
    parameters: new Map(),
    created_ms: 0,
    shown_ms: 0,
    release_ms: Infinity,
    down_ms: null,
    reclaimed_ms: null,
    fails: false,
    gone_ms: null,
  }
})
