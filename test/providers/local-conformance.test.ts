import { expect, test } from 'vitest'
import { runConformance } from '../../providers/conformance/run.ts'
import { localSubject } from '../support/local-subject.ts'

test('the local provider keeps every promise that one machine can show', { timeout: 300_000 }, async () => {
  const report = await runConformance(localSubject, {
    signal: new AbortController().signal,
    log: () => undefined,
  })
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  expect(report.passed).toBeGreaterThanOrEqual(20)
})
