import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLogFiles } from '../../infra/log-files.ts'
import { newFolder } from './new-folder.ts'

const program = `
  import { createLog } from ${JSON.stringify(join(import.meta.dirname, '../../infra/log.ts'))}
  import { openLogFiles } from ${JSON.stringify(join(import.meta.dirname, '../../infra/log-files.ts'))}
  const log = createLog('info', openLogFiles(process.argv[1], () => new Date('2026-03-01T12:00:00Z')))
  log('debug', 'nobody is to see this')
  log('info', 'the certificate was read again')
  log('warn', 'launch failed', { attempt: 'att_1' })
  log('warn', 'the database did not answer', { request_id: 'req_1', method: 'GET' })
  log('warn', 'devices failed', { class: 'gpu', account: 'desk' })
  log('error', 'a shard was not decided', { shard: 'shd_1' })
`

test('each line says its class, on standard error and in the file of its class and day', () => {
  const folder = newFolder()
  const args = ['--input-type=module', '--eval', program, folder]
  const { stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  expect(status, stderr).toBe(0)
  const lines = stderr.trim().split('\n')
  const classes = lines.map((line) => (JSON.parse(line) as { class: string }).class)
  expect(classes).toEqual(['system', 'job', 'api', 'gpu', 'error'])
  expect(readdirSync(folder).toSorted()).toEqual(classes.toSorted().map((each) => `${each}-2026-03-01.jsonl`))
  for (const [index, each] of classes.entries())
    expect(readFileSync(join(folder, `${each}-2026-03-01.jsonl`), 'utf8')).toBe(`${lines[index]}\n`)
})

test('each class is kept for its days, and what is not ours is left alone', () => {
  const folder = newFolder()
  const days = { system: 30, api: 7, gpu: 30, job: 90, error: 180 }
  const ago = (count: number) =>
    new Date(Date.UTC(2026, 5, 30) - count * 86_400_000).toISOString().slice(0, 10)
  for (const [of, kept] of Object.entries(days))
    for (const count of [kept, kept + 1]) writeFileSync(join(folder, `${of}-${ago(count)}.jsonl`), '')
  for (const name of ['notes.txt', 'other-2001-01-01.jsonl']) writeFileSync(join(folder, name), '')
  let now = new Date(Date.UTC(2026, 5, 30, 23, 59))
  const files = openLogFiles(folder, () => now)
  files.write('api', '{}')
  const left = Object.entries(days).map(([of, kept]) => `${of}-${ago(kept)}.jsonl`)
  const others = ['notes.txt', 'other-2001-01-01.jsonl']
  expect(readdirSync(folder).toSorted()).toEqual([...left, ...others, 'api-2026-06-30.jsonl'].toSorted())
  now = new Date(Date.UTC(2026, 6, 1, 0, 0))
  files.write('api', '{}')
  expect(readdirSync(folder).toSorted()).toEqual(
    [...others, 'api-2026-06-30.jsonl', 'api-2026-07-01.jsonl'].toSorted(),
  )
  files.close()
})

test('lines of a function on the edge have the same fields', () => {
  const log = JSON.stringify(join(import.meta.dirname, '../../infra/edge/log.ts'))
  const said = `
    import { createConsoleLog } from ${log}
    createConsoleLog('warn')('info', 'not this one')
    createConsoleLog('warn')('warn', 'launch failed', { attempt: 'att_1' })`
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', said], {
    encoding: 'utf8',
  })
  expect(JSON.parse(stderr)).toEqual({
    level: 40,
    time: expect.any(String) as string,
    attempt: 'att_1',
    class: 'job',
    msg: 'launch failed',
  })
})
