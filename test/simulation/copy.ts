// Copies of the code with a defect.
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkout } from './code.ts'
import type { Defect } from './defects.ts'

const copied = ['jobs', 'functions', 'providers', 'infra', 'migrations', 'package.json']

/** A copy of the code with a defect; the caller removes it. Throws when an edit does not match exactly once. */
export function copyWith({ name, file, edits }: Defect): { root: string; remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'berth-defect-'))
  for (const part of copied) cpSync(join(checkout, part), join(root, part), { recursive: true })
  symlinkSync(join(checkout, 'node_modules'), join(root, 'node_modules'))
  const path = join(root, file)
  let text = readFileSync(path, 'utf8')
  for (const [before, after] of edits) {
    const times = text.split(before).length - 1
    if (times !== 1) throw new Error(`${name}: ${JSON.stringify(before)} stands in ${file} ${times} times`)
    text = text.replace(before, () => after)
  }
  writeFileSync(path, text)
  return { root, remove: () => rmSync(root, { recursive: true, force: true }) }
}
