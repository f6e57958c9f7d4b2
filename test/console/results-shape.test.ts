// What pages make of results by themselves: months, rolling windows, curves on common dates, differences.
import { describe, expect, test } from 'vitest'
import { monthlyReturns, rollingSharpe, yearReturn } from '../../console/pages/backtest/shape.ts'
import { bestOf, differences, rebased } from '../../console/pages/compare/shape.ts'
import { compareSearch } from '../../console/pages/compare/search.ts'
import { jobSearch } from '../../console/pages/job/search.ts'
import { parallelOf, surfaceOf } from '../../console/pages/sweep/shape.ts'

describe('months', () => {
  const dates = ['2020-01-30', '2020-01-31', '2020-02-03', '2020-02-28', '2020-04-01']

  test('a month goes from the last date of the one before, the first from the cash', () => {
    const found = monthlyReturns(dates, [100, 110, 120, 99, 198], 100)
    expect(found.map(({ year, month }) => [year, month])).toEqual([
      [2020, 0],
      [2020, 1],
      [2020, 3],
    ])
    for (const [at, value] of [0.1, -0.1, 1].entries()) expect(found[at]?.value).toBeCloseTo(value, 12)
    expect(yearReturn(found)).toBeCloseTo(0.98, 12)
  })
})

describe('the rolling Sharpe ratio', () => {
  const equity = [101, 100, 103, 104, 102]

  test('is that of the last returns, by the formula of the conventions', () => {
    const found = rollingSharpe(equity, { cash: 100, periods: 252, risk_free: 0.0252, window: 3 })
    expect(found.slice(0, 2)).toEqual([null, null])
    const returns = [100 / 101 - 1, 103 / 100 - 1, 104 / 103 - 1].map((r) => r - 0.0252 / 252)
    const mean = returns.reduce((sum, r) => sum + r, 0) / 3
    const deviation = Math.sqrt(returns.reduce((sum, r) => sum + (r - mean) ** 2, 0) / 2)
    expect(found[3]).toBeCloseTo((mean / deviation) * Math.sqrt(252), 9)
  })

  test('there is none of a curve that stands still', () => {
    expect(rollingSharpe([100, 100, 100], { cash: 100, periods: 252, risk_free: 0, window: 2 })).toEqual([
      null,
      null,
      null,
    ])
  })
})

describe('curves that are compared', () => {
  const curve = (date: string[], equity: number[]) => ({ series: { date, equity } })

  test('begin at 100 on the first date that all have, and carry their last value over gaps', () => {
    const found = rebased([
      curve(['2020-01-01', '2020-01-02', '2020-01-03', '2020-01-06'], [50, 100, 110, 120]),
      curve(['2020-01-02', '2020-01-06', '2020-01-07'], [10, 30, 40]),
    ])
    expect(found?.dates).toEqual(['2020-01-02', '2020-01-03', '2020-01-06'])
    expect(found?.values.map((values) => values.map((value) => Math.round(value ?? -1)))).toEqual([
      [100, 110, 120],
      [100, 100, 300],
    ])
  })

  test('are none where they have no stretch in common', () => {
    expect(rebased([curve(['2020-01-01'], [1]), curve(['2021-01-01'], [1])])).toBeNull()
  })
})

test('specs differ where a leaf differs or is missing', () => {
  const found = differences([
    { kind: 'backtest', params: { data: { symbols: ['A', 'B'] }, fast: 5 } },
    { kind: 'backtest', params: { data: { symbols: ['A'] }, slow: { range: [1, 2, 1] } } },
  ])
  expect(found.filter(({ isSame }) => !isSame)).toEqual([
    { path: 'params.data.symbols', values: ['["A","B"]', '["A"]'], isSame: false },
    { path: 'params.fast', values: ['5', null], isSame: false },
    { path: 'params.slow.range', values: [null, '[1,2,1]'], isSame: false },
  ])
})

test('the best of figures is named, unless all are equal or one alone has one', () => {
  expect([...bestOf([1, 3, null, 3], false)]).toEqual([1, 3])
  expect([...bestOf([1, 3], true)]).toEqual([0])
  expect([...bestOf([2, 2], false)]).toEqual([])
  expect([...bestOf([2, null], false)]).toEqual([])
})

test('points are put together by two parameters as the API does it', () => {
  const point = (fast: number, slow: number, objective: number | null) => ({
    objective,
    parameters: { fast, slow },
    metrics: { trades: 3 },
  })
  const points = [point(5, 20, 0.1), point(5, 20, 0.3), point(10, 20, null), point(10, 40, 1)]
  const wanted = { x: 'fast', y: 'slow', value: 'objective' }
  expect(surfaceOf(points, { ...wanted, reduce: 'max' })).toEqual({
    x: { name: 'fast', values: [5, 10] },
    y: { name: 'slow', values: [20, 40] },
    cells: [
      { x: 0, y: 0, value: 0.3, points: 2 },
      { x: 1, y: 1, value: 1, points: 1 },
    ],
  })
  expect(surfaceOf(points, { ...wanted, reduce: 'mean' }).cells[0]?.value).toBeCloseTo(0.2, 12)
  const { axes, rows } = parallelOf(points, ['fast', 'slow'], 'sharpe', (name) => name)
  expect(axes.map(({ name }) => name)).toEqual([
    'fast',
    'slow',
    'max_drawdown',
    'trades',
    'annual_return',
    'sharpe',
  ])
  expect(rows[0]).toEqual([5, 20, null, 3, null, 0.1])
})

test('addresses hold what is shown, and nothing else', () => {
  const id = (letter: string) => `job_${letter.repeat(26)}`
  expect(compareSearch({ jobs: `${id('a')},${id('a')},none,${id('b')}` })).toEqual({
    jobs: `${id('a')},${id('b')}`,
  })
  expect(compareSearch({ jobs: 7 })).toEqual({})
  expect(jobSearch({ tab: 'result', rank: 3, symbol: 'KO', other: 1 })).toEqual({
    tab: 'result',
    rank: 3,
    symbol: 'KO',
  })
  expect(jobSearch({ rank: -1, symbol: '' })).toEqual({})
})
