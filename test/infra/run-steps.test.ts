import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test, vi } from 'vitest'
import { patience_ms } from '../support/patience.ts'
import { newFolder } from './new-folder.ts'

interface Step {
  name: string
  needs: string
  command: string[]
  env?: Record<string, string>
  report?: string
  beside?: boolean
  after?: Promise<unknown>
}
interface Options {
  root: string
  log: (line: string) => void
  unable?: (step: Step) => string | null
}

const program = resolve(import.meta.dirname, '../../infra/run-steps.mjs')
const { runSteps } = (await import(program)) as {
  runSteps: (steps: Step[], options: Options) => Promise<number>
}

async function run(steps: Omit<Step, 'needs'>[], unable: Options['unable'] = () => null) {
  const root = newFolder()
  mkdirSync(join(root, 'here'))
  const lines: string[] = []
  const listed = steps.map((step) => ({ needs: 'here', ...step }))
  const code = await runSteps(listed, { root, log: (line) => lines.push(line), unable })
  return { root, code, last: lines.at(-1), said: lines.join('\n') }
}

const sh = (name: string, script: string, report?: string) => ({
  name,
  command: ['/bin/sh', '-c', script],
  ...(report ? { report } : {}),
})
const junit = (counts: string, cases = '') =>
  `mkdir -p out; echo '<testsuites name="all" tests="99"><testsuite name="pytest" ${counts}>${cases}</testsuite></testsuites>' > out/r.xml`

test('every step counts as one check, and all run although one fails', async () => {
  const { code, last, said } = await run([sh('a', 'exit 3'), sh('b', 'true'), sh('c', 'kill -9 $$')])
  expect([code, last]).toEqual([1, '1 passed, 2 failed'])
  expect(said).toContain('a: 0 passed, 1 failed, 0 skipped (exit code 3)')
  expect(said).toContain('c: 0 passed, 1 failed, 0 skipped (exit code SIGKILL)')
})

test('when all is well the exit code is 0, and nothing of skipped is said', async () => {
  const { code, last } = await run([sh('a', 'true'), sh('b', 'true')])
  expect([code, last]).toEqual([0, '2 passed, 0 failed'])
})

test('the figures of runners are added up, and skips say why', async () => {
  const json = `mkdir -p out; echo '{"passed": 7, "failed": 0, "skipped": ["x: needs PostgreSQL"]}' > out/r.json`
  const skipped =
    '<testcase classname="t" name="t_gpu" time="0"><skipped type="s" message="no GPU">f</skipped></testcase>'
  const { code, last, said } = await run([
    sh('ts', json, 'out/r.json'),
    sh('py', junit('errors="0" failures="0" skipped="1" tests="5"', skipped), 'out/r.xml'),
    sh('check', 'true'),
  ])
  expect([code, last]).toEqual([0, '12 passed, 0 failed, 2 skipped'])
  expect(said).toContain('skipped: x: needs PostgreSQL')
  expect(said).toContain('skipped: t_gpu: no GPU')
})

test('failures and errors of a runner count by number', async () => {
  const script = `${junit('errors="1" failures="2" skipped="0" tests="5"')}; exit 1`
  const { code, last } = await run([sh('py', script, 'out/r.xml')])
  expect([code, last]).toEqual([1, '2 passed, 3 failed'])
})

test('what failed is named once more at the very end, with the first line of why', async () => {
  const json = `mkdir -p out; echo '{"passed": 1, "failed": 1, "failures": ["x: 2 is not 3"], "skipped": ["y: no GPU"]}' > out/r.json; exit 1`
  const case_ = `<testcase classname="t" name="t_sum" time="0"><failure message="assert 1 == 2&#10; where">f</failure></testcase>`
  const { said } = await run([
    sh('ts', json, 'out/r.json'),
    sh('py', `${junit('errors="0" failures="1" skipped="0" tests="2"', case_)}; exit 1`, 'out/r.xml'),
    sh(
      'bare',
      `${junit('errors="0" failures="0" skipped="0" tests="2"')}; mv out/r.xml out/s.xml; exit 1`,
      'out/s.xml',
    ),
  ])
  const end = said.slice(said.indexOf('== summary'))
  expect(end).toMatch(
    /skipped: y: no GPU\n[^]*\nfailed, ts: x: 2 is not 3\nfailed, py: t_sum: assert 1 == 2\n.* s in all\n.*$/,
  )
  expect(end).toContain('(exit code 1, without a failed test: see what it printed)')
})

test.each([
  [
    'fails without a failed test (coverage)',
    `${junit('errors="0" failures="0" tests="5"')}; exit 1`,
    '5 passed, 1 failed',
  ],
  ['dies before its report', 'exit 1', '0 passed, 1 failed'],
  ['leaves no report', 'true', '0 passed, 1 failed'],
])('a runner that %s has failed', async (_, script, expected) => {
  const { code, last } = await run([sh('py', script, 'out/r.xml')])
  expect([code, last]).toEqual([1, expected])
})

test('an old report does not speak for a run that wrote none', async () => {
  const steps = [sh('first', junit('tests="5"'), 'out/r.xml'), sh('second', 'true', 'out/r.xml')]
  expect((await run(steps)).last).toBe('5 passed, 1 failed')
})

test('a step that cannot run here has failed, and is not started', async () => {
  const { root, last, said } = await run([sh('a', 'touch started')], () => 'there is no Python environment')
  expect(last).toBe('0 passed, 1 failed')
  expect(said).toContain('there is no Python environment')
  expect(existsSync(join(root, 'started'))).toBe(false)
})

test('a program that is not there has failed; a folder that is not there is not listed', async () => {
  const missing = { ...sh('later', 'exit 1'), needs: 'not-yet' }
  const { last, said } = await run([{ name: 'a', command: ['no-such-program'] }, missing])
  expect(last).toBe('0 passed, 1 failed')
  expect(said).toContain('ENOENT')
  expect(said).not.toContain('later')
})

test('a step beside another runs at the same time, and each is shown whole, in their order', async () => {
  // Each waits for the other.
  const meet = (mine: string, other: string) =>
    `mkfifo ${mine} 2>/dev/null; mkfifo ${other} 2>/dev/null; echo ${mine} is here; echo x > ${mine} & cat ${other} > /dev/null; wait; echo ${mine} has met`
  const { code, last, said } = await run([
    sh('first', meet('a', 'b')),
    { ...sh('second', `${meet('b', 'a')}; exit 4`), beside: true },
    sh('third', 'true'),
  ])
  expect([code, last]).toEqual([1, '2 passed, 1 failed'])
  expect(said).toMatch(
    /== first: [^]*a is here\na has met\n[^]*== second: [^]*b is here\nb has met\n[^]*== third/,
  )
  expect(said).toContain('second: 0 passed, 1 failed, 0 skipped (exit code 4)')
})

test('a step begins when what it needs is made', async () => {
  const order: string[] = []
  const made = new Promise((done) => setImmediate(() => done(order.push('made'))))
  const unable = ({ name }: Step) => {
    order.push(name)
    return null
  }
  const { code } = await run([{ ...sh('first', 'true'), after: made }, sh('second', 'true')], unable)
  expect([code, order]).toEqual([0, ['made', 'first', 'second']])
})

test('nothing that a step started outlives it', async () => {
  const { root } = await run([sh('a', 'sleep 600 & echo $! > pid')])
  const pid = Number(readFileSync(join(root, 'pid'), 'utf8'))
  const state = () => {
    const path = `/proc/${pid}/stat`
    return existsSync(path) ? readFileSync(path, 'utf8').split(') ')[1]?.[0] : 'gone'
  }
  await vi.waitFor(() => expect(['gone', 'Z', undefined]).toContain(state()), { timeout: patience_ms })
})

test('a step gets its own environment and the packages of the checkout first', async () => {
  const root = newFolder()
  writeFileSync(join(root, 'here'), '')
  const step = {
    name: 'a',
    needs: 'here',
    command: ['/bin/sh', '-c', 'echo "$A $PATH" > seen'],
    env: { A: 'b' },
  }
  await runSteps([step], { root, log: () => {} })
  expect(readFileSync(join(root, 'seen'), 'utf8')).toMatch(new RegExp(`^b ${root}/node_modules/.bin:`))
})
