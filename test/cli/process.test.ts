// The command as people start it: a process of its own.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parseConfig } from '../../infra/config.ts'
import { main } from '../../infra/create-key.ts'
import { openDatabase } from '../../infra/db.ts'
import { lockFolder } from '../../infra/folder-lock.ts'
import { createKeyCheck } from '../../jobs/keys.ts'
import { newFolder } from '../infra/new-folder.ts'
import { backtest } from '../support/world.ts'
import { openServed, runCli, startRunner, until } from './served.ts'

const berth = resolve(import.meta.dirname, '../../cli/berth.ts')
const launcher = resolve(import.meta.dirname, '../../cli/berth.mjs')

function start(argv: string[], env: Record<string, string> = {}, command = berth) {
  const { PATH = '' } = process.env
  const child = spawn(command, argv, { env: { PATH, ...env } })
  const text = { stdout: '', stderr: '' }
  child.stdout.on('data', (part) => (text.stdout += String(part)))
  child.stderr.on('data', (part) => (text.stderr += String(part)))
  return { child, text }
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null) await once(child, 'close')
  return child.exitCode
}

test.each([berth, launcher])('%s is a program of its own', async (path) => {
  expect(statSync(path).mode & 0o111).toBe(0o111)
  expect(readFileSync(path, 'utf8').startsWith('#!/usr/bin/env node\n')).toBe(true)
  const { child, text } = start(['--help'], {}, path)
  expect(await ended(child)).toBe(0)
  expect(text.stdout).toContain('Exit codes:')
})

test('what was compiled is kept in the folder of the user, or where Node is told to', async () => {
  const [own, given] = [newFolder(), newFolder()]
  expect(await ended(start(['--help'], { XDG_CACHE_HOME: own }).child)).toBe(0)
  expect(readdirSync(join(own, 'berth', 'node'))).toHaveLength(1)
  const both = { XDG_CACHE_HOME: newFolder(), NODE_COMPILE_CACHE: given }
  expect(await ended(start(['--help'], both).child)).toBe(0)
  expect([readdirSync(given).length, readdirSync(both.XDG_CACHE_HOME).length]).toEqual([1, 0])
})

// A container may run as one; only root can become another.
const unknown = { uid: 54_321, gid: 54_321, env: {} }
test.skipIf(spawnSync(process.execPath, ['--eval', ''], unknown).status !== 0)(
  'a user whom the system does not know, and who has no home, has the command all the same',
  () => {
    const said = (...args: string[]) => {
      const { status, stderr } = spawnSync(process.execPath, [berth, ...args], unknown)
      return [status, String(stderr)]
    }
    expect(said('--help')).toEqual([0, ''])
    expect(said('list')).toEqual([4, expect.stringMatching(/key/)])
  },
)

test('nothing is kept in the folder that a command is given in', () => {
  const cwd = newFolder()
  for (const env of [{ HOME: '' }, { HOME: cwd, XDG_CACHE_HOME: 'caches' }]) {
    const { status } = spawnSync(process.execPath, [berth, '--help'], { cwd, env })
    expect([status, readdirSync(cwd)]).toEqual([0, []])
  }
})

test('a job through the process: submitted from standard input, followed, its result printed', async () => {
  await using served = await openServed()
  const { child, text } = start(['submit', '-', '--follow'], served.env)
  child.stdin.end(JSON.stringify(backtest()))
  await until(() => served.seen.some(({ url }) => url.endsWith('/logs')), 'the log is followed')
  const runner = await startRunner(served)
  await runner.log('hello\n')
  await runner.finish(0)
  expect(await ended(child)).toBe(0)
  expect(text.stdout).toMatch(/^hello\njob_/)
})

test('Ctrl-C leaves the job running, says so and exits with 130', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  const { child, text } = start(['logs', '-f', id], served.env)
  await runner.log('first\n')
  await until(() => text.stdout === 'first\n', 'the log is followed')
  child.kill('SIGINT')
  expect(await ended(child)).toBe(130)
  expect(text.stderr).toContain(`${id} goes on`)
  const job = await (await served.world.request('GET', `/v1/jobs/${id}`)).json()
  expect(job).toMatchObject({ state: 'running' })
})

test('a reader that goes away ends the command quietly', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const runner = await startRunner(served)
  const { child, text } = start(['logs', '-f', id], served.env)
  await runner.log('first\n')
  await until(() => text.stdout === 'first\n', 'the log is followed')
  child.stdout.destroy()
  await runner.log('second\n')
  expect(await ended(child)).toBe(141)
  expect(text.stderr).toBe('')
})

test('a key is made on the server’s machine, with its role, while no server has the database open', async () => {
  const folder = newFolder()
  const env = { PATH: process.env['PATH'] ?? '', BERTH_DATA_DIR: folder }
  const create = ['admin', 'create-key', '--name', 'desk']
  expect((await runCli([...create, '--role', 'king'], { env })).code).toBe(2)
  const made = await runCli([...create, '--role', 'viewer', '--json'], { env })
  expect(made).toMatchObject({ code: 0, stderr: '' })
  const { key, ...rest } = JSON.parse(made.stdout)
  expect(rest).toEqual({ name: 'desk', role: 'viewer' })
  const second = await main(parseConfig(env), 'other', 'admin')
  const { db, close } = await openDatabase({ database_url: null, data_dir: folder })
  const clock = { now: () => new Date() }
  const checkKey = createKeyCheck({ db, clock, gather: () => Promise.resolve() })
  expect(await checkKey(key)).toMatchObject({ role: 'viewer' })
  expect(await checkKey(second)).toMatchObject({ role: 'admin' })
  await close()
  await expect(main(parseConfig(env), 'x', 'king')).rejects.toThrow('one of viewer, member, admin')
  await expect(main(parseConfig(env), ' ', 'admin')).rejects.toThrow('the name must have')
  using _ = lockOf(folder)
  const held = await runCli(create, { env })
  expect(held).toMatchObject({ code: 7, stdout: '', stderr: expect.stringContaining('is in use by process') })
})

test('a person is made on the server’s machine, and logs in after the link was opened', async () => {
  const folder = newFolder()
  const env = {
    PATH: process.env['PATH'] ?? '',
    BERTH_DATA_DIR: folder,
    BERTH_PUBLIC_URL: 'https://berth.example',
  }
  const user = ['--email', 'Ada@example.com', '--name', 'Ada']
  const made = await runCli(['admin', 'users', 'create', ...user], { env })
  expect(made).toMatchObject({ code: 0, stderr: '' })
  expect(made.stdout).toMatch(/^https:\/\/berth\.example\/reset-password#token=[\w-]{32}\n$/)
  const again = await runCli(['admin', 'users', 'create', ...user], { env })
  expect(again).toMatchObject({ code: 7, stderr: expect.stringContaining('there is a user ada@example.com') })
  const reset = await runCli(['admin', 'users', 'reset', '--email', 'ada@example.com', '--json'], { env })
  expect(JSON.parse(reset.stdout)).toEqual({
    link: expect.stringContaining('/reset-password#token=') as string,
  })
  const none = await runCli(['admin', 'users', 'reset', '--email', 'eve@example.com'], { env })
  expect(none).toMatchObject({ code: 7, stdout: '', stderr: expect.stringContaining('there is no user') })
  const listed = await runCli(['admin', 'users', 'list', '--json'], { env })
  expect(JSON.parse(listed.stdout)).toMatchObject([{ email: 'ada@example.com', name: 'Ada' }])
})

test('a restore is said on the server’s machine, and that it is over', async () => {
  const folder = newFolder()
  const env = { PATH: process.env['PATH'] ?? '', BERTH_DATA_DIR: folder }
  const unused = await runCli(['restore'], { env })
  expect(unused).toMatchObject({ code: 7, stderr: expect.stringContaining('never been used') })
  await main(parseConfig(env), 'desk', 'admin')
  const said = await runCli(['restore'], { env })
  expect(said).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing unknown is stopped') })
  const until = async () => {
    const { db, close } = await openDatabase({ database_url: null, data_dir: folder })
    const row = await db.selectFrom('installation').select('quarantine_until').executeTakeFirstOrThrow()
    await close()
    return row.quarantine_until
  }
  expect(await until()).toBeInstanceOf(Date)
  expect(await runCli(['restore', '--end', '--json'], { env })).toMatchObject({
    code: 0,
    stdout: '{"quarantined":false}\n',
  })
  expect(await until()).toBeNull()
})

function lockOf(folder: string): Disposable {
  const lock = lockFolder(folder)
  return { [Symbol.dispose]: () => lock.release() }
}
