import { expect, test } from 'vitest'
import { createPassPace } from '../../infra/pass-pace.ts'

/** Waits after each of several passes that follow at once, in milliseconds. */
function waits(passes: readonly { took_ms: number; decided: number }[]): number[] {
  const pace = createPassPace()
  let now_ms = 1_000
  return passes.map(({ took_ms, decided }) => {
    pace.begin(now_ms)
    now_ms += took_ms
    pace.end(now_ms, decided)
    const wait_ms = pace.wait_ms(now_ms)
    now_ms += wait_ms
    return wait_ms
  })
}

const passes = (count: number, took_ms: number, decided: number) =>
  Array.from({ length: count }, () => ({ took_ms, decided }))

test('some passes follow each other at once, and then each begins 50 ms after the last', () => {
  const found = waits(passes(20, 5, 1))
  expect(found.slice(0, 10)).toEqual(Array<number>(10).fill(0))
  expect(found.slice(12)).toEqual(Array<number>(8).fill(45))
})

test('after a rest none waits', () => {
  const pace = createPassPace()
  for (let at_ms = 0; at_ms < 60_000; at_ms += 1_000) {
    pace.begin(at_ms)
    pace.end(at_ms + 5, 1)
    expect(pace.wait_ms(at_ms + 5)).toBe(0)
  }
})

test('a slow pass that decided few is followed by a rest, one that decided many is not', () => {
  expect(waits(passes(2, 40, 3))).toEqual([160, 160])
  expect(waits(passes(2, 2_000, 0))).toEqual([250, 250])
  expect(waits(passes(5, 200, 20))).toEqual([0, 0, 0, 0, 0])
})
