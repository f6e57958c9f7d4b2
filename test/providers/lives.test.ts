// Whole jobs on an account of each provider, while the vendor errs, answers are lost, machines are taken back and the server is
// dead for an hour: nothing is lost, doubled or left. BERTH_LIVES=100 tries as many seeds.
import { describe, expect, test } from 'vitest'
import type { Subject } from '../../providers/conformance/subject.ts'
import { alibabaSubject } from '../support/alibaba-subject.ts'
import { awsSubject } from '../support/aws-subject.ts'
import { fakeContainersSubject } from '../support/containers-subject.ts'
import { type Lived, liveThrough } from '../support/lives.ts'
import { subject as nomadSubject } from '../support/nomad-subject.ts'
import { runpodSubject } from '../support/runpod-subject.ts'

const subjects: readonly Subject[] = [
  alibabaSubject(true),
  awsSubject,
  fakeContainersSubject(),
  nomadSubject,
  runpodSubject('graphql', true),
  runpodSubject('rest'),
]
const seeds = Array.from({ length: Number(process.env['BERTH_LIVES'] ?? 3) }, (_, each) => each + 1)

describe.each(subjects)('$name', (subject) => {
  const all: Lived[] = []

  test.each(seeds)('seed %i: every job ends once, and nothing is left', async (seed) => {
    const lived = await liveThrough(subject, seed)
    all.push(lived)
    expect(lived.violations).toEqual([])
    expect(lived.jobs).toHaveLength(4)
  })

  test('all of them together had what they are about', () => {
    const sum = (pick: (lived: Lived) => number) => all.reduce((total, lived) => total + pick(lived), 0)
    expect(sum(({ faults }) => faults)).toBeGreaterThan(10 * seeds.length)
    if (!all[0]?.has_spot) return
    expect(sum(({ preempted }) => preempted)).toBeGreaterThan(0)
    expect(sum(({ resumed }) => resumed)).toBeGreaterThan(0)
  })
})
