import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sweepLocalFolders } from '../../providers/local/folder.ts'
import type { LocalProviderOptions } from '../../providers/local/local.ts'
import type { LaunchRequest } from '../../providers/provider.ts'
import {
  a,
  b,
  openLocalWorld,
  python,
  signal,
  token,
  until,
  type LocalWorld,
} from '../support/local-world.ts'

let world: LocalWorld

beforeEach(async () => {
  world = await openLocalWorld()
})

afterEach(() => world.close())

test('folders go when their attempt is over and nothing in them lives', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  await world.work(`result()`)
  await provider.launch(world.request(b), { token }, signal)
  await until(async () => (await world.inspect(provider, b)).state === 'exited')
  expect(await sweepLocalFolders(world.attempts, [])).toEqual([])
  expect(await sweepLocalFolders(world.attempts, [a, b, '../..'])).toEqual([b])
  expect((await readdir(world.attempts)).filter((name) => name.startsWith('att_'))).toEqual([a])
})

test('the tail is the end of what the runner said itself', async () => {
  const provider = world.provider({ env: { BERTH_RUNNER_FLUSH_S: 'soon' } })
  await provider.launch(world.request(a), { token }, signal)
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await provider.tail?.(world.refOf(a), signal)).toContain('BERTH_RUNNER_FLUSH_S must be a number')
  expect(await world.inspect(provider, a)).toMatchObject({
    detail: expect.stringContaining('BERTH_RUNNER_FLUSH_S'),
  })
  await writeFile(join(world.attempts, a, 'runner.log'), 'x'.repeat(100_000) + 'end')
  const tail = (await provider.tail?.(world.refOf(a), signal)) as string
  expect([tail.length, tail.endsWith('end')]).toEqual([65_536, true])
})

test('what this machine cannot do is rejected with what to do', async () => {
  const launches: [Partial<LocalProviderOptions>, Partial<LaunchRequest>, string][] = [
    [{ python: '/no/python' }, {}, 'install Python 3.11 to 3.13'],
    [{ python: '/bin/echo' }, {}, 'install Python 3.11 to 3.13'],
    [{}, { kind: 'training' }, 'no program for kind training'],
    [{}, { image: 'example.com/x' }, 'runs no images'],
    [{}, { attempt_id: '../x' }, 'cannot name a folder'],
  ]
  for (const [options, change, words] of launches) {
    const launched = world.provider(options).launch({ ...world.request(a), ...change }, { token }, signal)
    await expect(launched).rejects.toMatchObject({ code: 'rejected', detail: expect.stringContaining(words) })
    await expect(launched).rejects.not.toThrow(token)
  }
  expect(await readdir(world.attempts).catch(() => [])).toEqual([])
})

test('offers are the machine and each of its GPUs, and the work sees only its own', async () => {
  const bin = join(world.folder, 'bin')
  await mkdir(bin)
  await writeFile(
    join(bin, 'nvidia-smi'),
    `#!/bin/sh\necho x >> ${world.folder}/probes\necho "0, GPU-1, NVIDIA GeForce RTX 4090, 24564, 8.9"\necho "1, GPU-2, NVIDIA L4, 23034, 8.9"\n`,
  )
  await chmod(join(bin, 'nvidia-smi'), 0o755)
  const provider = world.provider({ inherited_env: { PATH: `${bin}:${process.env['PATH']}` } })
  const [cpu, first, second] = await provider.offers(signal)
  expect(cpu).toMatchObject({
    id: 'cpu',
    gpu: null,
    slots: 2,
    available: null,
    usd_per_hour: 0.01,
    region: 'here',
  })
  expect(first).toMatchObject({ id: 'cuda:0', slots: 1, gpu: { model: 'RTX 4090', memory_gib: 23.99 } })
  expect(second).toMatchObject({ id: 'cuda:1', gpu: { model: 'L4', count: 1, compute_capability: '8.9' } })
  await provider.offers(signal)
  expect(await readFile(join(world.folder, 'probes'), 'utf8')).toBe('x\n')
  world.now_ms += 60_000
  await provider.offers(signal)
  expect(await readFile(join(world.folder, 'probes'), 'utf8')).toBe('x\nx\n')
  expect(await world.provider({ inherited_env: { PATH: '/none' } }).offers(signal)).toHaveLength(1)

  await world.work(`result(devices=os.environ["CUDA_VISIBLE_DEVICES"])`)
  await provider.launch({ ...world.request(a), offer: second as LaunchRequest['offer'] }, { token }, signal)
  await until(() => world.berth.said(a).reports.some(({ type }) => type === 'finished'))
  expect(world.finished(a)).toMatchObject({ result: { devices: '1' } })
})

test('devices are the GPUs as they are now, asked for at most every two seconds', async () => {
  const bin = join(world.folder, 'bin')
  await mkdir(bin)
  const rows = 'echo "0, 6144, 50, 61, 200.5, 550.54"; echo "1, [N/A], [N/A], 40, [N/A], 550.54"'
  const script = `#!/bin/sh\necho x >> ${world.folder}/probes\ncase "$1" in\n  --query*) ${rows} ;;\n  *) echo "| CUDA Version: 12.4  |" ;;\nesac\n`
  await writeFile(join(bin, 'nvidia-smi'), script)
  await chmod(join(bin, 'nvidia-smi'), 0o755)
  const provider = world.provider({ inherited_env: { PATH: `${bin}:${process.env['PATH']}` } })
  const rest = { region: 'here', driver: '550.54', cuda: '12.4' }
  expect(await provider.devices?.(signal)).toEqual([
    {
      ...rest,
      offer: 'cuda:0',
      index: 0,
      memory_used_gib: 6,
      utilization: 0.5,
      temperature_c: 61,
      power_w: 200.5,
    },
    {
      ...rest,
      offer: 'cuda:1',
      index: 1,
      memory_used_gib: null,
      utilization: null,
      temperature_c: 40,
      power_w: null,
    },
  ])
  await provider.devices?.(signal)
  expect(await readFile(join(world.folder, 'probes'), 'utf8')).toBe('x\nx\n')
  world.now_ms += 2_000
  await provider.devices?.(signal)
  expect(await readFile(join(world.folder, 'probes'), 'utf8')).toBe('x\nx\nx\nx\n')
  expect(await world.provider({ inherited_env: { PATH: '/none' } }).devices?.(signal)).toEqual([])
})

test('check says what is there and what is missing', async () => {
  const good = await world.provider().check(signal)
  expect(good.map(({ name, ok }) => [name, ok])).toEqual([
    ['python', true],
    ['folder', true],
    ['flock', true],
    ['gpu', true],
  ])
  const bad = await world.provider({ python: '/no/python', folder: '/dev/null/x' }).check(signal)
  expect(bad.map(({ ok }) => ok)).toEqual([false, false, false, true])
})

test('the runner gets an allow-list of the environment', async () => {
  const wrapper = join(world.folder, 'python')
  await writeFile(wrapper, `#!/bin/sh\nenv > ${world.folder}/env\nexec ${python} "$@"\n`)
  await chmod(wrapper, 0o755)
  const inherited_env = {
    ...process.env,
    AWS_SECRET_ACCESS_KEY: 'no',
    BERTH_SECRET_KEY: 'no',
    LC_ALL: 'C.UTF-8',
  }
  const provider = world.provider({ python: wrapper, inherited_env, env: { BERTH_SAMPLES_DIR: '/samples' } })
  await provider.launch(world.request(a), { token }, signal)
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  const env = await readFile(join(world.folder, 'env'), 'utf8')
  expect(env).toMatch(/^BERTH_SAMPLES_DIR=\/samples$/m)
  expect(env).toMatch(/^LC_ALL=C.UTF-8$/m)
  expect(env).not.toMatch(/AWS_SECRET|BERTH_SECRET/)
})

test('the token is in no file, handle or error', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  const handle = await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  expect(JSON.stringify(handle)).not.toContain(token)
  for (const name of await readdir(world.attempts, { recursive: true })) {
    const text = await readFile(join(world.attempts, name), 'latin1').catch(() => '')
    expect(text).not.toContain(token)
  }
})
