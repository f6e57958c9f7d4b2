// The trial of a real account, on a fake one.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createAwsProvider } from '../../providers/aws/aws.ts'
import { installation } from '../fakes/aws.ts'
import { awsOptions, cpu, type FakeAws, openFakeAws } from '../support/aws-subject.ts'
import { type LiveOptions, runLive } from './live.ts'

const attempt_id = 'att_01jd3m4k5nep7r8r9s0t1v2w3x'

let aws: FakeAws
let said: string[]

beforeEach(async () => {
  aws = await openFakeAws()
  said = []
})

afterEach(() => aws.close())

/** Its work ends by itself, with 0, a while after it has begun. */
async function live(given: Partial<LiveOptions> = {}) {
  const result = await runLive({
    provider: createAwsProvider(awsOptions(aws)),
    installation,
    attempt_id,
    token: 'the-token-of-the-runner',
    image: 'busybox:stable',
    command: ['true'],
    offer: cpu.id,
    minutes: 15,
    max_usd: 1,
    spend: true,
    signal: new AbortController().signal,
    log: (line) => void said.push(line),
    now: () => new Date(aws.now()),
    async pause(ms) {
      await aws.pass(ms)
      const [job] = aws.of(attempt_id)
      if (job && aws.now() > job.created_ms + 200_000) await aws.back.finish?.(attempt_id, 0)
    },
    ...given,
  })
  return { ...result, said: said.join('\n') }
}

test('says what it would do and cost, and starts nothing', async () => {
  const dry = await live({ spend: false, offer: null })
  expect(dry).toMatchObject({ ok: true, cost_usd: 0 })
  expect(dry.said).toContain(
    'launch busybox:stable ["true"] on c7i.large in us-east-1: 2 vCPU, 3.5 GiB, $0.0900/h',
  )
  expect(dry.said).toContain('costs at most $0.0825 (limit $1.0000)')
  expect([aws.state.jobs.size, aws.state.definitions.length]).toEqual([0, 0])
})

test('launches once, watches it to its end, and proves that nothing is left', async () => {
  const done = await live()
  expect(done.ok).toBe(true)
  expect(done.said).toMatch(
    /launched again: the same handle[^]*running[^]*exited with 0[^]*clean: nothing of/,
  )
  expect([...aws.state.jobs.values()].map(({ end }) => end?.status)).toEqual(['SUCCEEDED'])
  expect(done.cost_usd).toBeGreaterThan(0)
  expect(done.said).not.toContain('the-token')
})

test.each([
  ['could cost more than the limit', { max_usd: 0.01 }, 'it could cost more than the limit'],
  ['is on an offer that is not there', { offer: 'g6.xlarge' }, 'no offer g6.xlarge'],
])('what %s is not started', async (_, given, why) => {
  const refused = await live(given)
  expect(refused.ok).toBe(false)
  expect(refused.said).toContain(why)
  expect(aws.state.jobs.size).toBe(0)
})

test('what the account may not do is said, and nothing is started', async () => {
  aws.state.denied.add('SubmitJob')
  const refused = await live()
  expect(refused.ok).toBe(false)
  expect(refused.said).toContain('FAIL batch:SubmitJob')
  expect(aws.state.jobs.size).toBe(0)
})

test('what goes on too long, costs too much or is interrupted is ended, and the trial has failed', async () => {
  const pause = async (ms: number) => aws.pass(ms)
  const slow = await live({ pause, minutes: 5 })
  expect(slow.ok).toBe(false)
  expect(slow.said).toMatch(/FAILED: its time is up[^]*clean: nothing/)
  const interrupt = new AbortController()
  const other = 'att_01jd3m4k5nep7r8r9s0t1v2w31'
  const stopped = await live({
    attempt_id: other,
    signal: interrupt.signal,
    async pause(ms) {
      await aws.pass(ms)
      if (aws.of(other).length > 0) interrupt.abort()
    },
  })
  expect(stopped.ok).toBe(false)
  expect(stopped.said).toMatch(/FAILED: .*[^]*clean: nothing/)
  expect([...aws.state.jobs.values()].filter(({ end }) => end === null)).toEqual([])
})

test('a launch whose answer was lost is found and ended', async () => {
  aws.back.loseAnswer?.('launch')
  const provider = { ...createAwsProvider(awsOptions(aws)), check: () => Promise.resolve([]) }
  const lost = await live({ provider })
  expect(lost.ok).toBe(false)
  expect(lost.said).toMatch(/FAILED: aws: unknown_outcome: SubmitJob[^]*clean: nothing/)
  expect([...aws.state.jobs.values()].map(({ end }) => end?.said)).toEqual(['stopped by Berth'])
})

test('what cannot be ended is named', async () => {
  aws.state.denied.add('TerminateJob')
  const provider = createAwsProvider(awsOptions(aws))
  const left = await live({ provider: { ...provider, check: () => Promise.resolve([]) }, pause: aws.pass })
  expect(left.ok).toBe(false)
  expect(left.said).toContain(
    "End it in the vendor's console: it is named berth-4q7k2m-01jd3m4k5nep7r8r9s0t1v2w3x",
  )
})
