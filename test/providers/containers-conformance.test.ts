import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from '../../providers/conformance/cases.ts'
import { runConformance } from '../../providers/conformance/run.ts'
import { fakeContainersSubject, realContainersSubject, realControls } from '../support/containers-subject.ts'
import { type ContainerEngine, noPodman, openEngine } from '../support/podman.ts'

/** Bounds against a hang: each starts containers, on machines that do other things too. */
const suite_ms = 15 * 60_000
const case_ms = 5 * 60_000
const options = { signal: new AbortController().signal, log: () => undefined }

test(
  'the containers adapter keeps every promise on an engine that breaks',
  { timeout: suite_ms },
  async () => {
    const report = await runConformance(fakeContainersSubject(), options)
    expect(report.cases.filter(({ outcome }) => outcome === 'failed')).toEqual([])
    const skipped = report.cases.filter(({ outcome }) => outcome === 'skipped').map(({ name }) => name)
    expect(new Set(skipped)).toEqual(
      new Set([
        'a launch repeated while lists lag starts nothing new',
        // An engine has no dead-man switch, takes nothing back, and bills nothing.
        'the dead-man switch is later than the deadline',
        'the end is told with its reason: preempted',
        'the end is told with its reason: deadline',
        'nothing is billed after the end',
        // What cannot be pulled ends, and nothing waits for room.
        'waiting is told with its reason: image',
        'waiting is told with its reason: capacity',
        'waiting is told with its reason: quota',
        'launch answered by quota: quota',
        'launch answered by balance: balance',
        // A volume stands for its attempt, and lists are whole.
        'list gives helpers, of no attempt, and they can be stopped',
        'every page of a list is read',
        'a list that breaks off is an error and never a short list',
      ]),
    )
  },
)

describe('the containers adapter on a real engine', () => {
  let engine: ContainerEngine | null = null
  beforeAll(async () => {
    if (noPodman === null) engine = await openEngine()
  })
  afterAll(() => engine?.close())

  // The faults are the fake's.
  const tried = cases.filter(({ needs }) => needs.every((need) => realControls.includes(need)))

  test.for(tried.map(({ name }) => name))('%s', { timeout: case_ms }, async (name, context) => {
    if (engine === null) return context.skip(noPodman ?? '')
    const report = await runConformance(realContainersSubject(engine), {
      ...options,
      only: (each) => each === name,
    })
    const [result] = report.cases
    if (result?.outcome === 'skipped') return context.skip(result.detail ?? '')
    expect(result).toEqual({ name, outcome: 'passed', detail: null })
  })
})
