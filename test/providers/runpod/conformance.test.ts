import { expect, test } from 'vitest'
import { runConformance } from '../../../providers/conformance/run.ts'
import { runpodSubject } from '../../support/runpod-subject.ts'

/** A bound against a hang: ninety cases take a second or two each. */
const suite_ms = 10 * 60_000

/** What RunPod does not have: lists in pages, a dead-man switch, reasons of a wait, and an end that stays to be seen. */
const never = [
  'launched by several at once, an attempt is one thing',
  'launched again after its end, an attempt does not run again',
  'the dead-man switch is later than the deadline',
  'devices are parts of offers',
  'the end is told with its reason: out_of_memory',
  'the end is told with its reason: deadline',
  'waiting is told with its reason: image',
  'waiting is told with its reason: capacity',
  'waiting is told with its reason: quota',
  'every page of a list is read',
  'a list that breaks off is an error and never a short list',
]

test.each([
  ['graphql', true, []],
  ['graphql', false, ['the end is told with its reason: preempted']],
  ['rest', false, ['the end is told with its reason: preempted', 'launch answered by quota: quota']],
] as const)(
  'the adapter keeps every promise over %s, interruptible: %s',
  { timeout: suite_ms },
  async (transport, spot, skipped) => {
    const signal = new AbortController().signal
    const report = await runConformance(runpodSubject(transport, spot), { signal, log: () => undefined })
    expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
    const seen = report.cases.flatMap(({ name, outcome }) => (outcome === 'skipped' ? [name] : []))
    expect(seen.toSorted()).toEqual([...never, ...skipped].toSorted())
  },
)
