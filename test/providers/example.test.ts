import { expect, test } from 'vitest'
import { runConformance } from '../../providers/conformance/run.ts'
import { subject } from '../support/example-subject.ts'

test('the example adapter keeps every promise of the contract', async () => {
  const signal = new AbortController().signal
  const report = await runConformance(subject, { signal, log: () => undefined })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  // It has no helpers, no fixed capacity, no log, and its reads do not lag.
  expect(report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))).toEqual([
    'devices are parts of offers',
    'a launch repeated while lists lag starts nothing new',
    'the end of its own log is told, and not more than 64 KiB',
    'list gives helpers, of no attempt, and they can be stopped',
  ])
})
