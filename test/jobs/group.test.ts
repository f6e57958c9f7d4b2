import { expect, test } from 'vitest'
import { createGroup } from '../../jobs/group.ts'

/** A group of numbers whose runs end when told. */
function group() {
  let now_ms = 0
  const runs: { calls: readonly number[]; end: () => void }[] = []
  const send = createGroup<number, number>({
    name: 'numbers',
    clock: { now: () => new Date(now_ms) },
    gather: () => Promise.resolve(),
    weigh: (call) => call,
    most_weight: 10,
    run: (calls) =>
      new Promise((resolve) => {
        runs.push({ calls, end: () => resolve(calls.map((call) => ({ value: call * 2 }))) })
      }),
  })
  const seen = async (count: number) => {
    while (runs.length < count) await Promise.resolve()
    return runs[count - 1] ?? { calls: [], end: () => undefined }
  }
  return { send, runs, seen, pass: (ms: number) => void (now_ms += ms) }
}
const failed = (answer: Promise<number>) =>
  answer.then(
    () => null,
    (error: Error) => error.message,
  )

test('calls that come while a run is under way go together in the next, as far as they weigh', async () => {
  const { send, seen } = group()
  const first = send(1)
  ;(await seen(1)).end()
  expect(await first).toBe(2)
  const second = send(2)
  await seen(2)
  const later = [3, 3, 3, 20, 4].map((call) => send(call))
  const ends = []
  for (let run = 2; run <= 5; run++) {
    const { calls, end } = await seen(run)
    ends.push(calls)
    end()
  }
  expect(ends).toEqual([[2], [3, 3, 3], [20], [4]])
  expect(await Promise.all([second, ...later])).toEqual([4, 6, 6, 6, 40, 8])
})

test('a run that takes long does not hold up what comes after it', async () => {
  const { send, seen, pass } = group()
  const slow = send(1)
  await seen(1)
  pass(51)
  const next = send(2)
  ;(await seen(2)).end()
  expect(await next).toBe(4)
  ;(await seen(1)).end()
  expect(await slow).toBe(2)
})

test('what nobody waits for any more, or what waited for too long, is not done', async () => {
  const { send, seen, runs, pass } = group()
  const first = send(1)
  await seen(1)
  const gone = failed(send(2, () => true))
  ;(await seen(1)).end()
  await first
  expect(await gone).toContain('have waited')
  const slow = send(3)
  await seen(2)
  const late = failed(send(4))
  pass(20_001)
  runs[1]?.end()
  await slow
  expect(await late).toContain('numbers have waited for the database for too long')
  expect(runs.map(({ calls }) => calls)).toEqual([[1], [3]])
})

test('more than can be answered are refused at once', async () => {
  const { send, seen } = group()
  void send(1)
  await seen(1)
  for (let n = 0; n < 5_000; n++) void send(1)
  await expect(send(1)).rejects.toMatchObject({ code: 'busy', headers: { 'Retry-After': '1' } })
})
