// `berth provider-test` as people start it.
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { newFolder } from '../infra/new-folder.ts'

const root = resolve(import.meta.dirname, '../..')

function providerTest(args: string[], cwd = root): Promise<{ code: number; stdout: string; stderr: string }> {
  const argv = [join(root, 'cli/berth.mjs'), 'provider-test', ...args]
  const { PATH = '' } = process.env
  return new Promise((done) =>
    execFile(process.execPath, argv, { cwd, env: { PATH } }, (error, stdout, stderr) =>
      done({ code: error ? Number(error.code) : 0, stdout, stderr }),
    ),
  )
}

/** A module that exports the reference adapter with a defect. */
async function moduleOf(source: string): Promise<string> {
  const path = join(newFolder(), 'subject.mjs')
  await writeFile(path, source)
  return path
}
const reference = join(root, 'test/support/reference-cloud.ts')

test('a good adapter: every case is told, and what was skipped by its reason', async () => {
  const { code, stdout, stderr } = await providerTest(['test/support/nomad-subject.ts', '--only', 'is told'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toContain('ok   the exit code is told\n')
  expect(stdout).toContain(
    'skipped, the subject has no control hinder.quota:\n     waiting is told with its reason: quota\n',
  )
  expect(stdout).toMatch(/\nnomad: \d+ passed, 0 failed, \d+ skipped\n$/)
})

test('a broken promise: what was seen, and exit code 1', async () => {
  const path = await moduleOf(
    `import { referenceSubject } from ${JSON.stringify(reference)}\nexport default () => referenceSubject('exit-zero')\n`,
  )
  const { code, stdout } = await providerTest([path, '--only', 'the exit code is told'])
  expect(code).toBe(1)
  expect(stdout).toContain(
    'FAIL the exit code is told\n     the end: expected {"state":"exited","code":3}, saw {"state":"exited","code":0}\n',
  )
  expect(stdout).toContain('reference: 0 passed, 1 failed, 0 skipped\n')
})

test('--json gives the report and nothing else, though the adapter prints', async () => {
  const path = await moduleOf(
    `import { referenceSubject } from ${JSON.stringify(reference)}\nconsole.log('hello')\nexport const subject = referenceSubject()\n`,
  )
  const { code, stdout, stderr } = await providerTest([path, '--json', '--only', 'offers are well-formed'])
  expect(JSON.parse(stdout)).toEqual({
    subject: 'reference',
    ok: true,
    passed: 1,
    failed: 0,
    skipped: 0,
    cases: [{ name: 'offers are well-formed', outcome: 'passed', detail: null }],
  })
  expect({ code, stderr }).toEqual({ code: 0, stderr: 'hello\n' })
})

test.each([
  [
    'export const nothing = 1',
    /has no subject: export one, as "subject" or as the default \(docs\/providers.md\)/,
  ],
  ['throw new Error("no credentials")', /cannot be loaded: no credentials/],
])('a module that is none is told, with exit code 2: %s', async (source, said) => {
  const { code, stdout, stderr } = await providerTest([await moduleOf(source)])
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  expect(stderr).toMatch(said)
})
