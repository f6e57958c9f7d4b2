// Who has logged in on this machine, and what is kept of it.
import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { run } from '../../cli/run.ts'
import { createKey } from '../../jobs/keys.ts'
import { createProject } from '../../jobs/projects.ts'
import { password, person } from '../support/people.ts'
import { openServed, type Served } from './served.ts'

const nobody = { BERTH_API_KEY: '' }
const file = ({ folder }: Served) => join(folder, '.config', 'berth', 'credentials.json')
const ada = ({ world }: Served) => person(world, 'Ada', { project_id: world.project_id, role: 'member' })
const sessions = ({ world }: Served, id: string) =>
  world.deps.db.selectFrom('sessions').select('id').where('user_id', '=', id).execute()

test('who logs in is known to every command from then on, for this server alone, until they log out', async () => {
  await using served = await openServed()
  const { id, email } = await ada(served)
  const before = await sessions(served, id)
  const given = { env: nobody, stdin: `${email}\n${password}\n` }
  const login = await served.cli(['login'], given)
  expect([login.code, login.stdout]).toEqual([
    0,
    expect.stringContaining(`Ada <${email}>, member of`) as string,
  ])
  expect(login.stdout + login.stderr).not.toContain(password)
  expect([statSync(file(served)).mode & 0o777, statSync(join(file(served), '..')).mode & 0o777]).toEqual([
    0o600, 0o700,
  ])
  expect(readFileSync(file(served), 'utf8')).not.toContain(password)
  const who = await served.cli(['whoami', '--json'], { env: nobody })
  expect(JSON.parse(who.stdout)).toMatchObject({ by: 'user', email, role: 'member', source: file(served) })
  expect((await served.cli(['list'], { env: nobody })).code).toBe(0)
  const elsewhere = await served.cli(['whoami'], { env: { ...nobody, BERTH_URL: 'http://berth.example:1' } })
  expect([elsewhere.code, elsewhere.stderr]).toEqual([4, expect.stringContaining('berth login') as string])
  const keyed = await served.cli(['whoami'], {})
  expect(keyed.stdout).toContain('by BERTH_API_KEY')
  // Another log-in takes the place of the first.
  expect((await served.cli(['login', '--email', email], { ...given, stdin: password })).code).toBe(0)
  expect(await sessions(served, id)).toHaveLength(before.length + 1)
  expect((await served.cli(['logout'], { env: nobody })).code).toBe(0)
  expect(await sessions(served, id)).toEqual(before)
  expect(existsSync(file(served))).toBe(false)
  expect((await served.cli(['whoami'], { env: nobody })).code).toBe(4)
  expect((await served.cli(['logout'], { env: nobody })).stdout).toContain('Nothing is kept')
})

test('a key is kept as it is, and what does not hold is not kept', async () => {
  await using served = await openServed()
  const { email } = await ada(served)
  const wrong = await served.cli(['login', '--email', email], { env: nobody, stdin: 'wrong horse\n' })
  expect([wrong.code, wrong.stderr.includes('wrong horse')]).toEqual([4, false])
  const unknown = `berth_000000000000_${'A'.repeat(43)}`
  expect((await served.cli(['login', '--key'], { env: nobody, stdin: unknown })).code).toBe(4)
  expect((await served.cli(['login', '--key'], { env: nobody, stdin: 'no key\n' })).code).toBe(2)
  expect((await served.cli(['login', '--key'], { env: nobody, stdin: '' })).code).toBe(2)
  expect(existsSync(file(served))).toBe(false)
  const key = await createKey(served.world.deps, served.world.project_id, 'laptop', 'viewer')
  const kept = await served.cli(['login', '--key'], { env: nobody, stdin: `${key}\n` })
  expect([kept.code, kept.stdout.includes('the key laptop'), kept.stdout.includes(key)]).toEqual([
    0,
    true,
    false,
  ])
  expect((await served.cli(['list'], { env: nobody })).code).toBe(0)
  chmodSync(file(served), 0o644)
  const open = await served.cli(['list'], { env: nobody })
  expect([open.code, open.stderr]).toEqual([7, expect.stringContaining('can be read by others') as string])
})

test('a log-out where the server is away forgets the credential, and says that its session may go on', async () => {
  await using served = await openServed()
  const { email } = await ada(served)
  await served.cli(['login', '--email', email], { env: nobody, stdin: password })
  served.fault(({ request }) =>
    request.url.endsWith('/logout') ? new Response('no', { status: 400 }) : null,
  )
  const out = await served.cli(['logout'], { env: nobody })
  expect([out.code, out.stderr]).toEqual([2, expect.stringContaining('may go on') as string])
  expect(existsSync(file(served))).toBe(false)
})

test('who belongs to several projects chooses the one that their commands ask in', async () => {
  await using served = await openServed()
  const { id, email } = await ada(served)
  const actor = { by: 'user', id, address: null, request_id: null } as const
  served.world.advance(1)
  served.world.deps.settings.registration = 'open'
  const research = await createProject(served.world.deps, actor, { user_id: id, name: 'Research' })
  const first = served.world.project_id
  const asked = async (args: string[], env: Record<string, string> = {}) => {
    const { code, stdout, stderr } = await served.cli(args, { env: { ...nobody, ...env } })
    return { code, stderr, answer: stdout.startsWith('{') ? (JSON.parse(stdout) as unknown) : stdout }
  }
  const key = await createKey(served.world.deps, first, 'laptop', 'viewer')
  await served.cli(['login', '--key'], { env: nobody, stdin: `${key}\n` })
  expect(await asked(['projects', 'use', 'Research'])).toMatchObject({ code: 2 })
  await served.cli(['login', '--email', email], { env: nobody, stdin: password })
  const projectOf = async (env?: Record<string, string>) => (await asked(['whoami', '--json'], env)).answer
  expect(await projectOf()).toMatchObject({ project: { id: first } })

  expect((await asked(['projects', 'use', 'Research'])).answer).toContain('Commands ask in Research')
  expect(await projectOf()).toMatchObject({ project: { id: research.id }, role: 'owner' })
  expect(await projectOf({ BERTH_PROJECT: first })).toMatchObject({ project: { id: first } })
  expect((await asked(['projects', 'list', '--json'])).answer).toMatchObject({ project_id: research.id })
  expect((await asked(['projects', 'list'])).answer).toMatch(/^\* +\S+ +Research +owner$/m)
  const gone = await asked(['projects', 'use', 'Nothing\u001b[31m'])
  expect([gone.code, gone.stderr]).toEqual([3, expect.stringContaining('no project Nothing:') as string])
  // Their own part in it has ended: commands say so, and another can be chosen.
  await served.world.deps.db.deleteFrom('project_members').where('project_id', '=', research.id).execute()
  const refused = await asked(['list'])
  expect([refused.code, refused.stderr]).toEqual([3, expect.stringContaining(research.id) as string])
  expect((await asked(['projects', 'use', first])).code).toBe(0)
  expect((await asked(['list'])).code).toBe(0)
})

/** Runs a command on a terminal of its own and types lines, each when the text before it is there; prints what the terminal showed. */
const onTerminal = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:4])
shown, script = b"", sys.argv[4:]
while True:
    try:
        part = os.read(terminal, 4096)
    except OSError:
        break
    if not part:
        break
    shown += part
    if script and script[0].encode() in shown:
        os.write(terminal, script[1].encode() + b"\\r")
        script = script[2:]
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`

test('on a terminal a password is typed without being shown', async () => {
  await using served = await openServed()
  const { email } = await ada(served)
  mkdirSync(served.folder, { recursive: true })
  const berth = resolve(import.meta.dirname, '../../cli/berth.ts')
  const typed = ['E-mail address: ', email, 'Password: ', `${password}x\x7f`]
  const child = spawn('python3', ['-c', onTerminal, process.execPath, berth, 'login', ...typed], {
    env: { PATH: process.env['PATH'], HOME: served.folder, BERTH_URL: served.url },
  })
  let shown = ''
  child.stdout.on('data', (part) => (shown += String(part)))
  child.stderr.on('data', (part) => (shown += String(part)))
  const code = await new Promise((done) => child.on('close', done))
  expect([code, shown]).toEqual([0, expect.stringContaining(`Ada <${email}>`) as string])
  expect(shown).not.toContain(password)
  expect(shown).toContain(email)
})

test('a terminal shows nothing of what is typed from before the question for a password until after it', async () => {
  await using served = await openServed()
  const { email } = await ada(served)
  const answers: Record<string, string> = { 'E-mail address: ': email, 'Password: ': password }
  const typed: string[] = []
  const shown: { text: string; hides: boolean }[] = []
  let hides = false
  const stderr = new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      shown.push({ text, hides })
      const answer = answers[text]
      if (answer !== undefined) typed.push(`${answer}\r`)
      done()
    },
  })
  const stdin = {
    isTTY: true,
    setRawMode: (on: boolean) => (hides = on),
    async *[Symbol.asyncIterator]() {
      for (let line = typed.shift(); line !== undefined; line = typed.shift()) yield Buffer.from(line)
    },
  }
  const stdout = new Writable({ write: (_text, _encoding, done) => done() })
  const env = { ...nobody, HOME: served.folder, BERTH_URL: served.url }
  const interrupted = new AbortController().signal
  expect(await run(['login'], { env, cwd: served.folder, stdin, stdout, stderr, interrupted, fetch })).toBe(0)
  expect(shown.slice(0, 3)).toEqual([
    { text: 'E-mail address: ', hides: false },
    { text: 'Password: ', hides: true },
    { text: '\n', hides: false },
  ])
  expect(hides).toBe(false)
})
