// The suite itself: a good adapter passes every case, and each case is failed by an adapter that breaks its promise.
import { describe, expect, test } from 'vitest'
import { cases } from '../../providers/conformance/cases.ts'
import { runConformance } from '../../providers/conformance/run.ts'
import { referenceSubject } from '../support/reference-cloud.ts'

const options = { signal: new AbortController().signal, log: () => undefined }

test('an adapter that keeps every promise passes every case', async () => {
  const report = await runConformance(referenceSubject(), options)
  expect(report.cases.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  expect(report).toMatchObject({
    subject: 'reference',
    ok: true,
    passed: cases.length,
    failed: 0,
    skipped: 0,
  })
  expect(cases.length).toBeGreaterThan(80)
})

/** What breaks each promise. */
const defects: Record<string, string> = {
  'offers are well-formed': 'offer-price',
  'offers keep their ids, and a request is for one of them': 'offer-drift',
  'devices are parts of offers': 'stray-device',
  'traits are figures that can be kept': 'no-batch',
  'launched again, an attempt is the same thing': 'handle-each-time',
  'launched again by another replica, an attempt is the same thing': 'memory-only',
  'launched by several at once, an attempt is one thing': 'looks-first',
  'a launch whose answer was lost is found by its repeat': 'no-token',
  'a launch repeated while lists lag starts nothing new': 'looks-first',
  'what was launched is seen and listed once the list lag is over': 'short-lag',
  'launched again after its end, an attempt does not run again': 'forgets-ended',
  'a handle survives JSON and serves another replica': 'handle-date',
  'a launch that was given up before it began starts nothing': 'deaf-before',
  'the dead-man switch is later than the deadline': 'switch-at-deadline',
  'names are RFC 1123 labels of at most 45 characters': 'long-name',
  'without a handle a thing is looked up': 'handle-only',
  'without a handle nothing is ever launched': 'launches-on-look-up',
  'gone is an answer and not an error': 'gone-throws',
  'observations come in the order of the refs': 'unordered',
  'the exit code is told': 'exit-zero',
  'the end is told with its reason: preempted': 'no-reason:preempted',
  'the end is told with its reason: out_of_memory': 'no-reason:out_of_memory',
  'the end is told with its reason: deadline': 'no-reason:deadline',
  'waiting is told with its reason: image': 'no-reason:image',
  'waiting is told with its reason: capacity': 'no-reason:capacity',
  'waiting is told with its reason: quota': 'no-reason:quota',
  '1,000 refs take no more vendor requests than their batches': 'one-by-one',
  'the end of its own log is told, and not more than 64 KiB': 'whole-tail',
  'stop may be repeated, and inspect confirms it': 'early-end',
  'stop of what is gone is no error': 'stop-gone-throws',
  'a stop without a handle ends what has the name': 'stop-needs-handle',
  'a stop whose answer was lost may be repeated': 'lost-stop',
  'a stop ends one attempt and no other': 'stops-all',
  'nothing is billed after the end': 'bills-on',
  'list gives what is ours and nothing else': 'lists-all',
  'list gives helpers, of no attempt, and they can be stopped': 'helper-as-attempt',
  'what list gives can be inspected and stopped without its request': 'list-handle',
  'every page of a list is read': 'first-page',
  'a list that breaks off is an error and never a short list': 'short-list',
  'check of credentials that are not taken says so and what to do': 'check-always-ok',
  'check of good credentials is ok': 'check-never-ok',
}

function defectOf(name: string): string | undefined {
  const answered = /^(\w+) answered by (\w+):/.exec(name)
  if (answered) return `wrong:${answered[1]}:${answered[2]}`
  const aborted = /^(\w+) ends promptly when its signal does$/.exec(name)
  return aborted ? `deaf:${aborted[1]}` : defects[name]
}

describe('a broken promise is seen', () => {
  test.concurrent.each(cases.map(({ name }) => ({ name, defect: defectOf(name) })))(
    '$name: $defect',
    async ({ name, defect }) => {
      expect(defect, 'a defect that breaks it').toBeDefined()
      const only = (each: string) => each === name
      const report = await runConformance(referenceSubject(defect), { ...options, only })
      expect(report).toMatchObject({ ok: false, failed: 1 })
    },
  )

  test('by no more cases than those it is about', async () => {
    const failed = async (defect: string) =>
      (await runConformance(referenceSubject(defect), options)).cases.flatMap(({ name, outcome }) =>
        outcome === 'failed' ? [name] : [],
      )
    const names = ['handle-each-time', 'wrong:stop:html', 'lost-launch', 'unordered']
    expect(await Promise.all(names.map(failed))).toEqual([
      [
        'launched again, an attempt is the same thing',
        'launched by several at once, an attempt is one thing',
      ],
      ['stop answered by html: unknown_outcome'],
      ['a launch whose answer was lost is found by its repeat'],
      ['observations come in the order of the refs'],
    ])
  })

  test.each([
    [
      'leaks:message',
      'launch answered by echo: rejected or unknown_outcome',
      'a secret of the account is in the error of launch',
    ],
    [
      'leaks:cause',
      'launch answered by quota: quota',
      'the password of the registry is in the error of launch',
    ],
    ['leaks:handle', 'offers keep their ids', null],
    [
      'leaks:handle',
      'without a handle a thing is looked up',
      'the password of the registry is in the answer of launch',
    ],
    ['leaks:observation', 'the exit code is told', 'a secret of the account is in the answer of inspect'],
    ['leaks:tail', 'the end of its own log is told', 'a secret of the account is in the answer of tail'],
    [
      'check-throws',
      'check of credentials that are not taken says so and what to do',
      'ProviderError: reference: unauthorized: WhoAmI: BadKey',
    ],
  ])('%s in the case "%s": %s', async (defect, name, detail) => {
    const report = await runConformance(referenceSubject(defect), {
      ...options,
      only: (each) => each.startsWith(name),
    })
    expect(report.cases[0]?.detail).toBe(detail)
    expect(JSON.stringify(report)).not.toContain('the-key-of-the-account')
  })
})

test('an adapter of a vendor without a launch token passes, for the core waits before it repeats a launch', async () => {
  const report = await runConformance(referenceSubject('no-launch-token'), options)
  expect(report.cases.filter(({ outcome }) => outcome !== 'passed')).toEqual([
    {
      name: 'launched by several at once, an attempt is one thing',
      outcome: 'skipped',
      detail: 'without a launch token the core never has two launches of one attempt under way',
    },
  ])
})

test.each([
  ['no-exit-codes', 'passed', null],
  ['exit-zero', 'failed', 'a guess: {"state":"exited","exit_code":0,"detail":null,"reason":null}'],
])('of a vendor without exit codes none is guessed: %s', async (variant, outcome, detail) => {
  const subject = referenceSubject(variant)
  const open = async () => {
    const world = await subject.open()
    return { ...world, back: { ...world.back, no_exit_codes: true as const } }
  }
  const only = (name: string) => name === 'the exit code is told'
  const report = await runConformance({ name: 'codeless', open }, { ...options, only })
  expect(report.cases[0]).toMatchObject({ outcome, detail })
})

test('what the subject cannot show is skipped with its reason, and nothing tried is not ok', async () => {
  const subject = referenceSubject()
  const poor = {
    name: 'poor',
    async open() {
      return { ...(await subject.open()), back: {} }
    },
  }
  const report = await runConformance(poor, options)
  expect(report).toMatchObject({ ok: true, failed: 0 })
  expect(report.cases.find(({ name }) => name.startsWith('launch answered by html'))).toEqual({
    name: 'launch answered by html: unknown_outcome',
    outcome: 'skipped',
    detail: 'the subject has no control fail, calm',
  })
  const nothing = await runConformance(poor, { ...options, only: (name) => name.startsWith('the end is') })
  expect(nothing).toMatchObject({ ok: false, passed: 0, failed: 0 })
})

test('a world that does not open or close is a failure of its case', async () => {
  const only = (name: string) => name === 'offers are well-formed'
  const closed = { name: 'closed', open: () => Promise.reject(new Error('no account')) }
  const first = await runConformance(closed, { ...options, only })
  expect(first.cases[0]).toMatchObject({ outcome: 'failed', detail: 'Error: no account' })
  const open = {
    name: 'left open',
    open: async () => ({
      ...(await referenceSubject().open()),
      close: () => Promise.reject(new Error('still there')),
    }),
  }
  const second = await runConformance(open, { ...options, only })
  expect(second.cases[0]?.detail).toBe('the world did not close: Error: still there')
})
