import { spawn } from 'node:child_process'
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeBerthUrl } from '../../providers/local/folder.ts'
import { startTime } from '../../providers/local/processes.ts'
import { a, b, found, openLocalWorld, signal, token, until, type LocalWorld } from '../support/local-world.ts'

let world: LocalWorld

beforeEach(async () => {
  world = await openLocalWorld()
})

afterEach(() => world.close())

test('a launch runs the program, and its exit code is kept', async () => {
  await world.work(
    `open(OUT + "/env.json", "w").write(json.dumps(dict(os.environ))); print("hello"); sys.exit(3)`,
  )
  const provider = world.provider({
    inherited_env: { ...process.env, AWS_SECRET_ACCESS_KEY: 'no', LC_ALL: 'C.UTF-8' },
  })
  const handle = await provider.launch(world.request(a), { token }, signal)
  expect(handle).toEqual({ host: 'here', folder: a })
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await world.inspect(provider, a)).toEqual({ state: 'exited', exit_code: 3, detail: 'user_code' })
  expect(world.berth.said(a).log['stdout']).toBe('hello\n')
  const env = JSON.parse(world.berth.said(a).files.get('env.json') as string) as Record<string, string>
  expect(env).toMatchObject({ CUDA_VISIBLE_DEVICES: '', LC_ALL: 'C.UTF-8' })
  expect(Object.keys(env)).not.toContain('AWS_SECRET_ACCESS_KEY')
  expect((await stat(join(world.attempts, a))).mode & 0o777).toBe(0o700)
})

test('two launches of one attempt start one program', async () => {
  await world.work(`open("runs", "a").write("x"); print("up"); signal.pause()`)
  const provider = world.provider()
  const [first, second] = await Promise.all(
    [1, 2].map(() => provider.launch(world.request(a), { token }, signal)),
  )
  expect(second).toEqual(first)
  await world.up(a)
  expect(await provider.launch(world.request(a), { token }, signal)).toEqual(first)
  const spawned = await readFile(join(world.attempts, a, 'spawned.json'), 'utf8')
  // A replica of this host that knows nothing of the first launch.
  expect(await world.provider().launch(world.request(a), { token }, signal)).toEqual(first)
  expect(await readFile(join(world.attempts, a, 'spawned.json'), 'utf8')).toBe(spawned)
  expect(await readFile(join(world.attempts, a, 'runs'), 'utf8')).toBe('x')
})

test('two processes started by a race on one folder run one program', async () => {
  await world.work(`open("runs", "a").write("x"); print("up"); signal.pause()`)
  await Promise.all([1, 2, 3].map(() => world.provider().launch(world.request(a), { token }, signal)))
  await world.up(a)
  await until(async () => (await world.inspect(world.provider(), a)).state === 'running')
  expect(await readFile(join(world.attempts, a, 'runs'), 'utf8')).toBe('x')
  expect(world.berth.said(a).reports.filter(({ type }) => type === 'started')).toHaveLength(1)
})

test('a launch that crashed after any of its steps is completed by the next', async () => {
  const path = join(world.attempts, a)
  const provider = world.provider()
  const crashes = [
    () => mkdir(path, { recursive: true }),
    () => writeFile(join(path, 'launch.json'), JSON.stringify({ name: 'n', attempt_id: a })),
    () => writeFile(join(path, 'launch.json.tmp'), '{"na'),
  ]
  for (const crash of crashes) {
    await crash()
    expect(await world.inspect(provider, a)).toEqual({ state: 'gone', detail: null })
  }
  await provider.launch(world.request(a), { token }, signal)
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await world.inspect(provider, a)).toMatchObject({ exit_code: 0 })
})

test('a launch whose last step was lost finds the runner by its own mark', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  const handle = await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  await rm(join(world.attempts, a, 'spawned.json'))
  expect(await world.inspect(provider, a, null)).toEqual({ state: 'running', detail: null })
  expect(await provider.launch(world.request(a), { token }, signal)).toEqual(handle)
  expect(world.berth.said(a).reports.filter(({ type }) => type === 'started')).toHaveLength(1)
})

test('a restarted server finds the attempt, and the attempt finds the server', async () => {
  await world.work(
    `print("up")\nwhile not os.path.exists("go"): time.sleep(0.01)\nprint("end"); result(ok=1)`,
  )
  await world.provider().launch(world.request(a), { token }, signal)
  await world.up(a)
  await world.berth.stop()
  await writeFile(join(world.attempts, a, 'go'), '')
  await until(async () => (await readdir(join(world.attempts, a))).includes('exit.json'))
  // The runner still has to be heard: the attempt is not over.
  expect(await world.inspect(world.provider(), a)).toEqual({ state: 'running', detail: null })
  await writeBerthUrl(world.attempts, await world.berth.start())
  await until(async () => (await world.inspect(world.provider(), a)).state === 'exited')
  expect(await world.inspect(world.provider(), a)).toEqual({ state: 'exited', exit_code: 0, detail: null })
  expect(world.berth.said(a).log['stdout']).toBe('up\nend\n')
  expect(world.finished(a)).toMatchObject({ result: { ok: 1 } })
})

test('stop gives the program its grace and is confirmed by inspect', async () => {
  await world.work(`
signal.signal(signal.SIGTERM, lambda *_: (result(best=1), sys.exit(75)))
print("up")
while True: signal.pause()`)
  const provider = world.provider()
  await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  await provider.stop(world.refOf(a), signal)
  await provider.stop(world.refOf(a), signal)
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await world.inspect(provider, a)).toEqual({ state: 'exited', exit_code: 75, detail: 'preempted' })
  await provider.stop(world.refOf(a), signal)
  expect(await world.inspect(provider, a)).toMatchObject({ exit_code: 75 })
})

const deaf = `
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: open("grandchild", "w").write(str(os.getpid()))
    while True: signal.pause()
while not os.path.exists("grandchild") or not open("grandchild").read(): time.sleep(0.01)
print("up")
while True: signal.pause()`

test('stop ends a program that ignores SIGTERM, with its grandchildren in other sessions', async () => {
  await world.work(deaf)
  const provider = world.provider({ stop_bound_ms: 200 })
  await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  const left = await world.pid('grandchild')
  await provider.stop(world.refOf(a), signal)
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await startTime(left)).toBeNull()
  await until(async () => (await readdir(join(world.attempts, a))).includes('exit.json'))
  expect(await world.inspect(provider, a)).toMatchObject({ state: 'exited', exit_code: 137 })
})

test('a stop whose server died is completed by the next server', async () => {
  await world.work(deaf)
  await world.provider({ stop_bound_ms: 60_000 }).launch(world.request(a), { token }, signal)
  await world.up(a)
  await world.provider({ stop_bound_ms: 60_000 }).stop(world.refOf(a), signal)
  world.now_ms += 60_000
  const next = world.provider({ stop_bound_ms: 60_000 })
  await next.stop(world.refOf(a), signal)
  expect(await world.inspect(next, a)).toEqual({ state: 'exited', exit_code: 137, detail: null })
})

test('the death of a runner takes everything with it and reads as exited', async () => {
  await world.work(deaf)
  const provider = world.provider()
  await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  const left = await world.pid('grandchild')
  process.kill(await world.pid('pid.json'), 'SIGKILL')
  await until(async () => (await world.inspect(provider, a)).state === 'exited')
  expect(await world.inspect(provider, a)).toMatchObject({
    exit_code: null,
    detail: expect.stringContaining('died'),
  })
  expect(await startTime(left)).toBeNull()
  // Launched again it never runs the program a second time.
  await provider.launch(world.request(a), { token }, signal)
  await until(() => world.berth.said(a).reports.some(({ failure }) => failure === 'runner_crashed'))
})

test('a pid that belongs to somebody else now is neither seen as alive nor killed', async () => {
  const stranger = spawn('sleep', ['3600'], { detached: true, stdio: 'ignore' })
  try {
    const path = join(world.attempts, a)
    await mkdir(path, { recursive: true })
    const recycled = JSON.stringify({ pid: stranger.pid, start_time: '1' })
    for (const name of ['pid.json', 'spawned.json', 'program.json'])
      await writeFile(join(path, name), recycled)
    const provider = world.provider({ stop_bound_ms: 0 })
    expect(await world.inspect(provider, a)).toMatchObject({ state: 'exited', exit_code: null })
    await provider.stop(world.refOf(a), signal)
    expect(await found(provider)).toEqual([])
    expect(await startTime(stranger.pid as number)).not.toBeNull()
  } finally {
    stranger.kill('SIGKILL')
  }
})

test('another host answers that it cannot see, never that it is gone', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  const handle = await provider.launch(world.request(a), { token }, signal)
  const other = world.provider({ host: 'there' })
  const unseen = { state: 'unseen', detail: 'not visible from this host' }
  expect(await world.inspect(other, a, handle)).toEqual(unseen)
  expect(await world.inspect(other, a, null)).toEqual(unseen)
  await expect(other.stop(world.refOf(a), signal)).rejects.toMatchObject({ code: 'unavailable' })
  await expect(other.launch(world.request(a), { token }, signal)).rejects.toMatchObject({ code: 'rejected' })
  await world.up(a)
})

test('inspect answers for each ref in order, and what never was is gone', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  await provider.launch(world.request(b), { token }, signal)
  await world.up(b)
  const states = await provider.inspect([world.refOf(a), world.refOf(b)], signal)
  expect(states.map(({ state }) => state)).toEqual(['gone', 'running'])
  await provider.stop(world.refOf(a), signal)
  expect((await readdir(world.attempts)).includes(a)).toBe(false)
})

test('list names what is alive', async () => {
  await world.work(`print("up"); signal.pause()`)
  const provider = world.provider()
  await provider.launch(world.request(a), { token }, signal)
  await world.up(a)
  await world.work(`result()`)
  await provider.launch(world.request(b), { token }, signal)
  await until(async () => (await world.inspect(provider, b)).state === 'exited')
  expect(await found(provider)).toEqual([
    {
      name: `berth-abcdef-${a.slice(4)}`,
      attempt_id: a,
      handle: { host: 'here', folder: a },
      usd_per_hour: 0.01,
      since: expect.stringMatching(/^\d{4}-.*Z$/),
    },
  ])
})
