import { expect, test } from 'vitest'
import { runConformance } from '../../providers/conformance/run.ts'
import { alibabaSubject } from '../support/alibaba-subject.ts'

/** Against a hang. */
const suite_ms = 5 * 60_000

test('the ECS adapter keeps every promise that ECS can show', { timeout: suite_ms }, async () => {
  const options = { signal: new AbortController().signal, log: () => undefined }
  const report = await runConformance(alibabaSubject(), options)
  expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
  const skipped = report.cases.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)
  expect(new Set(skipped)).toEqual(
    new Set([
      // It has no fixed capacity.
      'devices are parts of offers',
      // A machine that has released itself is forgotten: test/providers/alibaba.test.ts launches it again.
      'launched again after its end, an attempt does not run again',
      // What is taken back is told while it still runs, and then forgotten, whatever ended it.
      'the end is told with its reason: preempted',
      'the end is told with its reason: deadline',
      'the end is told with its reason: out_of_memory',
      // A request waits for nothing: it is refused.
      'waiting is told with its reason: image',
      'waiting is told with its reason: capacity',
      'waiting is told with its reason: quota',
    ]),
  )
  expect(report.passed).toBe(report.cases.length - skipped.length)
})
