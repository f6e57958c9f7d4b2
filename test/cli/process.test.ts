// The command as people start it: a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { backtest } from '../support/world.ts'
import { openServed, startRunner, until } from './served.ts'

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

test('a key is made on the server’s machine and opens its API', async () => {
  await using served = await openServed()
  const env = { BERTH_DATA_DIR: served.folder }
  const wrong = start(['admin', 'create-key', '--name', 'desk', '--role', 'king'], env)
  expect(await ended(wrong.child)).toBe(2)
  const made = start(['admin', 'create-key', '--name', 'desk', '--role', 'viewer', '--json'], env)
  expect(await ended(made.child)).toBe(0)
  expect(JSON.parse(made.text.stdout)).toEqual({
    name: 'desk',
    role: 'viewer',
    key: expect.stringMatching(/^berth_[0-9a-f]{12}_[\w-]{43}$/),
  })
  const held = start(['admin', 'create-key', '--name', 'desk'], { BERTH_DATA_DIR: '/dev/null/x' })
  expect(await ended(held.child)).toBe(7)
  expect(held.text.stderr).toContain('berth: ')
})
