// The file that keeps what all seeds so far add up to.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { merged, nothing, type Tally } from './tally.ts'

interface Range {
  /** Of the code that was simulated: the same seed has another history with other code. */
  code: string
  from: number
  to: number
}
export interface Results {
  bench: 'simulate'
  at: string
  ranges: Range[]
  figures: Tally
}

/** SHA-256 over the code under test and the simulation, shortened. */
export function codeOf(root: string): string {
  const hash = createHash('sha256')
  for (const folder of ['jobs', 'functions', 'providers', 'migrations', 'test/simulation', 'test/fakes'])
    for (const file of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).toSorted())
      if (file.endsWith('.ts')) hash.update(file).update(readFileSync(join(root, folder, file)))
  return hash.digest('hex').slice(0, 12)
}

/** Adds seeds to the file; false: some of them are in it already, and nothing is added. */
export function addTo(path: string, range: Range, tally: Tally, at: Date): boolean {
  const before = read(path)
  const { code, from, to } = range
  const isKnown = before.ranges.some((each) => each.code === code && each.from <= to && from <= each.to)
  if (isKnown) return false
  const newest = before.ranges.at(-1)
  // Lines move with the code: those of older code would be taken for others.
  const figures = newest && newest.code !== code ? { ...before.figures, crashed_lines: [] } : before.figures
  const ranges =
    newest?.code === code && newest.to === from - 1
      ? [...before.ranges.slice(0, -1), { ...newest, to }]
      : [...before.ranges, range]
  const results: Results = {
    bench: 'simulate',
    at: at.toISOString().slice(0, 10),
    ranges,
    figures: merged(figures, tally),
  }
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`)
  return true
}

const read = (path: string): Pick<Results, 'ranges' | 'figures'> =>
  existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Results) : { ranges: [], figures: nothing }
