import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { exitHelp, exits } from '../../cli/exit.ts'
import { backtest } from '../support/world.ts'
import { openServed, runCli, startRunner, until } from './served.ts'

const job = JSON.stringify(backtest({ retry: { max_attempts: 1 } }))

test('every exit code is in the help', async () => {
  const { code, stdout } = await runCli(['--help'])
  expect(code).toBe(0)
  expect(stdout).toContain(exitHelp)
  for (const exit of Object.values(exits)) expect(exitHelp).toMatch(new RegExp(`^ {2}${exit} +\\w`, 'm'))
})

test.each([
  ['no such command', ['no-such-command'], 'unknown command'],
  ['an unknown option', ['list', '--nothing'], 'unknown option'],
  ['a missing argument', ['get'], 'missing required argument'],
  ['no file', ['submit', 'nothing.json'], 'nothing.json does not exist'],
  ['broken JSON', ['submit', 'broken.json'], 'broken.json is not valid JSON'],
  ['JSON that is no object', ['submit', 'list.json'], 'must hold a JSON object'],
  ['a spec without its kind', ['submit', 'spec.json'], 'add --kind backtest'],
  ['a job with a kind', ['submit', 'job.json', '--kind', 'backtest'], 'leave out --kind'],
  ['a label without a value', ['submit', 'job.json', '--label', 'x'], 'name=value'],
  ['a timeout that nobody waits for', ['submit', 'job.json', '--timeout', '5'], '--timeout needs'],
  ['a wrong limit', ['list', '--limit', '0'], 'whole number from 1'],
  ['an id that would leave the path', ['get', '..'], 'is not a job id'],
  ['a file that is not text', ['submit', 'binary.json'], 'is not UTF-8'],
])('2, wrong usage: %s', async (_, argv, message) => {
  await using served = await openServed()
  const files = { broken: '{', list: '[1]', spec: JSON.stringify(backtest().params), job }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(served.folder, `${name}.json`), text)
  writeFileSync(join(served.folder, 'binary.json'), Buffer.from([0xff, 0xfe]))
  const done = await served.cli(argv)
  expect(done).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) })
  expect(served.seen).toEqual([])
})

test.each([
  ['BERTH_URL', 'ftp://x', 'BERTH_URL is not an http'],
  ['BERTH_URL', 'http://user:secret@x/', 'BERTH_URL has a user'],
  ['BERTH_API_KEY', 'with space', 'BERTH_API_KEY holds characters'],
])('2, a wrong variable: %s=%s', async (name, value, message) => {
  const { code, stderr } = await runCli(['list'], { env: { BERTH_API_KEY: 'x', [name]: value } })
  expect(code).toBe(2)
  expect(stderr).toContain(message)
  expect(stderr).not.toContain('secret')
})

test('2, an invalid request: every field error with its path', async () => {
  await using served = await openServed()
  const wrong = { ...backtest(), nonsense: 1, timeout_s: 'x' }
  const { code, stderr } = await served.cli(['submit', '-'], { stdin: JSON.stringify(wrong) })
  expect(code).toBe(2)
  expect(stderr).toContain('(422 invalid_request)')
  expect(stderr).toMatch(/timeout_s/)
  expect(stderr).toMatch(/nonsense:? is not a known field/)
  const json = await served.cli(['submit', '-', '--json'], { stdin: JSON.stringify(wrong) })
  expect(json.stdout).toBe('')
  const { error } = JSON.parse(json.stderr)
  expect(error).toMatchObject({ code: 'invalid_request', status: 422 })
  expect(error.errors.map(({ path }: { path: string }) => path).toSorted()).toEqual(['nonsense', 'timeout_s'])
})

test('3 for what is not there, 4 without a right', async () => {
  await using served = await openServed()
  const nowhere = ['get', 'job_00000000000000000000000000']
  expect(await served.cli(nowhere)).toMatchObject({ code: 3, stdout: '' })
  expect((await served.cli(nowhere, { env: { BERTH_API_KEY: 'wrong' } })).code).toBe(4)
  await served.world.deps.db.updateTable('api_keys').set({ role: 'viewer' }).execute()
  const refused = await served.cli(['submit', '-'], { stdin: job })
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('role member') })
})

test('5 when nobody answers, when something else does, and when the server cannot take it now', async () => {
  await using served = await openServed()
  const nobody = await served.cli(['list'], { env: { BERTH_URL: 'http://127.0.0.1:9' } })
  expect(nobody).toMatchObject({ code: 5, stderr: expect.stringContaining('npm start') })
  served.fault(({ request }) =>
    request.url.endsWith('/result') ? new Response('<html>', { status: 200 }) : null,
  )
  const html = await served.cli(['result', 'job_x'])
  expect(html).toMatchObject({ code: 5, stderr: expect.stringContaining('does not answer like Berth') })
  for (let n = 0; n < 50; n++) await served.submitted()
  const full = await served.cli(['submit', '-'], { stdin: job })
  expect(full).toMatchObject({ code: 5, stderr: expect.stringContaining('429 queue_full') })
})

test.each([
  ['0 when the job has succeeded', 0, 0],
  ['1 when it has failed', 3, 1],
])('%s', async (_, program, expected) => {
  await using served = await openServed()
  const waiting = served.cli(['submit', '-', '--wait', '--json'], { stdin: job })
  await until(
    () => served.world.request('GET', '/v1/jobs').then(async (a) => (await a.text()).includes('job_')),
    'a job',
  )
  const runner = await startRunner(served)
  await runner.finish(program)
  const { code, stdout } = await waiting
  expect(code).toBe(expected)
  expect(JSON.parse(stdout)).toMatchObject({ state: expected === 0 ? 'succeeded' : 'failed' })
})

test('6 when it was cancelled, by whomever', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const waiting = served.cli(['wait', id])
  await served.cli(['cancel', id])
  await served.world.settle(2)
  expect(await waiting).toMatchObject({ code: 6, stdout: expect.stringContaining('cancelled') })
})

test('124 when the time is over, and the job goes on', async () => {
  await using served = await openServed()
  const id = await served.submitted()
  const { code, stderr } = await served.cli(['wait', id, '--timeout', '1'])
  expect(code).toBe(124)
  expect(stderr).toContain(`${id} has not ended within 1 s and goes on`)
  expect((await served.cli(['get', id])).stdout).toContain('queued')
})

test.each([[['wait']], [['wait', '--follow']], [['logs', '-f']]])(
  '130 when interrupted in %s, and the job goes on',
  async (command) => {
    await using served = await openServed()
    const id = await served.submitted()
    const interrupt = new AbortController()
    const waiting = served.cli([...command, id], { interrupted: interrupt.signal })
    await until(() => served.seen.length > 0, 'a request')
    interrupt.abort()
    const { code, stderr } = await waiting
    expect(code).toBe(130)
    expect(stderr).toContain(`${id} goes on`)
    expect(stderr).toContain(`berth cancel ${id}`)
  },
)
