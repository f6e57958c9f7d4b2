import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'
import { newFolder } from './new-folder.ts'

const checkout = resolve(import.meta.dirname, '../..')

// Missed coverage and files that do not load are seen by nothing else.
test.each([
  ['with a failed test', 1, `throw new Error('as it should')`],
  ['of which all is well', 0, ''],
])('a run %s ends with %i, whatever database it had', (_, code, body) => {
  const root = newFolder()
  const globalSetup = join(checkout, 'test/support/global-setup.ts')
  const config = { test: { globals: true, include: ['*.test.js'], globalSetup } }
  writeFileSync(join(root, 'vitest.config.js'), `export default ${JSON.stringify(config)}`)
  writeFileSync(join(root, 'a.test.js'), `test('one', () => { ${body} })`)
  const { status, stderr } = spawnSync(join(checkout, 'node_modules/.bin/vitest'), ['run', '--root', root], {
    encoding: 'utf8',
  })
  expect(stderr).toContain(code === 0 ? '' : 'as it should')
  expect(status).toBe(code)
})
