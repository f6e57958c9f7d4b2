// Quantities and prices as people write them.
import { expect, test } from 'vitest'
import { gpuPriceOf } from '../../../providers/kubernetes/capacity.ts'
import { inUnits } from '../../../providers/kubernetes/quantity.ts'

test.each([
  ['250m', 0.25],
  ['2', 2],
  ['1.5Gi', 1.5 * 1024 ** 3],
  ['128974848', 128_974_848],
  ['129e6', 129_000_000],
  ['129M', 129_000_000],
  ['1Ki', 1_024],
  ['100u', 0.0001],
  ['many', 0],
  ['', 0],
])('the quantity "%s" is %d', (text, amount) => {
  expect(inUnits(text)).toBeCloseTo(amount, 12)
})

test.each([
  ['H100 80GB HBM3', 3],
  ['H100 80GB HBM3 MIG 1g.10gb', 0.5],
  ['RTX 4090', 0.4],
  ['L4', 0.1],
])('the price of an %s is the one of the closest name', (model, price) => {
  const prices = { H100: 3, h100: 3, 'H100 MIG 1g.10gb': 0.5, 'RTX 4090': 0.4, '*': 0.1 }
  expect(gpuPriceOf(model, prices)).toBe(price)
})

test('a GPU that no price is for has none', () => {
  expect(gpuPriceOf('B300', { H100: 3 })).toBe(null)
})
