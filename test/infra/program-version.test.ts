import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { programVersions } from '../../infra/program-version.ts'

test('a program is another one when its code, its page’s style or script, or a library changes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'berth-program-'))
  const program = join(folder, 'backtest', 'berth_backtest', 'output')
  mkdirSync(program, { recursive: true })
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  const version = () => programVersions({}, folder)('backtest')
  write('backtest/berth_backtest/output/page.py', 'a')
  const seen = [version()]
  for (const name of ['page.py', 'page.css', 'page.js']) {
    write(`backtest/berth_backtest/output/${name}`, 'b')
    seen.push(version())
  }
  write('requirements.lock', 'numpy')
  seen.push(version())
  expect(new Set(seen).size).toBe(5)
  write('backtest/berth_backtest/output/notes.txt', 'c')
  expect(version()).toBe(seen.at(-1))
})
