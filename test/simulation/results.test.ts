import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { addTo, type Results } from './results.ts'
import { nothing, type Tally } from './tally.ts'

const at = new Date('2026-03-02T09:00:00Z')
const tally = (more: Partial<Tally>): Tally => ({ ...nothing, seeds: 10, fewest_jobs: 50, ...more })
const newFile = () => join(mkdtempSync(join(tmpdir(), 'berth-results-')), 'simulate.json')
const read = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Results

test('ranges of seeds add up, and ranges that follow each other become one', () => {
  const path = newFile()
  expect(
    addTo(path, { code: 'a', from: 1, to: 10 }, tally({ steps: 5, crashed_lines: ['act.ts:1'] }), at),
  ).toBe(true)
  addTo(path, { code: 'a', from: 11, to: 20 }, tally({ steps: 7, failed: [13], fewest_jobs: 49 }), at)
  addTo(path, { code: 'a', from: 31, to: 40 }, tally({ outcomes: { lost: 2 } }), at)
  const { ranges, figures } = read(path)
  expect(ranges).toEqual([
    { code: 'a', from: 1, to: 20 },
    { code: 'a', from: 31, to: 40 },
  ])
  expect(figures).toMatchObject({
    seeds: 30,
    steps: 12,
    failed: [13],
    fewest_jobs: 49,
    crashed_lines: ['act.ts:1'],
    outcomes: { lost: 2 },
  })
})

test('a seed counts once for the same code, and again for other code', () => {
  const path = newFile()
  addTo(path, { code: 'a', from: 1, to: 10 }, tally({ crashed_lines: ['act.ts:1'] }), at)
  expect(addTo(path, { code: 'a', from: 10, to: 12 }, tally({}), at)).toBe(false)
  expect(addTo(path, { code: 'b', from: 1, to: 10 }, tally({ crashed_lines: ['act.ts:2'] }), at)).toBe(true)
  expect(read(path).figures).toMatchObject({ seeds: 20, crashed_lines: ['act.ts:2'] })
})
