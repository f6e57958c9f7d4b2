// A job among five accounts that refuse it, each in its own way: it runs where it can, soon, and Berth says why in words.
import { expect, test } from 'vitest'
import type { Explanation } from '../../jobs/explain.ts'
import type { JobView } from '../../jobs/view.ts'
import { type FiveAccounts, openFiveAccounts, resources } from '../support/five-accounts.ts'
import { backtest, openTestWorld, type World } from '../support/world.ts'

async function inFive(work: (world: World, five: FiveAccounts) => Promise<void>): Promise<void> {
  await using world = await openTestWorld()
  const five = await openFiveAccounts(world)
  try {
    await work(world, five)
  } finally {
    await five.close()
  }
}

async function submit(world: World, spot: 'never' | 'only'): Promise<string> {
  const body = backtest({ resources, placement: { spot }, retry: { max_attempts: 10 } })
  const answer = await world.request('POST', '/v1/jobs', { body })
  return ((await answer.json()) as JobView).id
}

const read = async <Body>(world: World, path: string) =>
  (await (await world.request('GET', path)).json()) as Body
const jobOf = (world: World, id: string) => read<JobView>(world, `/v1/jobs/${id}`)
const explain = (world: World, id: string) => read<Explanation>(world, `/v1/jobs/${id}/explain`)
const placeOf = ({ provider, account }: { provider: string; account: string }) => `${provider}/${account}`

test('out of stock, throttled, over quota, without balance: within five seconds it runs on the fifth account', () =>
  inFive(async (world, five) => {
    for (const [account, fault] of [
      ['alibaba/first', 'capacity'],
      ['runpod/desk', 'throttled'],
      ['aws/desk', 'quota'],
      ['alibaba/second', 'balance'],
    ] as const)
      expect([account, five.refuse(account, fault)]).toEqual([account, true])
    const id = await submit(world, 'never')
    const from_ms = world.deps.clock.now().getTime()
    let job = await jobOf(world, id)
    for (let turn = 0; turn < 50 && job.state !== 'running'; turn++) {
      await five.turn()
      const [last] = (await jobOf(world, id)).attempts.filter(({ state }) => state === 'starting')
      if (last) await five.say(last.id, { type: 'started', instance: last.id })
      await five.pass(0.5)
      job = await jobOf(world, id)
    }
    expect(job.state).toBe('running')
    expect(world.deps.clock.now().getTime() - from_ms).toBeLessThanOrEqual(5_000)
    expect(job.attempts.map((each) => [placeOf(each), each.outcome])).toEqual([
      ['alibaba/first', 'no_capacity'],
      ['runpod/desk', 'no_capacity'],
      ['aws/desk', 'quota'],
      ['alibaba/second', 'quota'],
      ['nomad/desk', null],
    ])
    const { reason, rejected, attempts } = await explain(world, id)
    expect(reason.text).toBe('It runs on nomad cpu-2.')
    const words = Object.fromEntries(rejected.map(({ text, examples }) => [text, examples.join()]))
    expect(words).toMatchObject({
      'it was out of stock when it was last asked': expect.stringContaining('alibaba/first'),
      'its provider was asked too often, and is left alone for a moment':
        expect.stringContaining('runpod/desk'),
      "the account's quota is used up": expect.stringContaining('aws/desk'),
      "the account's balance is used up": expect.stringContaining('alibaba/second'),
    })
    expect(attempts.map(({ text }) => text.split(':').slice(0, 2).join(':'))).toEqual([
      'alibaba: capacity',
      'runpod: throttled',
      'aws: quota',
      'alibaba: balance',
      'is open on nomad cpu-2',
    ])
    expect(await five.things()).toBe(1)
  }))

test('a spot machine is taken back and nobody has another for ten minutes: it waits, says why, and runs once', () =>
  inFive(async (world, five) => {
    const id = await submit(world, 'only')
    await five.turn()
    const [first] = (await jobOf(world, id)).attempts
    if (!first) throw new Error('it was launched')
    expect(placeOf(first)).toBe('alibaba/first')
    await five.pass(60)
    await five.say(first.id, { type: 'started', instance: first.id })
    await five.turn()
    expect((await jobOf(world, id)).state).toBe('running')

    for (const account of ['alibaba/first', 'alibaba/second', 'runpod/desk'])
      expect(five.refuse(account, 'capacity')).toBe(true)
    expect(five.refuse('aws/desk', 'quota')).toBe(true)
    await five.say(first.id, { type: 'preempting' })
    await five.say(first.id, { type: 'finished', exit_code: 75, failure: 'preempted', result: null })
    await five.reclaim('alibaba/first', first.id)
    for (let turn = 0; turn < 120; turn++) {
      await five.turn()
      await five.pass(5)
    }
    const waits = await explain(world, id)
    expect(waits).toMatchObject({ state: 'queued', reason: { code: 'capacity' } })
    expect(waits.reason.text).toContain('it was out of stock when it was last asked')
    expect(waits.rejected.map(({ reason }) => reason).toSorted()).toEqual(['capacity', 'quota', 'spot'])
    const refused = (await jobOf(world, id)).attempts.slice(1)
    expect(refused.every(({ outcome }) => outcome === 'no_capacity' || outcome === 'quota')).toBe(true)
    // Each offer at growing pauses, not once a look.
    expect(refused.length).toBeLessThanOrEqual(16)
    expect(await five.things()).toBe(0)

    five.calm()
    const next_ms = Date.parse(waits.next_try_at ?? '')
    while (world.deps.clock.now().getTime() <= next_ms) {
      await five.turn()
      await five.pass(5)
    }
    await five.turn()
    const last = (await jobOf(world, id)).attempts.at(-1)
    expect(last).toMatchObject({ outcome: null, state: 'starting', spot: true })
    expect(await five.things()).toBe(1)
    await five.pass(60)
    await five.say(last?.id ?? '', { type: 'started', instance: 'again' })
    await five.say(last?.id ?? '', { type: 'finished', exit_code: 0, failure: null, result: { sharpe: 1 } })
    for (let turn = 0; turn < 20; turn++) {
      await five.turn()
      await five.pass(15)
    }
    expect(await jobOf(world, id)).toMatchObject({ state: 'succeeded', cost: { final: true } })
    expect(await five.things()).toBe(0)
  }))
