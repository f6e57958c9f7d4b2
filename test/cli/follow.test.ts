import { expect, test } from 'vitest'
import { createLogLines } from '../../cli/log-lines.ts'
import { harmless } from '../../cli/text.ts'
import { backtest } from '../support/world.ts'
import { openServed, startRunner, until } from './served.ts'

const job = JSON.stringify(backtest())

async function followed(tty: boolean, json: boolean, env: Record<string, string> = {}) {
  await using served = await openServed()
  const argv = ['submit', '-', '--follow', ...(json ? ['--json'] : [])]
  const live = { stderr: '' }
  const following = served.cli(argv, { stdin: job, tty, env, live })
  await until(() => served.seen.some(({ url }) => url.endsWith('/logs')), 'the log is followed')
  const runner = await startRunner(served)
  await runner.progress(0.5, 'run')
  await runner.log('half of it\n')
  await until(() => live.stderr.includes('50 %'), 'the progress is shown')
  await runner.finish(0, { best: { objective: 2 } })
  return await following
}

test('following in a script: log on standard output, progress as lines on standard error', async () => {
  const { code, stdout, stderr } = await followed(false, false)
  expect(code).toBe(0)
  expect(stdout).toMatch(/^half of it\njob_\w+\n {2}state {4}succeeded/)
  expect(stderr).toMatch(/job_\w+ running 50 % run\n/)
  expect(stderr).toMatch(/job_\w+ succeeded\n$/)
  expect(stdout + stderr).not.toContain('\u001b')
})

test('following for a machine: standard output holds the job alone', async () => {
  const { code, stdout, stderr } = await followed(false, true)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ state: 'succeeded', progress: 1 })
  expect(stderr).toContain('half of it\n')
})

test('following on a terminal: a bar, with the log above it', async () => {
  const { code, stderr } = await followed(true, false, { TERM: 'xterm' })
  expect(code).toBe(0)
  expect(stderr).toContain('half of it\n')
  expect(stderr).toMatch(/█+.*░+.* 50 % {2}run/)
})

test('no colours with NO_COLOR, and no bar on a dumb terminal', async () => {
  // The bar itself needs cursor movements (K, A, G); colours end in m.
  const plain = await followed(true, false, { TERM: 'xterm', NO_COLOR: '1' })
  expect((plain.stdout + plain.stderr).split('\u001b').some((after) => /^\[[\d;]*m/.test(after))).toBe(false)
  const dumb = await followed(true, false, { TERM: 'dumb' })
  expect(dumb.stdout + dumb.stderr).not.toContain('\u001b')
})

test('lines of several attempts and streams do not mix', () => {
  const lines = createLogLines()
  const chunk = (shard: number, attempt: number, stream: 'stdout' | 'stderr' | 'runner', text: string) =>
    lines.take({ shard, attempt, number: 1, at: '', stream, text })
  expect(chunk(0, 1, 'stdout', 'half ')).toBe('')
  expect(chunk(0, 1, 'stderr', 'warning\n')).toBe('warning\n')
  expect(chunk(1, 2, 'stdout', 'a\nb\nc')).toBe('[1.2] a\n[1.2] b\n')
  expect(chunk(0, 1, 'stdout', 'line\n')).toBe('half line\n')
  expect(chunk(0, 1, 'runner', 'ready\n')).toBe('runner: ready\n')
  expect(lines.rest()).toBe('[1.2] c\n')
  expect(lines.rest()).toBe('')
})

test('a line without an end is shown all the same, in bounded memory', () => {
  const lines = createLogLines()
  const text = 'x'.repeat(70_000)
  expect(lines.take({ shard: 0, attempt: 1, number: 1, at: '', stream: 'stdout', text })).toBe(`${text}\n`)
})

test.each([
  ['\u001b[31mred\u001b[0m', 'red'],
  ['\u001b]8;;http://x\u0007link\u001b]8;;\u0007', 'link'],
  ['\u001b[2J\u001b[Hx', 'x'],
  ['a\u001bb', 'a\u241bb'],
  ['\u0090q\u009c', '\uFFFDq\uFFFD'],
  ['tab\tand\r\nend', 'tab\tand\nend'],
  ['over\rwritten', 'over\nwritten'],
  ['\u202eabc\u2066', '\uFFFDabc\uFFFD'],
  ['bell\u0007', 'bell\u2407'],
  ['naïve 中文 🚢', 'naïve 中文 🚢'],
])('%j is shown as %j', (text, shown) => {
  expect(harmless(text)).toBe(shown)
})
