import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Provider } from '../../providers/provider.ts'
import {
  attemptIds,
  containersProvider,
  inspectOne,
  refOf,
  requestOf,
  shell,
  signal,
  token,
} from '../support/containers-world.ts'
import { found, until } from '../support/local-world.ts'
import { type ContainerEngine, noPodman, openEngine } from '../support/podman.ts'

/** The first process of a container gets no signal that it does not ask for. */
const untilStopped = 'trap "exit 0" TERM; while :; do sleep 0.05; done'

let engine: ContainerEngine
let provider: Provider
const next = attemptIds()

beforeAll(async () => {
  if (noPodman !== null) return
  engine = await openEngine()
  provider = containersProvider({ socket: engine.socket })
})

beforeEach((context) => {
  if (noPodman !== null) context.skip(noPodman)
})

afterAll(() => engine?.close())

const start = async (script: string, change: Parameters<typeof requestOf>[1] = {}) => {
  const request = requestOf(next(), { command: shell(script), ...change })
  await provider.launch(request, { token }, signal)
  return request
}
const over = async (request: ReturnType<typeof requestOf>) => {
  await until(async () => (await inspectOne(provider, request)).state === 'exited')
  return inspectOne(provider, request)
}
const printed = async (request: ReturnType<typeof requestOf>) => provider.tail?.(refOf(request), signal)

test('a launch runs the command, and its exit code and output are kept until it is stopped', async () => {
  const request = await start('echo to-stdout; echo to-stderr >&2; exit 9')
  expect(await over(request)).toEqual({ state: 'exited', exit_code: 9, detail: null, reason: null })
  expect((await printed(request))?.split('\n').toSorted()).toEqual(['', 'to-stderr', 'to-stdout'])
  await provider.stop(refOf(request), signal)
  expect(await inspectOne(provider, request)).toEqual({ state: 'gone', detail: null })
  expect(await printed(request)).toBe('')
  await provider.stop(refOf(request), signal)
})

test('launches of one attempt, at once and later and by others, make one container', async () => {
  const request = requestOf(next(), { command: shell(`echo run; ${untilStopped}`) })
  const other = containersProvider({ socket: engine.socket })
  const handles = await Promise.all(
    [provider, other, provider, other].map((each) => each.launch(request, { token }, signal)),
  )
  handles.push(await other.launch(request, { token }, signal))
  expect(new Set(handles.map((handle) => JSON.stringify(handle)))).toEqual(
    new Set([JSON.stringify({ host: 'here', name: request.name })]),
  )
  await until(async () => (await printed(request)) !== '')
  expect(await printed(request)).toBe('run\n')
  expect((await found(provider)).filter(({ name }) => name === request.name)).toHaveLength(1)
  await provider.stop(refOf(request), signal)
})

test('a launch of something that is over does not run it again', async () => {
  const request = await start('echo run')
  await over(request)
  await provider.launch(request, { token }, signal)
  expect(await over(request)).toMatchObject({ exit_code: 0 })
  expect(await printed(request)).toBe('run\n')
  await provider.stop(refOf(request), signal)
})

test('the work has its share of the machine and no rights', async () => {
  const request = await start(
    [
      'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null',
      'cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null',
      'cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null',
      'id -u; grep -E "^(CapEff|CapBnd|NoNewPrivs)" /proc/self/status',
      'touch /made 2>&1; touch /etc/made 2>&1',
      'pwd; touch made "$TMPDIR/made" /tmp/made && echo writable',
      'mount -t tmpfs none /tmp 2>&1',
      'ls -l /dev/kmsg /dev/mem 2>&1 | wc -l',
    ].join('; '),
  )
  await over(request)
  const lines = (await printed(request))?.split('\n').map((line) => line.replace(/\s+/g, ' ').trim()) ?? []
  expect(lines[0]).toBe('67108864')
  expect(lines[1]).toBe('4096')
  expect(lines[2]?.split(' ')[0]).toBe('50000')
  expect(lines.slice(3, 7)).toEqual([
    '65534',
    'CapEff: 0000000000000000',
    'CapBnd: 0000000000000000',
    'NoNewPrivs: 1',
  ])
  expect(lines.filter((line) => line.includes('Read-only file system'))).toHaveLength(2)
  expect(lines).toContain('/berth/work')
  expect(lines).toContain('writable')
  expect(lines.some((line) => line.startsWith('mount:'))).toBe(true)
  await provider.stop(refOf(request), signal)
})

test('more memory than asked for ends the work with 137', async () => {
  const request = await start('exec dd if=/dev/zero of=/dev/null bs=200M count=1')
  // Which reason is told depends on the engine: podman below 5 on cgroups v1 tells none.
  expect(await over(request)).toMatchObject({ state: 'exited', exit_code: 137 })
  await provider.stop(refOf(request), signal)
})

test('stop gives the grace, then kills', async () => {
  const kind = await start('trap "exit 7" TERM; echo up; while :; do sleep 0.05; done')
  const deaf = await start('trap "" TERM; echo up; while :; do sleep 0.05; done')
  const bound = containersProvider({ socket: engine.socket }, { stop_grace_s: 1 })
  for (const request of [kind, deaf]) await until(async () => (await printed(request)) === 'up\n')
  await Promise.all([provider.stop(refOf(kind), signal), bound.stop(refOf(deaf), signal)])
  for (const request of [kind, deaf])
    expect(await inspectOne(provider, request)).toMatchObject({ state: 'gone' })
})

test('what is killed from outside is seen as exited', async () => {
  const request = await start(`echo up; ${untilStopped}`)
  engine.podman(['kill', '--signal', 'KILL', request.name])
  expect(await over(request)).toMatchObject({ exit_code: 137 })
  await provider.stop(refOf(request), signal)
})

test('a command that is not there or may not be run is a problem of the image', async () => {
  for (const [command, exit_code] of [
    [['no-such-program'], 127],
    [['/etc/plain'], 126],
  ] as const) {
    const request = requestOf(next(), { command })
    await provider.launch(request, { token }, signal)
    await provider.launch(request, { token }, signal)
    expect(await inspectOne(provider, request)).toMatchObject({
      state: 'exited',
      exit_code,
      reason: 'image',
    })
    await provider.stop(refOf(request), signal)
    expect(await inspectOne(provider, request)).toMatchObject({ state: 'gone' })
  }
})

test('a registry that cannot be reached is asked again', async () => {
  const request = requestOf(next(), { image: '127.0.0.1:1/none:1' })
  await expect(provider.launch(request, { token }, signal)).rejects.toMatchObject({
    code: 'unknown_outcome',
    detail: expect.stringContaining('127.0.0.1:1/none:1 cannot be pulled'),
  })
  expect(await inspectOne(provider, request)).toMatchObject({ state: 'pending' })
  const mine = async () => (await found(provider)).filter(({ name }) => name === request.name)
  expect(await mine()).toMatchObject([{ attempt_id: request.attempt_id }])
  await provider.stop(refOf(request), signal)
  expect(await mine()).toEqual([])
})

test('the end of a long log is kept, and the log is bound', async () => {
  const request = await start(
    'i=0; while [ $i -lt 30000 ]; do echo "line $i 0123456789012345678901234567890123456789"; i=$((i+1)); done',
  )
  await over(request)
  const tail = (await printed(request)) ?? ''
  expect(tail.endsWith('line 29999 0123456789012345678901234567890123456789\n')).toBe(true)
  expect(tail.length).toBeLessThanOrEqual(65_536)
  expect(tail.length).toBeGreaterThan(60_000)
  await provider.stop(refOf(request), signal)
})

test('a lost engine is loss of sight, and what ran meanwhile is found again', async () => {
  const request = await start('echo up; sleep 1; exit 3')
  await engine.stop()
  await expect(provider.inspect([refOf(request)], signal)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(provider.offers(signal)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(provider.stop(refOf(request), signal)).rejects.toMatchObject({
    code: expect.stringMatching(/unavailable|unknown_outcome/),
  })
  await expect(provider.launch(requestOf(next()), { token }, signal)).rejects.toMatchObject({
    code: expect.stringMatching(/unavailable|unknown_outcome/),
  })
  expect((await provider.check(signal)).map(({ name, ok }) => [name, ok])).toEqual([
    ['engine', false],
    ['network', true],
  ])
  await engine.start()
  expect(await over(request)).toMatchObject({ exit_code: 3 })
  await provider.stop(refOf(request), signal)
})

test('inspect answers in order, for what runs, what is over, what never was and what is elsewhere', async () => {
  const running = await start(untilStopped)
  const ended = await start('exit 4')
  await over(ended)
  const elsewhere = requestOf(next())
  const away = { ...refOf(elsewhere), handle: { host: 'there', name: elsewhere.name } }
  const refs = [refOf(requestOf(next())), refOf(ended), away, { ...refOf(running), handle: null }]
  const seen = await provider.inspect(refs, signal)
  expect(seen.map(({ state }) => state)).toEqual(['gone', 'exited', 'unseen', 'running'])
  await expect(provider.stop(away, signal)).rejects.toMatchObject({ code: 'unavailable' })
  for (const request of [running, ended]) await provider.stop(refOf(request), signal)
})

test('offers are the machine, and check says that the engine can do what is promised', async () => {
  const [cpu, ...gpus] = await provider.offers(signal)
  expect(cpu).toMatchObject({ id: 'cpu', provider: 'containers', region: 'here', slots: 4, gpu: null })
  expect(cpu?.cpu).toBeGreaterThan(0)
  expect(gpus).toEqual([])
  expect((await provider.check(signal)).map(({ name, ok }) => [name, ok])).toEqual([
    ['engine', true],
    ['rights', true],
    ['limits', true],
    ['gpu', true],
    ['network', true],
  ])
})

test('what other installations have on the engine is neither seen nor touched', async () => {
  const request = await start(untilStopped)
  const stranger = containersProvider({ socket: engine.socket }, { installation: 'zzzzzz' })
  expect(await found(stranger)).toEqual([])
  await stranger.stop(refOf(request), signal)
  expect(await inspectOne(provider, request)).toMatchObject({ state: 'running' })
  const taken = { ...requestOf(next()), name: request.name }
  await expect(provider.launch(taken, { token }, signal)).rejects.toMatchObject({ code: 'rejected' })
  await provider.stop(refOf(request), signal)
})

test('nothing is left', async () => {
  expect(await found(provider)).toEqual([])
})
