// Each kind of answer to each call is the right error, nothing hangs, and nothing stays broken afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import type { ProviderErrorCode } from '../errors.ts'
import type { Provider } from '../provider.ts'
import {
  type Bench,
  type Case,
  defineCase,
  failureOf,
  isAlive,
  type Launched,
  listed,
  must,
  mustEqual,
  observe,
  passBeforeRepeat,
  untilSeen,
  within,
} from './bench.ts'
import { type BackEnd, type Call, calls, type Fault, faults } from './subject.ts'

/** What the core must be told; left out where a vendor would not answer so. */
const expectedOf: Record<Call, Partial<Record<Fault, readonly ProviderErrorCode[]>>> = {
  launch: {
    capacity: ['capacity'],
    quota: ['quota'],
    balance: ['balance'],
    rejected: ['rejected'],
    // Some vendors refuse with a status that says no more than that they failed.
    echo: ['rejected', 'unknown_outcome'],
    ...withoutAnswer('unknown_outcome'),
  },
  stop: withoutAnswer('unknown_outcome'),
  inspect: withoutAnswer('unavailable'),
  list: withoutAnswer('unavailable'),
  offers: withoutAnswer('unavailable'),
}

/** Whoever changes something and gets no answer that can be read does not know whether it took effect. */
function withoutAnswer(code: ProviderErrorCode): Partial<Record<Fault, readonly ProviderErrorCode[]>> {
  return {
    throttled: ['throttled'],
    unauthorized: ['unauthorized'],
    server_error: [code],
    html: [code],
    malformed: [code],
    truncated: [code],
    reset: [code],
    hang: [code],
  }
}

const tableCases = calls.flatMap((call) =>
  faults.flatMap((fault) => {
    const expected = expectedOf[call][fault]
    return expected === undefined ? [] : [faultCase(call, fault, expected)]
  }),
)

function faultCase(call: Call, fault: Fault, expected: readonly ProviderErrorCode[]): Case {
  return defineCase(
    `${call} answered by ${fault}: ${expected.join(' or ')}`,
    ['fail', 'calm'],
    async (bench, back) => {
      const subject = await prepare(bench, call)
      const provider = silent.includes(fault) ? hurried(bench, back) : bench.provider
      if (!back.fail(call, fault)) return { skipped: `the vendor does not answer ${call} so` }
      const code = await codeOf(bench, provider, call, subject)
      back.calm()
      must(expected.includes(code), `its error: expected ${expected.join(' or ')}, saw ${code}`)
      await recover(bench, back, call, code, subject)
    },
  )
}

/** What some clients of HTTP notice by their bound alone. */
const silent: readonly Fault[] = ['hang', 'truncated']

function hurried(bench: Bench, back: BackEnd): Provider {
  if (!back.hurry) return bench.provider
  back.hurry()
  return bench.replica()
}

interface Prepared {
  launched: Launched | null
  /** For the launch under test. */
  attempt_id: string
}

async function prepare(bench: Bench, call: Call): Promise<Prepared> {
  const attempt_id = bench.newId()
  if (call === 'launch' || call === 'offers') return { launched: null, attempt_id }
  const launched = await bench.launch()
  await untilSeen(bench, launched, isAlive, 'the start')
  return { launched, attempt_id }
}

/** The failure of an inspect may be told of each ref, too. */
async function codeOf(
  bench: Bench,
  provider: Provider,
  call: Call,
  prepared: Prepared,
): Promise<ProviderErrorCode> {
  const work = perform(bench, provider, call, prepared, bench.signal)
  if (call === 'inspect') {
    const seen = await work.catch(() => null)
    if (Array.isArray(seen) && seen.every((each: { state?: string }) => each.state === 'unseen'))
      return 'unavailable'
  }
  return (await failureOf(work, call)).code
}

async function perform(
  bench: Bench,
  provider: Provider,
  call: Call,
  { launched, attempt_id }: Prepared,
  signal: AbortSignal,
): Promise<unknown> {
  switch (call) {
    case 'launch':
      return provider.launch(await bench.world.request(attempt_id), bench.secrets, signal)
    case 'stop':
      return provider.stop(launched as Launched, signal)
    case 'inspect':
      return provider.inspect([launched as Launched], signal)
    case 'offers':
      return provider.offers(signal)
    case 'list': {
      const found = []
      for await (const each of provider.list(signal)) found.push(each)
      return found
    }
  }
}

/** The same adapter goes on when the vendor does, and what was repeated is there once. */
async function recover(
  bench: Bench,
  back: BackEnd,
  call: Call,
  code: ProviderErrorCode,
  prepared: Prepared,
): Promise<void> {
  const { launched, attempt_id } = prepared
  switch (call) {
    case 'launch': {
      if (back.things && code !== 'unknown_outcome')
        mustEqual(await back.things(attempt_id), 0, 'things of a launch that was refused')
      // A refused launch is not repeated by the core: its next one is another attempt.
      const next = code === 'unknown_outcome' ? attempt_id : bench.newId()
      await passBeforeRepeat(bench)
      await untilSeen(bench, await bench.launch(next), isAlive, 'the launch after the fault')
      if (back.things) mustEqual(await back.things(next), 1, 'things after the repeat')
      return
    }
    case 'stop':
      await bench.provider.stop(launched as Launched, bench.signal)
      return
    case 'inspect': {
      const { state } = await observe(bench, launched as Launched)
      must(state !== 'unseen', 'inspect stayed broken after the fault')
      return
    }
    case 'list':
      mustEqual((await listed(bench)).length > 0, true, 'a list with something in it, after the fault')
      return
    case 'offers':
      must((await bench.provider.offers(bench.signal)).length > 0, 'offers stayed empty after the fault')
  }
}

const abortCases = calls.map((call) =>
  defineCase(`${call} ends promptly when its signal does`, ['fail', 'calm'], async (bench, back) => {
    const prepared = await prepare(bench, call)
    if (!back.fail(call, 'hang')) return { skipped: `the back end cannot hang on ${call}` }
    const controller = new AbortController()
    const work = failureOf(perform(bench, bench.provider, call, prepared, controller.signal), call)
    work.catch(() => undefined)
    await sleep(underWay_ms)
    controller.abort()
    const { code } = await within(prompt_ms, work, `${call} after its signal was aborted`)
    back.calm()
    const expected = call === 'launch' || call === 'stop' ? 'unknown_outcome' : 'unavailable'
    mustEqual(code, expected, 'its error')
  }),
)

/** Enough for a request to be sent, in real time. */
const underWay_ms = 100
const prompt_ms = 3_000

export const faultCases: Case[] = [
  ...tableCases,
  ...abortCases,

  defineCase(
    'check of credentials that are not taken says so and what to do',
    ['stranger'],
    async (bench, back) => {
      const stranger = bench.watch(back.stranger())
      const checks = await stranger.check(bench.signal)
      const bad = checks.filter(({ ok }) => !ok)
      must(bad.length > 0, 'every check was ok with credentials that the vendor does not take')
      must(
        bad.every(({ detail }) => detail.trim().length >= said_least),
        'a failed check does not say what to do',
      )
      const never = await bench.never()
      const { code } = await failureOf(stranger.launch(never.request, bench.secrets, bench.signal), 'launch')
      mustEqual(code, 'unauthorized', 'the error of a launch')
    },
  ),

  defineCase('check of good credentials is ok', [], async (bench) => {
    const checks = await bench.provider.check(bench.signal)
    must(checks.length > 0, 'nothing is checked')
    const bad = checks.find(({ ok }) => !ok)
    must(bad === undefined, `${bad?.name}: ${bad?.detail}`)
    must(
      checks.every(({ name, detail }) => name !== '' && detail !== ''),
      'a check has no name or no detail',
    )
  }),
]

/** A sentence, not "no". */
const said_least = 10
